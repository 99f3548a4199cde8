// The client of ebb-pull, which brings a snapshot's files to the host of an engine:
//
//   PUT {puller}/v1/snapshots/{identity}   {"path": [{"identity", "kind": "full"|"incremental", "parent"}, ...]}
//   GET {puller}/v1/snapshots/{identity}   {"identity", "state": "pulling"|"ready"|"failed", "directory", "bytes_done",
//                                           "bytes_total", "error", "retryable"}
#pragma once

#include <string>
#include <vector>

#include "adapters/engines/engine_http.hpp"
#include "daemon/model/snapshot.hpp"

namespace ebb {

/// Asks for the last snapshot of the path, oldest first, and waits until it is there. Returns its directory on that
/// host. Goes on through restarts of the puller. `invalid`: it says that it cannot and never will; `unreachable`: it
/// could not this time.
awaitable<Result<std::string>> pull_snapshot(EngineHttp http, std::string puller, std::vector<Snapshot> path,
                                             TimePoint deadline);

}  // namespace ebb
