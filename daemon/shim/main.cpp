// ebb-shim: lives outside the daemon, beside one replica. See layout.hpp for what it leaves on disk.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "daemon/shim/clock.hpp"
#include "daemon/shim/engine.hpp"
#include "daemon/shim/layout.hpp"
#include "daemon/shim/supervisor.hpp"

namespace ebb::shim {
namespace {

/// What the background half tells the foreground half, which exits with it.
struct Verdict {
  int code = kFailed;
  std::string why;
};

Verdict failed(const std::string& why) { return {kFailed, why}; }

/// Everything above the standard three, which the daemon may have left open: its sockets are not ours to keep.
void close_inherited() {
  if (::close_range(3, ~0u, 0) != 0) {
    for (int fd = 3; fd < 1024; ++fd) ::close(fd);
  }
}

void block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&set, signal);
  ::sigprocmask(SIG_SETMASK, &set, nullptr);
  ::signal(SIGHUP, SIG_IGN);
}

struct Locks {
  Fd alive;
  std::vector<Fd> slots;
};

/// All of them or none. In sorted order, so that two shims that want the same two slots cannot each get one.
Verdict take_locks(const Options& options, Locks& locks) {
  const auto taken = [](const Error& error) { return error.code == ErrorCode::conflict; };
  Result<Fd> alive = take_lock(options.dir + "/" + kAliveLock);
  if (!alive.ok()) return {taken(alive.error()) ? kAlready : kFailed, alive.error().what};
  if (::access((options.dir + "/" + kRecord).c_str(), F_OK) == 0) return {kAlready, "this replica was started before"};
  locks.alive = std::move(*alive);
  std::vector<std::string> slots = options.slots;
  std::sort(slots.begin(), slots.end());
  for (const std::string& slot : slots) {
    Result<Fd> lock = take_lock(options.lock_dir + "/" + file_name(slot) + ".lock");
    if (!lock.ok()) return {taken(lock.error()) ? kRefusedSlot : kFailed, "slot " + slot + ": " + lock.error().what};
    locks.slots.push_back(std::move(*lock));
  }
  const std::string holder = options.replica + " " + std::to_string(::getpid()) + "\n";
  for (const Fd& lock : locks.slots) {
    // For people and for a fleet that meets a held lock without a record; nobody's safety hangs on it.
    if (::ftruncate(lock.get(), 0) == 0) (void)write_all(lock.get(), holder);
  }
  return {kStarted, ""};
}

void report(Fd& channel, const Verdict& verdict) {
  (void)write_all(channel.get(), std::to_string(verdict.code) + " " + verdict.why);
  channel.reset();
}

/// Whether the starter still waits for us. One that gave up has said that nothing runs.
bool report_start(Fd& channel) {
  const bool heard = write_all(channel.get(), std::to_string(kStarted) + " ").ok();
  channel.reset();
  return heard;
}

/// From the locks to the end. Reports over the channel exactly once.
int supervise(const Options& options, Fd channel) {
  Locks locks;
  Verdict verdict = take_locks(options, locks);
  if (verdict.code != kStarted) {
    if (verdict.code == kRefusedSlot) {
      (void)replace_file(options.dir, kRefused, refusal_text(verdict.why, wall_ms()), Sync::no);
    }
    return report(channel, verdict), verdict.code;
  }
  const std::optional<ProcessStat> self = read_stat(::getpid());
  const Fd log(::open((options.dir + "/" + kEngineLog).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!self || !log.open())
    return report(channel, failed("cannot read /proc/self/stat or open the engine's log")), kFailed;
  const ProcessId shim{self->pid, self->start_ticks};
  const std::string boot = boot_id();
  const long long started_at = wall_ms();
  const auto record = [&](const std::optional<EngineId>& engine) {
    return replace_file(options.dir, kRecord, record_text(options, shim, boot, started_at, engine), Sync::yes);
  };
  Status recorded = record(std::nullopt);
  if (!recorded.ok()) return report(channel, failed(recorded.error().what)), kFailed;
  Result<HeldEngine> engine = fork_engine(options, log.get(), locks.slots);
  if (engine.ok()) recorded = record(engine->id);
  if (!engine.ok() || !recorded.ok()) {
    // Without its identity on disk it must not run: the child waits at its gate and is ended there.
    verdict = failed(engine.ok() ? recorded.error().what : engine.error().what);
    take_down_everything();
    ::unlink((options.dir + "/" + kRecord).c_str());
    return report(channel, verdict), kFailed;
  }
  Supervisor supervisor(options, engine->id, log.get());
  if (!report_start(channel)) return supervisor.kill_with("abandoned"), kFailed;
  release(*engine);
  supervisor.run();
  return kStarted;
}

/// The foreground half: waits for the verdict, so that its exit code is the whole answer.
int await_verdict(int channel) {
  std::string text;
  std::array<char, 512> buffer{};
  ssize_t n = 0;
  while ((n = ::read(channel, buffer.data(), buffer.size())) > 0 || (n < 0 && errno == EINTR)) {
    if (n > 0) text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  const std::size_t space = text.find(' ');
  if (space == std::string::npos) {
    std::fprintf(stderr, "ebb-shim: the supervisor ended before it could say why\n");
    return kFailed;
  }
  if (space + 1 < text.size()) std::fprintf(stderr, "ebb-shim: %s\n", text.c_str() + space + 1);
  return std::atoi(text.c_str());
}

int run(const Options& options) {
  close_inherited();
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a file-size limit is an error of write, to be reported like a full disk
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::perror("ebb-shim: pipe"), kFailed;
  Fd listen(ends[0]);
  Fd channel(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return std::perror("ebb-shim: fork"), kFailed;
  if (pid > 0) {
    channel.reset();
    return await_verdict(listen.get());
  }
  listen.reset();
  block_signals();
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  // What is said from here on goes to a file: the starter's terminal or journal is not ours to hold open.
  const Fd log(::open((options.dir + "/" + kShimLog).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  ::dup2(null.get(), STDIN_FILENO);
  ::dup2(log.open() ? log.get() : null.get(), STDOUT_FILENO);
  ::dup2(log.open() ? log.get() : null.get(), STDERR_FILENO);
  return supervise(options, std::move(channel));
}

}  // namespace
}  // namespace ebb::shim

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() == 1 && args[0] == "--help") {
    std::fputs(ebb::shim::usage().c_str(), stdout);
    return 0;
  }
  const ebb::Result<ebb::shim::Options> options = ebb::shim::parse_options(args);
  if (!options.ok()) {
    std::fprintf(stderr, "ebb-shim: %s\n%s", options.error().what.c_str(), ebb::shim::usage().c_str());
    return ebb::shim::kUsage;
  }
  return ebb::shim::run(*options);
}
