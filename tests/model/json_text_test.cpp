#include "daemon/model/json_text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

namespace ebb {
namespace {

using nlohmann::json;

std::string by_the_library(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string words(std::mt19937_64& random) {
  static const std::string k_pieces[] = {"",        "a",    "rl@p-17-3", "a\"b", "\\",   "\n",   std::string(1, '\0'),
                                         "\x1f",    "\x7f", "é",         "漢字", "🙂", "\xff", "\xc3",
                                         "\xe6\xbc"};
  std::string out;
  for (std::uint64_t left = random() % 4; left > 0; --left) out += k_pieces[random() % std::size(k_pieces)];
  return out;
}

json document(std::mt19937_64& random, int depth) {
  switch (random() % (depth > 0 ? 10 : 8)) {
    case 0: return nullptr;
    case 1: return random() % 2 == 0;
    case 2: return static_cast<std::int64_t>(random());
    case 3: return random();
    case 4: return static_cast<double>(static_cast<std::int64_t>(random())) / 1e9;
    case 5: return std::ldexp(1.0, static_cast<int>(random() % 200) - 100);
    case 6:
    case 7: return words(random);
    case 8: {
      json out = json::array();
      for (std::uint64_t left = random() % 5; left > 0; --left) out.push_back(document(random, depth - 1));
      return out;
    }
    default: {
      json out = json::object();
      for (std::uint64_t left = random() % 5; left > 0; --left) out[words(random)] = document(random, depth - 1);
      return out;
    }
  }
}

TEST(JsonText, IsByteForByteWhatTheLibraryWrites) {
  constexpr std::uint64_t kSeed = 11;
  std::mt19937_64 random(kSeed);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same documents every time
  for (int i = 0; i < 20'000; ++i) {
    const json value = document(random, 5);
    ASSERT_EQ(json_text(value), by_the_library(value)) << "seed " << kSeed << ", document " << i;
  }
}

TEST(JsonText, WritesNumbersToTheirBounds) {
  for (const json& value :
       {json(std::numeric_limits<std::int64_t>::min()), json(std::numeric_limits<std::uint64_t>::max()), json(-0.0),
        json(1e-300), json(0.1), json(std::nan("")), json(HUGE_VAL)})
    EXPECT_EQ(json_text(value), by_the_library(value));
}

TEST(JsonText, ReplacesBytesThatAreNoUtf8InNamesAndWords) {
  EXPECT_EQ(json_text({{"a\xff", "b\xff"}}), "{\"a\xef\xbf\xbd\":\"b\xef\xbf\xbd\"}");
  EXPECT_EQ(json_lines({{"a", "\xff"}}), "{\n  \"a\": \"\xef\xbf\xbd\"\n}");
}

}  // namespace
}  // namespace ebb
