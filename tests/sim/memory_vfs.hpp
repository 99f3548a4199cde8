// Files in memory for SQLite, that a power cut can take bytes from: of what was written after the last sync some
// reached the disk, in the order of the writes up to a torn one, or here and there a sector, as a disk's cache has it.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ebb::sim {

class MemoryVfs {
 public:
  /// Registers itself with SQLite under a name of its own; one thread at a time. The seed decides what cuts leave.
  explicit MemoryVfs(std::uint64_t seed);
  ~MemoryVfs();
  MemoryVfs(const MemoryVfs&) = delete;
  MemoryVfs& operator=(const MemoryVfs&) = delete;

  [[nodiscard]] const char* name() const { return name_.c_str(); }
  /// The next `changes` to any file, syncs and removals among them, answer with this code (SQLITE_FULL,
  /// SQLITE_IOERR_WRITE), or all until `heal`.
  void fail(int code, std::uint64_t changes = UINT64_MAX) {
    code_ = code;
    failures_left_ = changes;
  }
  void heal() { failures_left_ = 0; }
  [[nodiscard]] bool fails() const { return failures_left_ > 0; }
  /// What the change that is asked for now answers.
  int answer() { return fails() ? (--failures_left_, code_) : SQLITE_OK; }
  /// The power goes off. All connections must be closed without a checkpoint before.
  void cut();

  /// One file: what a power cut leaves for certain, and what was done to it since.
  struct File {
    std::string now;
    std::string synced;
    struct Change {
      std::size_t at;
      std::size_t size;  ///< of its bytes in `written`, which stand one after the other
      bool truncate;
    };
    std::vector<Change> since;
    std::string written;
  };
  std::map<std::string, std::shared_ptr<File>> files;

 private:
  const std::uint64_t seed_;
  std::uint64_t cuts_ = 0;
  std::uint64_t failures_left_ = 0;
  int code_ = SQLITE_OK;
  std::string name_;
  sqlite3_vfs vfs_{};
};

}  // namespace ebb::sim
