// The composition root: builds the parts, starts them, stops them. In-process, so that tests can run a whole daemon.
#pragma once

#include <string>

namespace ebb {

struct RunOptions {
  std::string config_path;
  std::string shim_path;  ///< empty: ebb-shim beside the program itself
};

/// Runs until SIGTERM or SIGINT. Returns the exit status: 0 stopped, 1 could not start or failed, 2 bad configuration.
int run_daemon(const RunOptions& options);

}  // namespace ebb
