#include "tests/runtime/faulty_vfs.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace ebb::test {
namespace {

/// What SQLite holds for an open file; the system's own file object stands right behind it.
struct File {
  sqlite3_file base;
  FaultyVfs* faults;
  std::string* path;
};

sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<sqlite3_file*>(reinterpret_cast<File*>(file) + 1); }
FaultyVfs& faults(sqlite3_file* file) { return *reinterpret_cast<File*>(file)->faults; }

int close(sqlite3_file* file) {
  const int code = real(file)->pMethods->xClose(real(file));
  delete reinterpret_cast<File*>(file)->path;
  return code;
}
int read(sqlite3_file* file, void* to, int n, sqlite3_int64 at) {
  return real(file)->pMethods->xRead(real(file), to, n, at);
}
int write(sqlite3_file* file, const void* from, int n, sqlite3_int64 at) {
  if (const auto code = faults(file).refuses()) return *code;
  return real(file)->pMethods->xWrite(real(file), from, n, at);
}
int truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (const auto code = faults(file).refuses()) return *code;
  return real(file)->pMethods->xTruncate(real(file), size);
}
int sync(sqlite3_file* file, int flags) {
  if (const auto code = faults(file).refuses()) return *code;
  // The disk itself is not asked to sync: what it would hold then is remembered instead.
  (void)flags;
  faults(file).synced(*reinterpret_cast<File*>(file)->path);
  return SQLITE_OK;
}
int size(sqlite3_file* file, sqlite3_int64* out) { return real(file)->pMethods->xFileSize(real(file), out); }
int lock(sqlite3_file* file, int level) { return real(file)->pMethods->xLock(real(file), level); }
int unlock(sqlite3_file* file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }
int reserved(sqlite3_file* file, int* out) { return real(file)->pMethods->xCheckReservedLock(real(file), out); }
int control(sqlite3_file* file, int op, void* arg) { return real(file)->pMethods->xFileControl(real(file), op, arg); }
int sector(sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); }
// None: no atomic writes, no safe append; SQLite must do everything itself.
int traits(sqlite3_file*) { return 0; }
int shm_map(sqlite3_file* file, int page, int n, int extend, void volatile** out) {
  return real(file)->pMethods->xShmMap(real(file), page, n, extend, out);
}
int shm_lock(sqlite3_file* file, int offset, int n, int flags) {
  return real(file)->pMethods->xShmLock(real(file), offset, n, flags);
}
void shm_barrier(sqlite3_file* file) { real(file)->pMethods->xShmBarrier(real(file)); }
int shm_unmap(sqlite3_file* file, int remove) { return real(file)->pMethods->xShmUnmap(real(file), remove); }

// Version 2: shared memory for the WAL, but no memory-mapped reads.
const sqlite3_io_methods kMethods{2,        close,       read,      write,   truncate, sync,   size,
                                  lock,     unlock,      reserved,  control, sector,   traits, shm_map,
                                  shm_lock, shm_barrier, shm_unmap, nullptr, nullptr};

FaultyVfs& of(sqlite3_vfs* vfs) { return *static_cast<FaultyVfs*>(vfs->pAppData); }

int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* mine = reinterpret_cast<File*>(file);
  mine->base.pMethods = nullptr;
  const int code = of(vfs).system().xOpen(&of(vfs).system(), name, real(file), flags, out_flags);
  if (code != SQLITE_OK) return code;
  mine->faults = &of(vfs);
  mine->path = new std::string(name == nullptr ? "" : name);
  mine->base.pMethods = &kMethods;
  return SQLITE_OK;
}
int remove(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  if (const auto code = of(vfs).refuses()) return *code;
  return of(vfs).system().xDelete(&of(vfs).system(), name, sync_directory);
}
int access(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
  return of(vfs).system().xAccess(&of(vfs).system(), name, flags, out);
}
int full_path(sqlite3_vfs* vfs, const char* name, int n, char* out) {
  return of(vfs).system().xFullPathname(&of(vfs).system(), name, n, out);
}

std::string content(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

}  // namespace

FaultyVfs::FaultyVfs() : system_(sqlite3_vfs_find(nullptr)) {
  static std::atomic<int> count{0};
  name_ = "faulty-" + std::to_string(++count);
  vfs_ = *system_;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + system_->szOsFile;
  vfs_.pNext = nullptr;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = open;
  vfs_.xDelete = remove;
  vfs_.xAccess = access;
  vfs_.xFullPathname = full_path;
  sqlite3_vfs_register(&vfs_, 0);
}

FaultyVfs::~FaultyVfs() { sqlite3_vfs_unregister(&vfs_); }

void FaultyVfs::fail_after(long writes, int code) {
  code_ = code;
  left_ = writes;
}

std::optional<int> FaultyVfs::refuses() {
  ++writes_;
  if (left_ == kNever) return std::nullopt;
  if (left_ == 0) return code_.load();
  --left_;
  return std::nullopt;
}

void FaultyVfs::synced(const std::string& path) {
  if (!watching_) return;
  const std::lock_guard lock(mutex_);
  synced_[path] = content(path);
}

void FaultyVfs::restore_synced(const std::string& database) {
  const std::lock_guard lock(mutex_);
  // Shared memory does not outlive the machine.
  std::filesystem::remove(database + "-shm");
  for (const std::string& path : {database, database + "-wal"}) {
    const auto image = synced_.find(path);
    if (image == synced_.end())
      std::filesystem::remove(path);
    else
      std::ofstream(path, std::ios::binary | std::ios::trunc) << image->second;
  }
}

}  // namespace ebb::test
