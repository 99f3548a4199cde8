#include "adapters/exposition/number.hpp"

#include <charconv>
#include <limits>

namespace ebb {

namespace {

bool equals_lower(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((text[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

std::optional<double> special(std::string_view text, bool negative) {
  const double infinity = std::numeric_limits<double>::infinity();
  if (equals_lower(text, "nan")) return std::numeric_limits<double>::quiet_NaN();
  if (equals_lower(text, "inf") || equals_lower(text, "infinity")) return negative ? -infinity : infinity;
  return std::nullopt;
}

/// from_chars does not say on which side a number left the range; a denormal too small has a negative exponent.
bool too_small(std::string_view text) {
  const std::size_t exponent = text.find_first_of("eE");
  if (exponent == std::string_view::npos) return text.starts_with("0.") || text.starts_with(".");
  return text.substr(exponent + 1).starts_with('-');
}

}  // namespace

std::optional<double> parse_float(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  const char first = text.front();
  if (first != '.' && (first < '0' || first > '9')) return special(text, negative);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range && too_small(text)) {
    value = 0;
  } else if (error != std::errc()) {
    return std::nullopt;
  }
  return negative ? -value : value;
}

}  // namespace ebb
