// From a store to a directory: many parts at a time, going on where an earlier process was killed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "daemon/pull/store.hpp"
#include "daemon/pull/work.hpp"

namespace ebb::pull {

struct TransferOptions {
  unsigned parallel = 8;
  std::uint64_t part_bytes = 16u << 20;
  int tries = 6;              ///< of a part, one after the other
  Duration pause_first{250};  ///< after a failed try; doubles
  Duration pause_max{10'000};
};

struct Wanted {
  std::string identity;
  std::vector<Object> objects;
  std::string directory;  ///< where they go
  std::string journal;    ///< the file that remembers
};

/// Runs `attempt` until it succeeds, fails for good, or has failed `tries` times.
Status with_retries(const TransferOptions& options, const Stop& stop, const std::function<Status()>& attempt);

/// Every object, synced. What is there already counts as done. `exhausted` before anything is asked for when the disk
/// has no room for the rest. `conflict`: an object changed meanwhile; asked again it starts anew.
Status download(Store& store, const Wanted& wanted, const TransferOptions& options, Progress& progress,
                const Stop& stop);

/// `exhausted` unless the disk of `path` has room for `bytes` and a little more.
Status check_room(const std::string& path, std::uint64_t bytes);

}  // namespace ebb::pull
