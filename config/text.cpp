#include "config/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

namespace ebb {
namespace {

constexpr std::size_t kMostShown = 80;
constexpr std::size_t kLongestWord = 64;  // nobody mistypes a longer one; bounds the work
constexpr std::size_t kMostCandidates = 1'000;

/// Edits from `a` to `b`, where swapping two neighbours is one edit (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    next[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      next[j] = std::min({row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) next[j] = std::min(next[j], before[j - 2] + 1);
    }
    before.swap(row);
    row.swap(next);
  }
  return row[b.size()];
}

}  // namespace

std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool starts_character = (c & 0xC0) != 0x80;  // never cut inside a UTF-8 sequence
    if (i >= kMostShown && starts_character) return out + "...'";
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20 || c == 0x7F) {
      constexpr std::string_view kHex = "0123456789abcdef";
      out += std::string("\\x") + kHex[c >> 4] + kHex[c & 15];
    } else {
      out += text[i];
    }
  }
  return out + "'";
}

std::string shown(double value) {
  std::array<char, 32> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), end};
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  if (word.empty() || word.size() > kLongestWord) return "";
  std::string best;
  // "tikc" may be one edit away, "sample_intervall" up to five.
  std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (std::size_t i = 0; i < std::min(known.size(), kMostCandidates); ++i) {
    const std::size_t edits = distance(word, known[i]);
    if (edits < least) {
      least = edits;
      best = known[i];
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  const std::string meant = nearest(word, known);
  return meant.empty() ? "" : "; did you mean '" + meant + "'?";
}

}  // namespace ebb
