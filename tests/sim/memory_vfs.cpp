#include "tests/sim/memory_vfs.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>

namespace ebb::sim {
namespace {

constexpr std::size_t kSector = 512;

/// What SQLite holds for an open file; made in memory that SQLite gives.
struct Open {
  sqlite3_file base;
  MemoryVfs* owner;
  std::shared_ptr<MemoryVfs::File>* file;
};

MemoryVfs::File& file_of(sqlite3_file* f) { return **reinterpret_cast<Open*>(f)->file; }
MemoryVfs& owner_of(sqlite3_file* f) { return *reinterpret_cast<Open*>(f)->owner; }

void put(std::string& bytes, const MemoryVfs::File::Change& change, const char* from) {
  if (change.truncate) {
    bytes.resize(change.at);
    return;
  }
  if (bytes.size() < change.at + change.size) bytes.resize(change.at + change.size);
  std::memcpy(bytes.data() + change.at, from, change.size);
}

void all_reach_disk(MemoryVfs::File& file) {
  const char* from = file.written.data();
  for (const MemoryVfs::File::Change& change : file.since) {
    put(file.synced, change, from);
    from += change.size;
  }
  file.since.clear();
  file.written.clear();
}

/// In their order up to one that may be torn.
void first_reach_disk(MemoryVfs::File& file, std::mt19937_64& random) {
  const std::size_t kept = file.since.empty() ? 0 : random() % (file.since.size() + 1);
  const char* from = file.written.data();
  for (std::size_t i = 0; i < kept; ++i) {
    MemoryVfs::File::Change change = file.since[i];
    if (i + 1 == kept) change.size = random() % (change.size + 1);
    put(file.synced, change, from);
    from += file.since[i].size;
  }
}

/// As a disk with a cache may do it: any sectors of any of them.
void some_reach_disk(MemoryVfs::File& file, std::mt19937_64& random) {
  const char* from = file.written.data();
  for (const MemoryVfs::File::Change& change : file.since) {
    if (change.truncate && random() % 2 == 0) put(file.synced, change, from);
    for (std::size_t at = change.at, end = change.at + change.size; at < end;) {
      const std::size_t next = std::min(end, (at / kSector + 1) * kSector);
      if (random() % 2 == 0) put(file.synced, {at, next - at, false}, from + (at - change.at));
      at = next;
    }
    from += change.size;
  }
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
int changed(sqlite3_file* f, const MemoryVfs::File::Change& change, const char* from) {
  if (const int code = owner_of(f).answer(); code != SQLITE_OK) return code;
  MemoryVfs::File& file = file_of(f);
  put(file.now, change, from);
  file.since.push_back(change);
  file.written.append(from, change.size);
  return SQLITE_OK;
}
int write(sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
  return changed(f, {static_cast<std::size_t>(at), static_cast<std::size_t>(n), false}, static_cast<const char*>(from));
}
int truncate(sqlite3_file* f, sqlite3_int64 size) { return changed(f, {static_cast<std::size_t>(size), 0, true}, ""); }
int sync(sqlite3_file* f, int) {
  if (const int code = owner_of(f).answer(); code != SQLITE_OK) return code;
  all_reach_disk(file_of(f));
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
int sector(sqlite3_file*) { return static_cast<int>(kSector); }
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
  if (const int code = of(vfs).answer(); code != SQLITE_OK) return code;
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

MemoryVfs::MemoryVfs(std::uint64_t seed) : seed_(seed) {
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

void MemoryVfs::cut() {
  // A generator of its own for each: how much was written must not change what happens to the rest of the world.
  std::mt19937_64 random(seed_ + 0x9e3779b97f4a7c15ULL * ++cuts_);
  for (auto& [path, file] : files) {
    if (random() % 2 == 0)
      first_reach_disk(*file, random);
    else
      some_reach_disk(*file, random);
    file->since.clear();
    file->written.clear();
    file->now = file->synced;
  }
}

}  // namespace ebb::sim
