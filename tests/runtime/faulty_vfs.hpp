// A file layer for SQLite over the system's, with faults: the disk is full, a write fails, the power goes.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace ebb::test {

/// Registered under a name of its own for as long as it lives. Writes, truncations and deletions of every file opened
/// through it are counted. Thread-safe.
class FaultyVfs {
 public:
  FaultyVfs();
  ~FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  [[nodiscard]] const char* name() const { return name_.c_str(); }

  /// After `writes` more changes every further one fails with `code`, until `heal`.
  void fail_after(long writes, int code);
  void heal() { left_ = kNever; }

  /// Remembers what each file holds when it is synced, from now on. Before the first open.
  void watch_syncs() { watching_ = true; }
  /// What a power cut leaves in the worst case: every file as it was at its last sync, or gone when it never was. Close
  /// every connection before, with writes failing, so that closing changes nothing.
  void restore_synced(const std::string& database);

  [[nodiscard]] long writes() const { return writes_; }

  // What the C callbacks ask.
  std::optional<int> refuses();
  void synced(const std::string& path);
  sqlite3_vfs& system() { return *system_; }

 private:
  static constexpr long kNever = -1;

  sqlite3_vfs* system_;
  sqlite3_vfs vfs_{};
  std::string name_;
  std::atomic<long> writes_{0};
  std::atomic<long> left_{kNever};
  std::atomic<int> code_{SQLITE_FULL};
  bool watching_ = false;
  std::mutex mutex_;
  std::map<std::string, std::string> synced_;
};

}  // namespace ebb::test
