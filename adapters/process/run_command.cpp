#include "adapters/process/run_command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "daemon/shim/files.hpp"

namespace ebb::process {
namespace {

using shim::Fd;
using shim::system_error;

constexpr std::size_t kMostOutput = 1u << 20;

/// What posix_spawn is told, freed with its owner.
class SpawnPlan {
 public:
  SpawnPlan() {
    ::posix_spawn_file_actions_init(&files_);
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    ::posix_spawn_file_actions_addopen(&files_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&files_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  void output_to(int out, int err) {
    ::posix_spawn_file_actions_adddup2(&files_, out, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&files_, err, STDERR_FILENO);
  }
  Result<pid_t> spawn(const std::vector<std::string>& argv, char* const* environment) {
    std::vector<char*> arguments;
    for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    // Libraries open sockets without O_CLOEXEC; a child that hangs would keep them, and what polls them here awake.
    ::posix_spawn_file_actions_addclosefrom_np(&files_, STDERR_FILENO + 1);
    pid_t pid = 0;
    const int error = ::posix_spawnp(&pid, arguments[0], &files_, &attributes_, arguments.data(), environment);
    if (error == ENOENT || error == EACCES) return Error{ErrorCode::not_found, "cannot execute " + argv[0], false};
    if (error != 0) return system_error("cannot start " + argv[0], error);
    return pid;
  }

 private:
  posix_spawn_file_actions_t files_{};
  posix_spawnattr_t attributes_{};
};

Fd timer(Duration after) {
  Fd fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  const long long ms = std::max<long long>(after.count(), 1);
  itimerspec spec{};
  spec.it_value.tv_sec = static_cast<time_t>(ms / 1000);
  spec.it_value.tv_nsec = static_cast<long>(ms % 1000) * 1'000'000;
  ::timerfd_settime(fd.get(), 0, &spec, nullptr);
  return fd;
}

/// Reads until the program has ended; false when the time is up first.
bool read_until_end(int out, int process, int clock, std::string& text) {
  std::array<pollfd, 3> fds{pollfd{out, POLLIN, 0}, pollfd{process, POLLIN, 0}, pollfd{clock, POLLIN, 0}};
  std::array<char, 8192> buffer{};
  while (true) {
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return false;
    if (fds[0].revents != 0) {
      const ssize_t n = ::read(out, buffer.data(), buffer.size());
      if (n > 0 && text.size() < kMostOutput) text.append(buffer.data(), static_cast<std::size_t>(n));
      if (n <= 0) fds[0].fd = -1;
      continue;
    }
    if (fds[1].revents != 0) return true;
    if (fds[2].revents != 0) return false;
  }
}

}  // namespace

Result<CommandOutput> run_command(const std::vector<std::string>& argv, Duration timeout) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("cannot make a pipe", errno);
  const Fd out(ends[0]);
  Fd in(ends[1]);
  SpawnPlan plan;
  plan.output_to(in.get(), in.get());
  const Result<pid_t> pid = plan.spawn(argv, environ);
  in.reset();
  if (!pid.ok()) return pid.error();
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
  const Fd clock = timer(timeout);
  CommandOutput result;
  const bool ended =
      process.open() && clock.open() && read_until_end(out.get(), process.get(), clock.get(), result.out);
  int status = 0;
  if (!ended) {
    // One that cannot be killed (a driver that hangs) is left behind: waiting for it would hang the worker too.
    ::kill(*pid, SIGKILL);
    pollfd end{process.get(), POLLIN, 0};
    ::poll(&end, 1, 100);
    ::waitpid(*pid, &status, WNOHANG);
    return Error{ErrorCode::timeout, argv[0] + " did not end within " + to_text(timeout), true};
  }
  ::waitpid(*pid, &status, 0);
  if (!WIFEXITED(status)) return Error{ErrorCode::internal, argv[0] + " was killed by a signal", true};
  result.exit_code = WEXITSTATUS(status);
  return result;
}

Result<pid_t> start_command(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
                            const std::string& log) {
  const Fd out(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!out.open()) return system_error("cannot open " + log, errno);
  std::vector<char*> variables;
  for (const std::string& variable : environment) variables.push_back(const_cast<char*>(variable.c_str()));
  variables.push_back(nullptr);
  SpawnPlan plan;
  plan.output_to(out.get(), out.get());
  return plan.spawn(argv, variables.data());
}

std::string find_program(const std::string& name) {
  const auto runs = [](const std::string& path) {
    std::error_code error;
    return std::filesystem::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string::npos) return runs(name) ? name : "";
  const char* variable = std::getenv("PATH");
  std::string path = variable == nullptr ? "/usr/bin:/bin" : variable;
  while (!name.empty() && !path.empty()) {
    const std::size_t colon = std::min(path.find(':'), path.size());
    const std::string candidate = path.substr(0, colon) + "/" + name;
    if (colon > 0 && runs(candidate)) return candidate;
    path.erase(0, colon + 1);
  }
  return "";
}

}  // namespace ebb::process
