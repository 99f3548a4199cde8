// Snapshots in a directory of this host, or one that is mounted.
#pragma once

#include <memory>
#include <string>

#include "daemon/ports/snapshot_store.hpp"
#include "daemon/ports/worker.hpp"

namespace ebb {

/// Files are looked at on a thread of its own, in turn. Symbolic links are refused wherever they lead: what an
/// uploader can write must not make the daemon, or an engine, read something else. A disk that hangs holds a call past
/// its deadline; callers that must not wait gather with a deadline of their own.
class DirectoryStore final : public SnapshotStore {
 public:
  /// `root`: an absolute path.
  explicit DirectoryStore(std::string root);

  [[nodiscard]] bool whole_files() const override { return false; }
  awaitable<Result<std::vector<Identity>>> identities(TimePoint deadline) override;
  awaitable<Result<std::vector<StoredFile>>> list(Identity identity, TimePoint deadline) override;
  awaitable<Result<std::string>> read(Identity identity, std::string file, std::int64_t offset, std::int64_t bytes,
                                      TimePoint deadline) override;
  awaitable<Status> remove(Identity identity, TimePoint deadline) override;
  void close() override { worker_.join(); }

 private:
  const std::string root_;
  Worker worker_;
};

}  // namespace ebb
