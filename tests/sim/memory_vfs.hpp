// Files in memory for SQLite, that a power cut can take bytes from: what was written after the last sync is lost from
// some point on, and the write at that point may be torn.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace ebb::sim {

class MemoryVfs {
 public:
  /// Registers itself with SQLite under a name of its own; one thread at a time.
  MemoryVfs();
  ~MemoryVfs();
  MemoryVfs(const MemoryVfs&) = delete;
  MemoryVfs& operator=(const MemoryVfs&) = delete;

  [[nodiscard]] const char* name() const { return name_.c_str(); }
  /// Until reset, every change answers with this code: SQLITE_FULL, SQLITE_IOERR_WRITE.
  int next_code = SQLITE_OK;
  /// The power goes off. All connections must be closed without a checkpoint before.
  void cut(std::mt19937_64& random);

  /// One file: what a power cut leaves for certain, and what was done to it since.
  struct File {
    std::string now;
    std::string synced;
    struct Change {
      std::size_t at;
      std::string bytes;
      bool truncate;
    };
    std::vector<Change> since;
  };
  std::map<std::string, std::shared_ptr<File>> files;

 private:
  std::string name_;
  sqlite3_vfs vfs_{};
};

}  // namespace ebb::sim
