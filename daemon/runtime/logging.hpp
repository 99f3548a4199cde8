#pragma once

#include <string>

namespace ebb {

/// The log goes to stderr, one line an event, key=value; colours only on a terminal. Under systemd (JOURNAL_STREAM) the
/// lines carry no time, since the journal has its own. `level`: trace debug info warn error.
void start_logging(const std::string& level);

}  // namespace ebb
