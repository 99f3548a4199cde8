// The complete snapshots of a directory. One is complete once its directory has its final name: everything in it was
// synced before, its marker last.
//
//   DIR/IDENTITY/...              complete, read only, with its marker .ebb-pull.json
//   DIR/.ebb-pull/lock            one process at a time
//   DIR/.ebb-pull/download/ID     coming from the store, with ID.journal beside it; survives a crash
//   DIR/.ebb-pull/build/ID        being made out of a complete one and increments; thrown away after a crash
//   DIR/.ebb-pull/trash/N         being deleted
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "daemon/model/snapshot.hpp"
#include "daemon/pull/files.hpp"

namespace ebb::pull {

struct FileSize {
  std::string name;
  std::uint64_t bytes = 0;
};

/// What the marker says.
struct Complete {
  std::string identity;
  SnapshotKind kind = SnapshotKind::full;
  std::string parent;                  ///< incremental only
  std::optional<std::string> version;  ///< as the trainer numbers them
  std::vector<FileSize> files;
  bool asked = false;          ///< for itself, not only as what another one stands on
  std::uint64_t sequence = 0;  ///< higher: completed or asked for later
  [[nodiscard]] std::uint64_t bytes() const;
};

/// Any thread.
class Shelf {
 public:
  /// Makes the directory if it is not there, locks it, throws away what a crash left half-done, and reads the markers.
  /// A directory whose files are not those of its marker counts as damaged and is thrown away; one without a marker is
  /// not ours and left alone. `conflict`: another process has it.
  static Result<std::unique_ptr<Shelf>> open(const std::string& directory);

  [[nodiscard]] std::optional<Complete> find(const std::string& identity) const;
  [[nodiscard]] std::vector<Complete> all() const;  ///< latest first
  [[nodiscard]] std::string path(const std::string& identity) const { return directory_ + "/" + identity; }
  [[nodiscard]] const std::string& directory() const { return directory_; }

  [[nodiscard]] std::string download_path(const std::string& identity) const;
  [[nodiscard]] std::string journal_path(const std::string& identity) const;
  /// A fresh directory to build in.
  Result<std::string> start_build(const std::string& identity);
  void drop_build(const std::string& identity);

  /// Makes `from`, whose files are synced, the complete snapshot: read only, marker, sync, rename, sync.
  Status commit(const std::string& from, Complete snapshot);
  /// Notes that it was asked for, now.
  Status touch(const std::string& identity);
  /// Until `keep` are left: first those nobody asked for, then the oldest; never `stays`. Returns what went.
  std::vector<std::string> prune(std::size_t keep, const std::string& stays);
  /// Throws away downloads of other identities than these.
  void drop_downloads_except(const std::vector<std::string>& identities);
  void drop_download(const std::string& identity);

 private:
  explicit Shelf(std::string directory) : directory_(std::move(directory)) {}
  Status prepare();
  void read_markers();
  void throw_away(const std::string& path);
  Status write_marker(const std::string& directory, const Complete& snapshot) const;

  std::string directory_;
  Fd lock_;
  mutable std::mutex mutex_;
  std::map<std::string, Complete> complete_;
  std::uint64_t sequence_ = 0;
  std::uint64_t trash_ = 0;
};

}  // namespace ebb::pull
