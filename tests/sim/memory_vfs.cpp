#include "tests/sim/memory_vfs.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace ebb::sim {
namespace {

/// What SQLite holds for an open file; made in memory that SQLite gives.
struct Open {
  sqlite3_file base;
  MemoryVfs* owner;
  std::shared_ptr<MemoryVfs::File>* file;
};

MemoryVfs::File& file_of(sqlite3_file* f) { return **reinterpret_cast<Open*>(f)->file; }
int refusal(sqlite3_file* f) { return reinterpret_cast<Open*>(f)->owner->next_code; }

void put(std::string& bytes, const MemoryVfs::File::Change& change) {
  if (change.truncate) {
    bytes.resize(change.at);
    return;
  }
  if (bytes.size() < change.at + change.bytes.size()) bytes.resize(change.at + change.bytes.size());
  bytes.replace(change.at, change.bytes.size(), change.bytes);
}

int close(sqlite3_file* f) {
  delete reinterpret_cast<Open*>(f)->file;
  return SQLITE_OK;
}
int read(sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
  const std::string& bytes = file_of(f).now;
  const auto from = std::min(static_cast<std::size_t>(at), bytes.size());
  const auto count = std::min(static_cast<std::size_t>(n), bytes.size() - from);
  std::memcpy(to, bytes.data() + from, count);
  if (count == static_cast<std::size_t>(n)) return SQLITE_OK;
  std::memset(static_cast<char*>(to) + count, 0, static_cast<std::size_t>(n) - count);
  return SQLITE_IOERR_SHORT_READ;
}
int changed(sqlite3_file* f, MemoryVfs::File::Change change) {
  if (refusal(f) != SQLITE_OK) return refusal(f);
  put(file_of(f).now, change);
  file_of(f).since.push_back(std::move(change));
  return SQLITE_OK;
}
int write(sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
  return changed(f, {static_cast<std::size_t>(at),
                     std::string(static_cast<const char*>(from), static_cast<std::size_t>(n)), false});
}
int truncate(sqlite3_file* f, sqlite3_int64 size) { return changed(f, {static_cast<std::size_t>(size), "", true}); }
int sync(sqlite3_file* f, int) {
  if (refusal(f) != SQLITE_OK) return refusal(f);
  for (const auto& change : file_of(f).since) put(file_of(f).synced, change);
  file_of(f).since.clear();
  return SQLITE_OK;
}
int size(sqlite3_file* f, sqlite3_int64* out) {
  *out = static_cast<sqlite3_int64>(file_of(f).now.size());
  return SQLITE_OK;
}
int lock(sqlite3_file*, int) { return SQLITE_OK; }
int reserved(sqlite3_file*, int* out) {
  *out = 0;
  return SQLITE_OK;
}
int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
// Smaller than a page: after each commit the log is padded to a whole sector.
int sector(sqlite3_file*) { return 512; }
int traits(sqlite3_file*) { return 0; }

// Version 1: no shared memory. The one connection holds its locks for good, and keeps the WAL's index to itself.
const sqlite3_io_methods kMethods{1,       close,   read,     write,   truncate, sync,   size,
                                  lock,    lock,    reserved, control, sector,   traits, nullptr,
                                  nullptr, nullptr, nullptr,  nullptr, nullptr};

MemoryVfs& of(sqlite3_vfs* vfs) { return *static_cast<MemoryVfs*>(vfs->pAppData); }
sqlite3_vfs& system_vfs() { return *sqlite3_vfs_find(nullptr); }

int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* f, int flags, int* out_flags) {
  auto* mine = reinterpret_cast<Open*>(f);
  std::shared_ptr<MemoryVfs::File> file;
  if (name == nullptr) {
    file = std::make_shared<MemoryVfs::File>();  // temporary
  } else {
    auto& kept = of(vfs).files[name];
    if (kept == nullptr) kept = std::make_shared<MemoryVfs::File>();
    file = kept;
  }
  mine->owner = &of(vfs);
  mine->file = new std::shared_ptr<MemoryVfs::File>(std::move(file));
  mine->base.pMethods = &kMethods;
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}
int remove(sqlite3_vfs* vfs, const char* name, int) {
  if (of(vfs).next_code != SQLITE_OK) return of(vfs).next_code;
  return of(vfs).files.erase(name) > 0 ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
}
int access(sqlite3_vfs* vfs, const char* name, int, int* out) {
  const auto found = of(vfs).files.find(name);
  *out = found != of(vfs).files.end() && !found->second->now.empty() ? 1 : 0;
  return SQLITE_OK;
}
int full_path(sqlite3_vfs*, const char* name, int n, char* out) {
  sqlite3_snprintf(n, out, "%s", name);
  return SQLITE_OK;
}
// Randomness and time only salt the WAL; a run is the same from its seed all the same, for nothing depends on them.
int randomness(sqlite3_vfs*, int n, char* out) {
  std::memset(out, 7, static_cast<std::size_t>(n));
  return n;
}
int nap(sqlite3_vfs*, int) { return 0; }
int time_of_day(sqlite3_vfs*, double* out) {
  *out = 2'460'000.5;
  return SQLITE_OK;
}
int last_error(sqlite3_vfs*, int, char*) { return 0; }

}  // namespace

MemoryVfs::MemoryVfs() {
  static std::atomic<int> count{0};
  name_ = "ebb-sim-" + std::to_string(++count);
  vfs_.iVersion = 1;
  vfs_.szOsFile = sizeof(Open);
  vfs_.mxPathname = system_vfs().mxPathname;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = open;
  vfs_.xDelete = remove;
  vfs_.xAccess = access;
  vfs_.xFullPathname = full_path;
  vfs_.xRandomness = randomness;
  vfs_.xSleep = nap;
  vfs_.xCurrentTime = time_of_day;
  vfs_.xGetLastError = last_error;
  sqlite3_vfs_register(&vfs_, 0);
}

MemoryVfs::~MemoryVfs() { sqlite3_vfs_unregister(&vfs_); }

void MemoryVfs::cut(std::mt19937_64& random) {
  for (auto& [path, file] : files) {
    // Some writes reached the disk before the power went, in their order; the last of them perhaps in part.
    const std::size_t kept = file->since.empty() ? 0 : random() % (file->since.size() + 1);
    for (std::size_t i = 0; i < kept; ++i) {
      File::Change change = std::move(file->since[i]);
      if (i + 1 == kept && !change.truncate) change.bytes.resize(random() % (change.bytes.size() + 1));
      put(file->synced, change);
    }
    file->since.clear();
    file->now = file->synced;
  }
}

}  // namespace ebb::sim
