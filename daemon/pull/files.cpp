#include "daemon/pull/files.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

namespace ebb::pull {
namespace {

constexpr std::size_t kNameMax = 1'024;
constexpr std::size_t kSegmentMax = 255;
constexpr std::size_t kCopyBytes = 1u << 20;

off_t offset(std::uint64_t at) { return static_cast<off_t>(at); }

/// Through our memory, for file systems between which the kernel does not copy.
Status copy_by_hand(int from, std::uint64_t from_at, int to, std::uint64_t to_at, std::uint64_t length,
                    const std::string& what) {
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(length, kCopyBytes)));
  while (length > 0) {
    const std::span<std::byte> piece(buffer.data(),
                                     static_cast<std::size_t>(std::min<std::uint64_t>(length, kCopyBytes)));
    Status done = read_exactly(from, from_at, piece, what);
    if (done.ok()) done = write_exactly(to, to_at, piece, what);
    if (!done.ok()) return done;
    from_at += piece.size();
    to_at += piece.size();
    length -= piece.size();
  }
  return Done{};
}

std::string segment_fault(std::string_view segment) {
  if (segment.empty()) return "has an empty part";
  if (segment.size() > kSegmentMax) return "has a part of more than 255 bytes";
  if (segment.front() == '.') return "has a part that begins with a dot";
  for (const char c : segment) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') return "has a control character or a backslash";
  }
  return "";
}

}  // namespace

Error io_error(const std::string& what, int error) {
  ErrorCode code = ErrorCode::internal;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG || error == EMFILE || error == ENFILE || error == ENOMEM)
    code = ErrorCode::exhausted;
  if (error == ENOENT || error == ENOTDIR) code = ErrorCode::not_found;
  if (error == EACCES || error == EPERM || error == EROFS) code = ErrorCode::denied;
  const bool retryable = code == ErrorCode::exhausted || error == EIO || error == ESTALE;
  return Error{code, what + ": " + std::strerror(error), retryable};
}

Result<Fd> open_to_read(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.open()) return io_error("cannot open " + path, errno);
  return fd;
}

Result<Fd> open_to_write(const std::string& below, const std::string& name, std::uint64_t size) {
  const std::string path = below + "/" + name;
  if (name.find('/') != std::string::npos) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
    if (error) return io_error("cannot make the directory of " + path, error.value());
  }
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd.open()) return io_error("cannot create " + path, errno);
  struct stat now {};
  if (::fstat(fd.get(), &now) != 0) return io_error("cannot look at " + path, errno);
  if (now.st_size != offset(size) && ::ftruncate(fd.get(), offset(size)) != 0)
    return io_error("cannot make " + path + " " + std::to_string(size) + " bytes long", errno);
  return fd;
}

Result<struct stat> stat_of(int fd, const std::string& what) {
  struct stat now {};
  if (::fstat(fd, &now) != 0) return io_error("cannot look at " + what, errno);
  return now;
}

Status read_exactly(int fd, std::uint64_t at, std::span<std::byte> out, const std::string& what) {
  while (!out.empty()) {
    const ssize_t n = ::pread(fd, out.data(), out.size(), offset(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("cannot read " + what, errno);
    if (n == 0) return Error{ErrorCode::malformed, what + " ends at byte " + std::to_string(at), false};
    at += static_cast<std::uint64_t>(n);
    out = out.subspan(static_cast<std::size_t>(n));
  }
  return Done{};
}

Status write_exactly(int fd, std::uint64_t at, std::span<const std::byte> bytes, const std::string& what) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), offset(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("cannot write " + what, errno);
    at += static_cast<std::uint64_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return Done{};
}

Status copy_range(int from, std::uint64_t from_at, int to, std::uint64_t to_at, std::uint64_t length,
                  const std::string& what) {
  while (length > 0) {
    off_t source = offset(from_at);
    off_t target = offset(to_at);
    const ssize_t n = ::copy_file_range(from, &source, to, &target, static_cast<std::size_t>(length), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
      return copy_by_hand(from, from_at, to, to_at, length, what);
    if (n < 0) return io_error("cannot copy " + what, errno);
    if (n == 0) return Error{ErrorCode::malformed, what + " ends at byte " + std::to_string(from_at), false};
    from_at += static_cast<std::uint64_t>(n);
    to_at += static_cast<std::uint64_t>(n);
    length -= static_cast<std::uint64_t>(n);
  }
  return Done{};
}

Status sync_file(int fd, const std::string& what) {
  if (::fsync(fd) != 0) return io_error("cannot sync " + what, errno);
  return Done{};
}

Status sync_directory(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.open()) return io_error("cannot open " + path, errno);
  return sync_file(fd.get(), path);
}

Result<std::uint64_t> free_bytes(const std::string& path) {
  struct statvfs now {};
  if (::statvfs(path.c_str(), &now) != 0) return io_error("cannot see how full the disk of " + path + " is", errno);
  return static_cast<std::uint64_t>(now.f_bavail) * now.f_frsize;
}

std::string name_fault(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > kNameMax) return "is longer than 1024 bytes";
  std::size_t from = 0;
  while (from <= name.size()) {
    const std::size_t slash = std::min(name.find('/', from), name.size());
    if (std::string fault = segment_fault(name.substr(from, slash - from)); !fault.empty()) return fault;
    from = slash + 1;
  }
  return "";
}

bool is_hidden(std::string_view name) { return name.starts_with('.') || name.find("/.") != std::string_view::npos; }

bool ends_with(std::string_view text, std::string_view end) { return text.ends_with(end); }

}  // namespace ebb::pull
