#include "daemon/model/json_text.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

namespace ebb {
namespace {

using nlohmann::json;

std::string dumped(const json& value, int indent = -1) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

/// Which bytes stand in a JSON string as they are.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t byte = 0x20; byte < 0x80; ++byte) plain[byte] = byte != '"' && byte != '\\';
  return plain;
}();

template <class Integer>
void append_digits(std::string& out, Integer number) {
  std::array<char, 20> digits{};
  const auto [end, error] = std::to_chars(digits.begin(), digits.end(), number);
  out.append(digits.begin(), end);
}

}  // namespace

void append_json_string(std::string& out, const std::string& words) {
  bool plain = true;
  for (const char c : words) plain &= kPlain[static_cast<unsigned char>(c)];
  if (!plain) {
    out += dumped(words);
    return;
  }
  out += '"';
  out += words;
  out += '"';
}

// Most of a ledger's rows is short words and whole numbers, for which the library's serialiser takes two and a half
// times as long; all else is left to it.
void append_json(std::string& out, const json& value) {
  switch (value.type()) {
    case json::value_t::object: {
      char before = '{';
      for (const auto& [name, member] : value.get_ref<const json::object_t&>()) {
        out += std::exchange(before, ',');
        append_json_string(out, name);
        out += ':';
        append_json(out, member);
      }
      out += before == '{' ? "{}" : "}";
      return;
    }
    case json::value_t::array: {
      char before = '[';
      for (const json& element : value.get_ref<const json::array_t&>()) {
        out += std::exchange(before, ',');
        append_json(out, element);
      }
      out += before == '[' ? "[]" : "]";
      return;
    }
    case json::value_t::string: append_json_string(out, value.get_ref<const std::string&>()); return;
    case json::value_t::boolean: out += value.get<bool>() ? "true" : "false"; return;
    case json::value_t::number_integer: append_digits(out, value.get<std::int64_t>()); return;
    case json::value_t::number_unsigned: append_digits(out, value.get<std::uint64_t>()); return;
    default: out += dumped(value);
  }
}

std::string json_text(const json& value) {
  std::string out;
  append_json(out, value);
  return out;
}

std::string json_lines(const json& value) { return dumped(value, 2); }

}  // namespace ebb
