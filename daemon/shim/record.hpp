// The JSON the shim leaves behind. It only writes; adapters/process reads.
#pragma once

#include <optional>
#include <string>

#include "daemon/shim/options.hpp"
#include "daemon/shim/process_info.hpp"

namespace ebb::shim {

struct EngineId {
  ProcessId process;
  pid_t group = 0;
};

/// replica.json; without `engine` before it was started.
std::string record_text(const Options& options, const ProcessId& shim, const std::string& boot,
                        long long started_wall_ms, const std::optional<EngineId>& engine);

/// How an engine ended.
struct Ending {
  int wait_status = 0;  ///< as waitpid gives it
  std::string reason;   ///< exited, drain, evict, lease lapsed, signal, abandoned
  bool forced = false;  ///< SIGKILL was needed
  long long at_wall_ms = 0;
};
/// exit.json
std::string exit_text(const Ending& ending);
/// leaving.json
std::string leaving_text(const std::string& reason, long long at_wall_ms, long long left_ms);
/// refused.json
std::string refusal_text(const std::string& why, long long at_wall_ms);

}  // namespace ebb::shim
