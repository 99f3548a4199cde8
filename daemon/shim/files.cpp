#include "daemon/shim/files.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace ebb::shim {
namespace {

// A probe holds its shared lock for microseconds. Thirty tries 10 ms apart outlast a hundred probing daemons.
constexpr int kLockTries = 30;
constexpr int kLockPauseMs = 10;

bool sync_directory(const std::string& dir) {
  const Fd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd.open() && ::fsync(fd.get()) == 0;
}

/// Length of the well-formed UTF-8 sequence at the start of `text`; 0 when there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xC2 && lead < 0xE0   ? 2
                             : lead >= 0xE0 && lead < 0xF0 ? 3
                             : lead >= 0xF0 && lead < 0xF5 ? 4
                                                           : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and what lies beyond U+10FFFF.
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F)) return 0;
  if ((lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) return 0;
  return length;
}

std::optional<long long> take_number(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.remove_prefix(1);
  long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Error system_error(const std::string& what, int error) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EMFILE || error == ENFILE || error == EAGAIN;
  return Error{full ? ErrorCode::exhausted : ErrorCode::internal, what + ": " + std::strerror(error), full};
}

std::optional<std::string> read_file(const std::string& path, std::size_t max) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.open()) return std::nullopt;
  std::string text;
  std::array<char, 4096> buffer{};
  while (text.size() < max) {
    const ssize_t n = ::read(fd.get(), buffer.data(), std::min(buffer.size(), max - text.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

std::string last_line(const std::string& path) {
  constexpr off_t kTail = 4096;
  constexpr std::size_t kLongest = 200;
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.open()) return "";
  const off_t end = ::lseek(fd.get(), 0, SEEK_END);
  std::string text(static_cast<std::size_t>(kTail), '\0');
  const ssize_t n = ::pread(fd.get(), text.data(), text.size(), std::max<off_t>(0, end - kTail));
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  if (last == std::string::npos) return "";
  text.resize(last + 1);
  const std::size_t start = text.find_last_of('\n');
  if (start != std::string::npos) text.erase(0, start + 1);
  if (text.size() > kLongest) text.resize(kLongest);
  return printable(text);
}

Status write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("write", errno);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return Done{};
}

Status replace_file(const std::string& dir, const std::string& name, std::string_view text, Sync sync) {
  // The writer's pid in the name: two daemons that give the same order must not write into one temporary file.
  const std::string path = dir + "/" + name;
  const std::string temporary = path + ".tmp." + std::to_string(::getpid());
  Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (!fd.open()) return system_error("cannot create " + temporary, errno);
  Status written = write_all(fd.get(), text);
  if (written.ok() && sync == Sync::yes && ::fsync(fd.get()) != 0)
    written = system_error("cannot sync " + temporary, errno);
  fd.reset();
  if (written.ok() && ::rename(temporary.c_str(), path.c_str()) != 0)
    written = system_error("cannot rename to " + path, errno);
  if (!written.ok()) {
    ::unlink(temporary.c_str());
    return written;
  }
  if (sync == Sync::yes && !sync_directory(dir)) return system_error("cannot sync " + dir, errno);
  return Done{};
}

std::optional<Order> order_from(std::string_view text) {
  const std::optional<long long> at = take_number(text);
  if (!at) return std::nullopt;
  return Order{*at, take_number(text)};
}

std::string to_text(const Order& order) {
  std::string text = std::to_string(order.at_ms);
  if (order.written_ms) text += " " + std::to_string(*order.written_ms);
  return text + "\n";
}

LockState probe_lock(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.open()) return errno == ENOENT ? LockState::absent : LockState::held;  // unreadable: nobody may count on it
  if (::flock(fd.get(), LOCK_SH | LOCK_NB) == 0) return LockState::free;
  return LockState::held;
}

Result<Fd> take_lock(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.open()) return system_error("cannot open " + path, errno);
  for (int i = 0; i < kLockTries; ++i) {
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
    if (errno != EWOULDBLOCK && errno != EINTR) return system_error("cannot lock " + path, errno);
    ::poll(nullptr, 0, kLockPauseMs);
  }
  return Error{ErrorCode::conflict, path + " is locked by somebody else", false};
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const bool control = length == 1 && (static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7F);
    if (length == 0 || control) {
      out += '?';
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : printable(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace ebb::shim
