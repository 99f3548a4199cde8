// Numbers as Go's monitoring world writes them, without a locale.
#pragma once

#include <optional>
#include <string_view>

namespace ebb {

/// A float in Prometheus' text: decimals and exponents, "NaN", "Inf" with any sign, in any case. Hexadecimal floats,
/// underscores, blanks and what overflows are refused; what underflows is zero. The whole text must be the number.
std::optional<double> parse_float(std::string_view text);

}  // namespace ebb
