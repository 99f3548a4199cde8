#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/model/result.hpp"
#include "daemon/model/snapshot.hpp"

namespace ebb {

using boost::asio::awaitable;

struct StoredFile {
  std::string name;  ///< below the snapshot's directory; with slashes where it has directories of its own
  std::int64_t size = 0;
  friend bool operator==(const StoredFile&, const StoredFile&) = default;
};

/// Where trainers put snapshots: each is a directory that has its identity for a name. Control thread; calls may
/// overlap, and each returns before `deadline`. Transient failures are retried until then. Errors: `not_found` for what
/// is not there, `denied`, `throttled`, `unreachable`, `timeout`, `internal`, `malformed`, and `invalid` for what only
/// another configuration can mend; they say what to mend and never hold a secret.
class SnapshotStore {
 public:
  virtual ~SnapshotStore() = default;

  /// False: a file can be seen while it is still being written.
  [[nodiscard]] virtual bool whole_files() const = 0;

  /// The identities there are, sorted; other names in the store are left out.
  virtual awaitable<Result<std::vector<Identity>>> identities(TimePoint deadline) = 0;

  /// The files of a snapshot, sorted by name. `not_found`: there is none.
  virtual awaitable<Result<std::vector<StoredFile>>> list(Identity identity, TimePoint deadline) = 0;

  /// `bytes` of a file from `offset` on; fewer only where the file ends.
  virtual awaitable<Result<std::string>> read(Identity identity, std::string file, std::int64_t offset,
                                              std::int64_t bytes, TimePoint deadline) = 0;

  /// Deletes a snapshot with all its files. What is gone is a success.
  virtual awaitable<Status> remove(Identity identity, TimePoint deadline) = 0;

  /// Ends its threads; before the io_context of the callers goes.
  virtual void close() {}
};

}  // namespace ebb
