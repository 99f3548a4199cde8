#include "tests/emulators/common/tokens.hpp"

#include <algorithm>
#include <array>

namespace ebb::emulator {

namespace {

constexpr std::array<std::string_view, 16> kFirst{"ba", "ce", "di", "fo", "gu", "ha", "je", "ki",
                                                  "lo", "mu", "na", "pe", "ri", "so", "tu", "va"};
constexpr std::array<std::string_view, 16> kSecond{"ra", "le", "ni", "to", "mu", "sa", "ve", "di",
                                                   "po", "nu", "ka", "re", "li", "do", "bu", "ga"};

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return hash;
}

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

}  // namespace

std::string chat_prompt(const std::vector<ChatMessage>& messages) {
  std::string prompt;
  for (const ChatMessage& message : messages) prompt += message.role + ": " + message.content + "\n";
  return prompt + "assistant:";
}

int count_tokens(std::string_view text) {
  int words = 0;
  bool inside = false;
  for (const char c : text) {
    if (!is_blank(c) && !inside) ++words;
    inside = !is_blank(c);
  }
  return std::max(1, words);
}

TokenFunction::TokenFunction(std::string_view prompt, std::string_view weights)
    : base_(fnv1a(prompt) + mix(fnv1a(weights))) {}

std::string TokenFunction::word(int position) const {
  const std::uint64_t step = static_cast<std::uint64_t>(position) + 1;
  const std::uint64_t index = mix(base_ + step * 0x9E3779B97F4A7C15ULL) % 256;
  return std::string(kFirst[index / 16]) + std::string(kSecond[index % 16]);
}

std::string TokenFunction::piece(int position) const {
  std::string piece(position == 0 ? 0 : 1, ' ');
  piece += word(position);
  return piece;
}

std::string TokenFunction::text(int count) const {
  std::string text;
  for (int i = 0; i < count; ++i) text += piece(i);
  return text;
}

}  // namespace ebb::emulator
