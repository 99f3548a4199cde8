#include "daemon/shim/engine.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "daemon/shim/layout.hpp"

namespace ebb::shim {
namespace {

constexpr int kNeverReleased = 125;
constexpr int kCannotExecute = 126;
constexpr int kNoSuchCommand = 127;

void default_signals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void become_engine(const Options& options, int log, const std::vector<Fd>& locks, int gate, pid_t shim) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != shim) ::_exit(kNeverReleased);  // it died before the line above
  char word = 0;
  ssize_t n = 0;
  while ((n = ::read(gate, &word, 1)) < 0 && errno == EINTR) {
  }
  if (n != 1) ::_exit(kNeverReleased);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  for (const Fd& lock : locks) ::fcntl(lock.get(), F_SETFD, 0);
  ::setenv(kTagVariable, options.dir.c_str(), 1);
  default_signals();
  std::vector<char*> argv;
  for (const std::string& argument : options.argv) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  const int error = errno;
  const std::string text = "ebb-shim: cannot execute '" + options.argv[0] + "': " + std::strerror(error) + "\n";
  (void)write_all(STDERR_FILENO, text);
  ::_exit(error == ENOENT ? kNoSuchCommand : kCannotExecute);
}

}  // namespace

Result<HeldEngine> fork_engine(const Options& options, int log, const std::vector<Fd>& locks) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("cannot make a pipe", errno);
  Fd exit_of_gate(ends[0]);
  Fd gate(ends[1]);
  const pid_t shim = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return system_error("cannot fork", errno);
  if (pid == 0) {
    gate.reset();
    become_engine(options, log, locks, exit_of_gate.get(), shim);
  }
  // Both sides set the group: whoever comes first, it is set when the record says so.
  ::setpgid(pid, pid);
  const std::optional<ProcessStat> stat = read_stat(pid);
  if (!stat) return Error{ErrorCode::internal, "cannot read /proc/" + std::to_string(pid) + "/stat", false};
  HeldEngine engine;
  engine.id.process = ProcessId{pid, stat->start_ticks};
  engine.id.group = pid;
  engine.gate = std::move(gate);
  return engine;
}

bool release(HeldEngine& engine) {
  const bool sent = write_all(engine.gate.get(), "x").ok();
  engine.gate.reset();
  return sent;
}

void take_down_everything() {
  // Children first: their own children become ours then (we are the subreaper) and are met in the next round. An
  // unreaped child cannot have lent its pid to anybody, so these numbers are safe to signal.
  constexpr int kPauseMs = 10;
  const pid_t self = ::getpid();
  while (true) {
    for (const ProcessStat& process : all_processes()) {
      if (process.parent == self) ::kill(process.pid, SIGKILL);
    }
    pid_t reaped = 0;
    while ((reaped = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
    }
    if (reaped < 0 && errno == ECHILD) return;
    ::poll(nullptr, 0, kPauseMs);
  }
}

}  // namespace ebb::shim
