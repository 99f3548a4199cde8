#include "daemon/runtime/sd_notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "daemon/runtime/system_clock.hpp"

namespace ebb {
namespace {

std::string taken(const char* name) {
  const char* value = std::getenv(name);
  std::string out = value == nullptr ? "" : value;
  ::unsetenv(name);
  return out;
}

std::optional<std::int64_t> number(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

SdNotify::SdNotify() : address_(taken("NOTIFY_SOCKET")) {
  const auto every_us = number(taken("WATCHDOG_USEC"));
  const std::string whom = taken("WATCHDOG_PID");
  // The variable may have been inherited from a parent that systemd watches.
  const bool us = whom.empty() || number(whom) == std::int64_t{::getpid()};
  if (every_us && *every_us > 0 && us) interval_ = std::max(Duration{*every_us / 2'000}, Duration{1});
  const bool local = !address_.empty() && (address_[0] == '/' || address_[0] == '@');
  if (local && address_.size() < sizeof(sockaddr_un::sun_path)) {
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  }
}

SdNotify::~SdNotify() {
  if (socket_ >= 0) ::close(socket_);
}

void SdNotify::send(const std::string& message, Keep keep) {
  if (socket_ < 0) return;
  sockaddr_un target{};
  target.sun_family = AF_UNIX;
  std::memcpy(target.sun_path, address_.data(), address_.size());
  // "@name" is an abstract address: a leading NUL, and no trailing one counted.
  if (target.sun_path[0] == '@') target.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  const std::string whole = owed_.empty() ? message : owed_ + "\n" + message;
  const ssize_t sent =
      ::sendto(socket_, whole.data(), whole.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&target), length);
  if (sent >= 0) {
    owed_.clear();
  } else if (keep == Keep::yes) {
    // Only the newest change of state matters.
    owed_ = message;
  }
}

void SdNotify::ready() { send("READY=1", Keep::yes); }
void SdNotify::stopping() { send("STOPPING=1", Keep::yes); }
void SdNotify::watchdog() { send("WATCHDOG=1", Keep::no); }

void SdNotify::status(const std::string& line) {
  // A line break would begin another assignment.
  std::string text = line;
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r' || c == '\0'; }, ' ');
  send("STATUS=" + text, Keep::no);
}

void SdNotify::reloading() { send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_us()), Keep::yes); }

}  // namespace ebb
