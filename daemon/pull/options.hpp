// What ebb-pull is told, by flags or by EBB_PULL_... in the environment.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "daemon/pull/puller.hpp"
#include "daemon/pull/store.hpp"

namespace ebb::pull {

struct Options {
  StoreOptions store;
  std::string directory;
  PullOptions pull;
  std::string listen = "127.0.0.1:8475";
  SecretRef token;
  Duration timeout{3'600'000};  ///< of one pull
};

/// As the command line has them, not read yet.
struct Words {
  std::string store, directory, endpoint, region = "us-east-1", access_key_id, secret_access_key, session_token,
                                          ca_file;
  bool path_style = false;
  unsigned parallel = 8, apply_threads = 2;
  std::string part_size = "16M", stall_timeout = "30s", timeout = "1h";
  std::size_t keep = 2;
  std::string listen = "127.0.0.1:8475", token;
};

/// `invalid` names the option and what it takes.
Result<Options> options_from(const Words& words);

/// "64K", "16M", "1G" or a bare number of bytes.
Result<std::uint64_t> bytes_from(const std::string& text);

/// A chain given by names, oldest first: a full one and increments, or increments only when they stand on `onto`.
Result<Path> path_from_names(const std::vector<std::string>& names, const std::string& onto,
                             const std::string& identity);

}  // namespace ebb::pull
