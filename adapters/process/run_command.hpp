// Starting programs from the daemon. Blocking: runs on a worker.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "daemon/model/result.hpp"
#include "daemon/model/time.hpp"

namespace ebb::process {

struct CommandOutput {
  int exit_code = 0;
  std::string out;  ///< standard output, at most 1 MiB
};

/// Runs a program with nothing on its standard input and waits. `timeout` when it does not end in time (it is then
/// killed); `not_found` when it cannot be executed; `internal` when it dies of a signal.
Result<CommandOutput> run_command(const std::vector<std::string>& argv, Duration timeout);

/// Starts a program in a session of its own, with exactly this environment and its output appended to `log`. The
/// caller reaps the returned child.
Result<pid_t> start_command(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
                            const std::string& log);

/// Where a program is in PATH, or the name itself when it has a slash and can be executed; empty when there is none.
std::string find_program(const std::string& name);

}  // namespace ebb::process
