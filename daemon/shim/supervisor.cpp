#include "daemon/shim/supervisor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>

#include "daemon/shim/clock.hpp"
#include "daemon/shim/layout.hpp"

namespace ebb::shim {
namespace {

// inotify wakes us; this is for a file system that does not tell, and for the lease.
constexpr long long kLookEveryMs = 500;
// No order keeps a drain going for longer, whatever its text says.
constexpr long long kLongestDrainMs = 24LL * 3'600'000;

Fd signal_descriptor() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&set, signal);
  return Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

Fd watch_descriptor(const std::string& dir) {
  Fd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (fd.open()) ::inotify_add_watch(fd.get(), dir.c_str(), IN_MOVED_TO | IN_CLOSE_WRITE);
  return fd;
}

void log_line(const std::string& text) { std::fprintf(stderr, "ebb-shim: %s\n", text.c_str()); }

}  // namespace

Supervisor::Supervisor(const Options& options, const EngineId& engine, int log)
    : options_(options),
      engine_(engine),
      log_(log),
      signals_(signal_descriptor()),
      watch_(watch_descriptor(options.dir)) {
  if (options.rl) lease_.emplace(options.ttl.count(), boot_ms());
}

void Supervisor::run() {
  while (!engine_ended()) {
    look_at_orders();
    if (lease_ && phase_ == Phase::running && lease_->lapsed(boot_ms()))
      drain("lease lapsed", options_.drain_timeout.count());
    if (phase_ == Phase::draining && boot_ms() >= deadline_ms_) kill_group(reason_);
    bound_log();
    wait_for_news();
    read_signals();
  }
  finish();
}

void Supervisor::kill_with(const std::string& reason) {
  kill_group(reason);
  run();
}

void Supervisor::wait_for_news() {
  long long wait = kLookEveryMs;
  if (phase_ == Phase::draining) wait = std::min(wait, deadline_ms_ - boot_ms());
  if (phase_ == Phase::running && lease_) wait = std::min(wait, lease_->ends_at_ms() - boot_ms());
  std::array<pollfd, 2> fds{pollfd{signals_.get(), POLLIN, 0}, pollfd{watch_.get(), POLLIN, 0}};
  ::poll(fds.data(), fds.size(), static_cast<int>(std::clamp(wait, 1LL, kLookEveryMs)));
  // What the events say does not matter: the files are read in any case.
  std::array<char, 4096> events{};
  while (::read(watch_.get(), events.data(), events.size()) > 0) {
  }
}

void Supervisor::read_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGCHLD) drain("signal", options_.drain_timeout.count());
  }
}

bool Supervisor::engine_ended() {
  while (true) {
    siginfo_t info{};
    // Only looked at, not reaped: the leader's zombie keeps its pid, and so the group's number, from being reused.
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return false;
    if (info.si_pid == engine_.process.pid) return true;
    ::waitpid(info.si_pid, nullptr, 0);  // an orphan of the engine's
  }
}

void Supervisor::look_at_orders() {
  const auto path = [&](const char* name) { return options_.dir + "/" + name; };
  const long long now = boot_ms();
  if (lease_) {
    const std::optional<std::string> text = read_file(path(kLease), 256);
    lease_->look(text ? order_from(*text) : std::nullopt, now, wall_ms());
  }
  if (phase_ == Phase::killing) return;
  if (::access(path(kEvict).c_str(), F_OK) == 0) return kill_group("evict");
  const std::optional<std::string> text = read_file(path(kDrain), 256);
  if (!text) return;
  // The file stays: only a text not seen before says anything.
  if (*text == drain_seen_) return;
  drain_seen_ = *text;
  const std::optional<Order> order = order_from(*text);
  long long left = options_.drain_timeout.count();
  if (order) left = std::clamp(order->at_ms - order->written_ms.value_or(wall_ms()), 0LL, kLongestDrainMs);
  // A later word may bring the end nearer, never put it off.
  if (phase_ == Phase::draining && now + left < deadline_ms_) {
    deadline_ms_ = now + left;
    announce(left);
  }
  drain("drain", left);
}

void Supervisor::drain(const std::string& reason, long long left_ms) {
  if (phase_ != Phase::running) return;
  phase_ = Phase::draining;
  reason_ = reason;
  deadline_ms_ = boot_ms() + left_ms;
  log_line("draining for " + std::to_string(left_ms) + " ms: " + reason);
  announce(left_ms);
  ::kill(engine_.process.pid, SIGTERM);
}

void Supervisor::kill_group(const std::string& reason) {
  if (phase_ == Phase::killing) return;
  phase_ = Phase::killing;
  reason_ = reason;
  forced_ = true;
  log_line("killing: " + reason);
  announce(0);
  ::kill(-engine_.group, SIGKILL);
  ::kill(engine_.process.pid, SIGKILL);  // it may have moved itself into another group
}

void Supervisor::announce(long long left_ms) const {
  const Status written = replace_file(options_.dir, kLeaving, leaving_text(reason_, wall_ms(), left_ms), Sync::no);
  if (!written.ok()) log_line(written.error().what);
}

void Supervisor::bound_log() const {
  struct stat info {};
  if (::fstat(log_, &info) != 0 || info.st_size <= options_.log_max_bytes) return;
  // Copied and cut, since the engine keeps its descriptor: it appends, so it goes on at the new end. What it prints
  // between the two is lost; a log that fills the disk would cost more.
  const Fd from(::open((options_.dir + "/" + kEngineLog).c_str(), O_RDONLY | O_CLOEXEC));
  const Fd to(::open((options_.dir + "/" + kOldEngineLog).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (from.open() && to.open()) {
    // Only as much as there was: an engine that prints as fast as we copy would keep us here for ever.
    off_t left = info.st_size;
    ssize_t copied = 1;
    for (; left > 0 && copied > 0; left -= copied) {
      copied = ::sendfile(to.get(), from.get(), nullptr, static_cast<std::size_t>(std::min<off_t>(left, 1 << 20)));
    }
  }
  if (::ftruncate(log_, 0) != 0) log_line("cannot cut the engine's log");
}

void Supervisor::finish() {
  ::kill(-engine_.group, SIGKILL);  // the rest of the group; the zombie leader keeps the number ours
  Ending ending;
  ::waitpid(engine_.process.pid, &ending.wait_status, 0);
  take_down_everything();
  ending.reason = reason_;
  ending.forced = forced_;
  ending.at_wall_ms = wall_ms();
  const std::string text = exit_text(ending);
  log_line("ended: " + text.substr(0, text.size() - 1));
  const Status written = replace_file(options_.dir, kExit, text, Sync::yes);
  if (!written.ok()) log_line(written.error().what);
}

}  // namespace ebb::shim
