// Brings one snapshot to the directory: what is there, what is missing, in which order. Blocking.
#pragma once

#include <string>
#include <vector>

#include "daemon/model/snapshot.hpp"
#include "daemon/pull/build.hpp"
#include "daemon/pull/shelf.hpp"
#include "daemon/pull/store.hpp"
#include "daemon/pull/transfer.hpp"
#include "daemon/pull/work.hpp"

namespace ebb::pull {

/// One snapshot of a chain.
struct PathStep {
  std::string identity;
  SnapshotKind kind = SnapshotKind::full;
  std::string parent;  ///< incremental only
  friend bool operator==(const PathStep&, const PathStep&) = default;
};
using Path = std::vector<PathStep>;  ///< oldest first; the last one is what is wanted

inline constexpr std::size_t kPathMax = 256;  ///< no vendor bears more than 128 increments on a full one

/// Empty, or why this is no way to a snapshot: a broken link (which), a full one on top of another, one twice.
std::string path_fault(const Path& path);

struct PullOptions {
  TransferOptions transfer;
  unsigned build_threads = 2;
  std::size_t keep = 2;  ///< complete snapshots on disk
};

/// One pull at a time. `shelf` and `store` must outlive it.
class Puller {
 public:
  Puller(Shelf& shelf, Store& store, PullOptions options) : shelf_(shelf), store_(store), options_(options) {}

  /// Until the last of the path is complete. Starts at the newest of the path that is complete already; all increments
  /// after it are applied in one pass. `not_found`: the base is neither here nor in the path, or the store does not
  /// have a snapshot (yet); `conflict`: a snapshot of this name with another parent is here, or an increment is out of
  /// order; `exhausted`: the disk; `malformed`: damaged or wrong, for good.
  Status pull(const Path& path, Progress& progress, const Stop& stop);

 private:
  Status pull_full(const PathStep& step, bool asked, Progress& progress, const Stop& stop);
  Status apply(const Complete& base, const Path& rest, Progress& progress, const Stop& stop);
  Result<Increment> fetch_increment(const PathStep& step, Progress& progress, const Stop& stop);
  Result<std::vector<Object>> list(const std::string& identity, const Stop& stop);
  void drop_old(const std::string& stays);

  Shelf& shelf_;
  Store& store_;
  PullOptions options_;
};

}  // namespace ebb::pull
