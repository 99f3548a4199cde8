// One line a message on standard error, so that a supervisor's log file shows it at once.
#pragma once

#include <string_view>

namespace ebb::emulator {

/// Writes "<iso time> <program>: <line>".
void log_line(std::string_view program, std::string_view line);

}  // namespace ebb::emulator
