// How the loader writes what a person wrote, and guesses what was meant. Internal to config/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ebb {

/// 'text', on one line and harmless to a terminal: control characters as \n, \t or \x1b, cut after 80 bytes.
std::string in_quotes(std::string_view text);

/// The shortest decimal that reads back as the same number.
std::string shown(double value);

/// The known word nearest to `word`, or empty when none is near enough to be meant. Two swapped neighbours are one
/// mistake, as are a missing, an extra and a wrong letter; longer words may hold more of them.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

/// "; did you mean 'x'?", or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace ebb
