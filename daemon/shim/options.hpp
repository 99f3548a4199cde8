// What ebb-shim is told on its command line.
#pragma once

#include <string>
#include <vector>

#include "daemon/model/result.hpp"
#include "daemon/model/time.hpp"

namespace ebb::shim {

struct Options {
  std::string dir;                 ///< of the replica; exists
  std::string lock_dir;            ///< of the slots' lock files; exists
  std::vector<std::string> slots;  ///< GPU names, at least one
  std::string replica;
  std::string deployment;
  int port = 0;
  std::string health_path;
  bool rl = false;                 ///< ends by itself when its lease lapses
  Duration ttl{60'000};            ///< of the lease; rl only
  Duration drain_timeout{60'000};  ///< SIGTERM to SIGKILL
  long long log_max_bytes = 64LL << 20;
  std::vector<std::string> argv;  ///< the engine
};

/// The text of `--help`.
std::string usage();
/// `invalid` names the option that is wrong.
Result<Options> parse_options(const std::vector<std::string>& args);

}  // namespace ebb::shim
