// One tensor's increment: what it becomes, and what is refused.
#include <gtest/gtest.h>

#include <cstring>

#include "daemon/pull/delta.hpp"
#include "tests/pull/encoder.hpp"

namespace ebb::test {
namespace {

using pull::Checksum;
using pull::DeltaFormat;
using pull::Encoding;
using pull::Payload;
using pull::TensorDelta;

/// The payload in pieces of `step` bytes.
Payload payload(std::string bytes, std::size_t step) {
  auto at = std::make_shared<std::size_t>(0);
  return [bytes = std::move(bytes), at, step](std::span<std::byte> room) -> Result<std::size_t> {
    const std::size_t count = std::min({room.size(), step, bytes.size() - *at});
    std::memcpy(room.data(), bytes.data() + *at, count);
    *at += count;
    return count;
  };
}

struct Applied {
  Status status = Done{};
  std::string bytes;
};

Applied applied(DeltaFormat format, const std::string& before, std::string compressed, const std::string& sum,
                std::size_t step = 4096, std::size_t chunk = 1000) {
  Applied out;
  out.bytes = before;
  TensorDelta delta(format, payload(std::move(compressed), step), before.size(), sum);
  for (std::size_t at = 0; at < before.size() && out.status.ok(); at += chunk) {
    const std::span<char> piece(out.bytes.data() + at, std::min(chunk, before.size() - at));
    out.status = delta.apply(std::as_writable_bytes(piece));
  }
  if (out.status.ok()) out.status = delta.finish();
  return out;
}

std::string u32(std::uint32_t value) {
  std::string out;
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>((value >> shift) & 255);
  return out;
}

constexpr DeltaFormat kXor{Encoding::xor_, Checksum::xxh3_128};
constexpr DeltaFormat kOverwrite{Encoding::overwrite, Checksum::adler32};

TEST(TensorDeltas, MakeTheNewTensorInEveryEncodingSizeAndChunk) {
  std::mt19937_64 random(20261124);
  for (const std::size_t size : {0u, 1u, 2u, 7u, 8u, 31u, 32u, 33u, 4095u, 100'003u, 600'001u}) {
    std::string before(size, '\0');
    for (char& c : before) c = static_cast<char>(random());
    std::string after = before;
    for (std::size_t i = 0; i < size; i += 1 + random() % 60) after[i] = static_cast<char>(random());
    for (const bool sized : {true, false}) {
      for (const std::size_t step : {1u, 13u, 1u << 20}) {
        for (const std::size_t chunk : {1u, 1000u, 262'144u}) {
          if (size > 50'000 && (step == 1 || chunk == 1)) continue;
          const auto x =
              applied(kXor, before, zstd_frame(xor_diff(before, after), sized), xxh3_hex(after), step, chunk);
          const auto o = applied(kOverwrite, before, zstd_frame(overwrite_diff(before, after), sized), adler_hex(after),
                                 step, chunk);
          for (const auto& one : {x, o}) {
            ASSERT_TRUE(one.status.ok()) << size << " " << step << " " << chunk << ": " << one.status.error().what;
            ASSERT_TRUE(one.bytes == after) << size << " " << step << " " << chunk;
          }
        }
      }
    }
  }
}

TEST(TensorDeltas, MayComeInSeveralFrames) {
  const std::string before(1'000, 'a');
  const std::string after = std::string(500, 'b') + std::string(500, 'a');
  const std::string diff = xor_diff(before, after);
  const auto got =
      applied(kXor, before, zstd_frame(diff.substr(0, 300)) + zstd_frame(diff.substr(300), false), xxh3_hex(after));
  ASSERT_TRUE(got.status.ok()) << got.status.error().what;
  EXPECT_EQ(got.bytes, after);
}

TEST(TensorDeltas, TakeUnsortedPositionsInTheirOrder) {
  const std::string diff = u32(3) + u32(7) + u32(2) + u32(7) + "xyz";
  const auto got = applied(kOverwrite, "0123456789", zstd_frame(diff), adler_hex("01y3456z89"), 4096, 3);
  ASSERT_TRUE(got.status.ok()) << got.status.error().what;
  EXPECT_EQ(got.bytes, "01y3456z89");
}

TEST(TensorDeltas, NoticeTheWrongBase) {
  const std::string before(4'000, 'a'), after(4'000, 'b');
  std::string other = before;
  other[3'999] = 'x';
  const auto got = applied(kXor, other, zstd_frame(xor_diff(before, after)), xxh3_hex(after));
  ASSERT_FALSE(got.status.ok());
  EXPECT_EQ(got.status.error().code, ErrorCode::malformed);
  EXPECT_NE(got.status.error().what.find("does not belong on these weights"), std::string::npos);
}

TEST(TensorDeltas, NoticeAnXorAppliedTwice) {
  const std::string before(4'000, 'a'), after(4'000, 'b');
  EXPECT_FALSE(applied(kXor, after, zstd_frame(xor_diff(before, after)), xxh3_hex(after)).status.ok());
}

TEST(TensorDeltas, RefuseWhatIsDamaged) {
  const std::string before(5'000, 'a');
  std::string after = before;
  after[17] = 'b';
  const std::string xored = xor_diff(before, after);
  const std::string good = zstd_frame(xored);
  const auto cut = [](std::string text, std::size_t off) { return text.substr(0, text.size() - off); };
  struct Row {
    const char* name;
    int line;
    DeltaFormat format;
    std::string payload;
    const char* says;
  };
  const std::vector<Row> rows{
      {"empty", __LINE__, kXor, "", "ends early"},
      {"not zstd", __LINE__, kXor, "this is no frame at all", "damaged"},
      {"cut frame", __LINE__, kXor, cut(good, 1), "ends early"},
      {"cut to nothing", __LINE__, kXor, good.substr(0, 4), "ends early"},
      {"bytes behind", __LINE__, kXor, good + "x", ""},
      {"diff too short", __LINE__, kXor, zstd_frame(cut(xored, 1)), "ends early"},
      {"diff too long", __LINE__, kXor, zstd_frame(xored + "x"), "longer"},
      {"bomb", __LINE__, kXor, zstd_frame(std::string(64u << 20, '\0')), "longer"},
      {"no count", __LINE__, kOverwrite, zstd_frame("abc"), "ends early"},
      {"more than there are", __LINE__, kOverwrite, zstd_frame(u32(5'001) + std::string(64, 'x')),
       "overwrites 5001 of 5000"},
      {"four billion", __LINE__, kOverwrite, zstd_frame(u32(0xffffffff)), "overwrites 4294967295 of 5000"},
      {"positions missing", __LINE__, kOverwrite, zstd_frame(u32(2) + u32(1)), "ends early"},
      {"bytes missing", __LINE__, kOverwrite, zstd_frame(u32(2) + u32(1) + u32(2) + "x"), "ends early"},
      {"position behind the end", __LINE__, kOverwrite, zstd_frame(u32(1) + u32(5'000) + "x"), "byte 5000 of 5000"},
      {"too many bytes", __LINE__, kOverwrite, zstd_frame(u32(1) + u32(17) + "bb"), "longer"},
  };
  for (const Row& row : rows) {
    const std::string sum = row.format.checksum == Checksum::adler32 ? adler_hex(after) : xxh3_hex(after);
    const Applied got = applied(row.format, before, row.payload, sum);
    ASSERT_FALSE(got.status.ok()) << row.name << " line " << row.line;
    EXPECT_EQ(got.status.error().code, ErrorCode::malformed) << row.name << " line " << row.line;
    EXPECT_FALSE(got.status.error().retryable);
    EXPECT_NE(got.status.error().what.find(row.says), std::string::npos)
        << row.name << " line " << row.line << ": " << got.status.error().what;
  }
}

}  // namespace
}  // namespace ebb::test
