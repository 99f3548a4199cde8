#include "adapters/directory/directory_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

namespace ebb {
namespace {

constexpr int kDepthMax = 8;
constexpr std::size_t kFilesMax = 100'000;
// A snapshot that is being deleted: no identity begins with a dot, so nobody takes it for one.
constexpr const char* kRemoved = ".removed-";

Error error_of(int number, const std::string& path) {
  const std::string what = path + ": " + std::generic_category().message(number);
  switch (number) {
    case ENOENT:
    case ENOTDIR: return {ErrorCode::not_found, what, false};
    case EACCES:
    case EPERM:
    case EROFS: return {ErrorCode::denied, what + ": the daemon's user needs rights there", false};
    case ELOOP: return {ErrorCode::invalid, path + ": symbolic links are not followed", false};
    case EMFILE:
    case ENFILE: return {ErrorCode::exhausted, what, true};
    default: return {ErrorCode::internal, what, true};
  }
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] bool open() const { return number_ >= 0; }

 private:
  int number_;
};

/// Opens `path` below `root`, one segment after the other, following no link. "..", "." and empty segments are refused.
Result<Descriptor> open_below(const std::string& root, const std::string& path, int flags) {
  Descriptor at(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at.open()) return error_of(errno, root);
  std::size_t from = 0;
  while (from <= path.size()) {
    const std::size_t slash = std::min(path.find('/', from), path.size());
    const std::string segment = path.substr(from, slash - from);
    if (segment.empty() || segment == "." || segment == ".." || segment.find('\0') != std::string::npos) {
      return Error{ErrorCode::invalid, "no name of a file below a snapshot: " + path, false};
    }
    const bool last = slash == path.size();
    const int how = last ? flags : O_RDONLY | O_DIRECTORY;
    Descriptor next(::openat(at.get(), segment.c_str(), how | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!next.open()) {
      struct stat link {};
      const int number = errno;
      const bool is_link =
          ::fstatat(at.get(), segment.c_str(), &link, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(link.st_mode);
      return error_of(is_link ? ELOOP : number, root + "/" + path);
    }
    if (last) return next;
    at = std::move(next);
    from = slash + 1;
  }
  return Error{ErrorCode::invalid, "no name of a file below a snapshot: " + path, false};
}

/// Adds what is below an open directory; `prefix` stands before the names.
Status walk(int directory, const std::string& prefix, const std::string& shown, int depth,
            std::vector<StoredFile>& out) {
  if (depth > kDepthMax) return Error{ErrorCode::malformed, shown + ": nested deeper than 8 directories", false};
  DIR* entries = ::fdopendir(::dup(directory));
  if (entries == nullptr) return error_of(errno, shown);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(entries)) names.emplace_back(entry->d_name);
  ::closedir(entries);
  for (const std::string& name : names) {
    if (name == "." || name == "..") continue;
    const std::string path = shown + "/" + name;
    struct stat file {};
    if (::fstatat(directory, name.c_str(), &file, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // an uploader renamed it meanwhile
      return error_of(errno, path);
    }
    if (S_ISLNK(file.st_mode)) return error_of(ELOOP, path);
    if (S_ISDIR(file.st_mode)) {
      const Descriptor inner(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!inner.open()) return error_of(errno, path);
      if (Status below = walk(inner.get(), prefix + name + "/", path, depth + 1, out); !below.ok()) return below;
    } else if (S_ISREG(file.st_mode)) {
      if (out.size() >= kFilesMax) return Error{ErrorCode::malformed, shown + ": more than 100,000 files", false};
      out.push_back({prefix + name, file.st_size});
    }
  }
  return Done();
}

Result<std::vector<StoredFile>> list_files(const std::string& root, const std::string& identity) {
  const Result<Descriptor> directory = open_below(root, identity, O_RDONLY | O_DIRECTORY);
  if (!directory.ok()) return directory.error();
  std::vector<StoredFile> out;
  if (Status walked = walk(directory->get(), "", root + "/" + identity, 0, out); !walked.ok()) return walked.error();
  if (out.empty()) return Error{ErrorCode::not_found, root + "/" + identity + " is empty", false};
  std::sort(out.begin(), out.end(), [](const StoredFile& a, const StoredFile& b) { return a.name < b.name; });
  return out;
}

Result<std::string> read_file(const std::string& root, const std::string& path, std::int64_t offset,
                              std::int64_t bytes) {
  const Result<Descriptor> file = open_below(root, path, O_RDONLY);
  if (!file.ok()) return file.error();
  std::string out(static_cast<std::size_t>(std::max<std::int64_t>(bytes, 0)), '\0');
  std::size_t got = 0;
  while (got < out.size()) {
    const ssize_t n = ::pread(file->get(), out.data() + got, out.size() - got, offset + static_cast<off_t>(got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return error_of(errno, root + "/" + path);
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  out.resize(got);
  return out;
}

/// Out of sight first, at once, and then piece by piece; what an earlier one left half deleted goes with it.
Status remove_tree(const std::string& root, const std::string& identity) {
  const std::filesystem::path from(root + "/" + identity), to(root + "/" + kRemoved + identity);
  std::error_code fault;
  std::filesystem::remove_all(to, fault);
  if (!fault && ::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) return error_of(errno, from.string());
  if (!fault) std::filesystem::remove_all(to, fault);
  if (fault) return error_of(fault.value(), to.string());
  return Done();
}

Result<std::vector<Identity>> list_identities(const std::string& root) {
  std::error_code fault;
  std::filesystem::directory_iterator at(root, fault);
  std::vector<Identity> out;
  while (!fault && at != std::filesystem::directory_iterator()) {
    const std::string name = at->path().filename().string();
    std::error_code ignored;
    if (identity_fault(name).empty() && at->symlink_status(ignored).type() == std::filesystem::file_type::directory) {
      out.emplace_back(name);
    }
    at.increment(fault);
  }
  if (fault) return error_of(fault.value(), root);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

DirectoryStore::DirectoryStore(std::string root) : root_(std::move(root)) {}

awaitable<Result<std::vector<Identity>>> DirectoryStore::identities(TimePoint) {
  auto work = [root = root_] { return list_identities(root); };
  co_return co_await worker_.run(std::move(work));
}

awaitable<Result<std::vector<StoredFile>>> DirectoryStore::list(Identity identity, TimePoint) {
  auto work = [root = root_, name = std::move(identity.value)] { return list_files(root, name); };
  co_return co_await worker_.run(std::move(work));
}

awaitable<Result<std::string>> DirectoryStore::read(Identity identity, std::string file, std::int64_t offset,
                                                    std::int64_t bytes, TimePoint) {
  auto work = [root = root_, path = identity.value + "/" + file, offset, bytes] {
    return read_file(root, path, offset, bytes);
  };
  co_return co_await worker_.run(std::move(work));
}

awaitable<Status> DirectoryStore::remove(Identity identity, TimePoint) {
  if (std::string fault = identity_fault(identity.value); !fault.empty()) {
    co_return Error{ErrorCode::invalid, std::move(fault), false};
  }
  auto work = [root = root_, name = std::move(identity.value)] { return remove_tree(root, name); };
  co_return co_await worker_.run(std::move(work));
}

}  // namespace ebb
