#pragma once

#include <string>

namespace ebb {

/// The log goes to stderr, one line an event, key=value; coloured on a terminal. Control characters in a message (an
/// engine's answer may end up in one) are written as \n, \x1b, so that a line stays a line and no terminal obeys it.
/// Under systemd, when stderr is the journal, lines carry a priority ("<4>") and no time: it has its own.
/// `level`: trace debug info warn error.
void start_logging(const std::string& level);

}  // namespace ebb
