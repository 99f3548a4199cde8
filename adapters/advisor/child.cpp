#include "adapters/advisor/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <system_error>
#include <utility>

namespace ebb::advisor {
namespace {

constexpr int kLastWaitMs = 100;

Error failure(const std::string& what, int error) {
  return {ErrorCode::exhausted, what + ": " + std::generic_category().message(error), true};
}

/// The environment as it is, without what is hidden.
std::vector<char*> inherited(const std::set<std::string>& hidden) {
  std::vector<char*> out;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    if (!hidden.contains(std::string(text.substr(0, text.find('='))))) out.push_back(*variable);
  }
  out.push_back(nullptr);
  return out;
}

/// In a group of its own and with ordinary signals: what the daemon ignores or blocks is its own affair. 0 or errno.
int spawned(const std::vector<std::string>& argv, char* const* environment, int in, int out, pid_t& pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  ::posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
  // Not all that libraries open is closed on exec, curl's connections for one.
  ::posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const int error = ::posix_spawnp(&pid, arguments[0], &files, &attributes, arguments.data(), environment);
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  return error;
}

void close_all(std::initializer_list<int> descriptors) {
  for (const int descriptor : descriptors) ::close(descriptor);
}

}  // namespace

Result<std::shared_ptr<Child>> Child::start(boost::asio::any_io_executor executor, const std::vector<std::string>& argv,
                                            const std::set<std::string>& hidden) {
  std::array<int, 2> to{}, from{};
  if (::pipe2(to.data(), O_CLOEXEC) != 0) return failure("cannot make a pipe", errno);
  if (::pipe2(from.data(), O_CLOEXEC) != 0) {
    const int error = errno;
    close_all({to[0], to[1]});
    return failure("cannot make a pipe", error);
  }
  pid_t pid = 0;
  const int error = spawned(argv, inherited(hidden).data(), to[0], from[1], pid);
  close_all({to[0], from[1]});
  if (error != 0) {
    close_all({to[1], from[0]});
    return failure("cannot start " + argv[0], error);
  }
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (process < 0) {
    const int why = errno;
    close_all({to[1], from[0]});
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return failure("cannot watch " + argv[0], why);
  }
  Descriptor input(executor), output(executor), ended(executor);
  boost::system::error_code first, second, third;
  input.assign(to[1], first);
  output.assign(from[0], second);
  ended.assign(process, third);
  if (!second) output.non_blocking(true, second);
  std::shared_ptr<Child> child(new Child(pid, std::move(input), std::move(output), std::move(ended)));
  if (!first && !second && !third) return child;
  if (first) ::close(to[1]);
  if (!child->output_.is_open()) ::close(from[0]);
  if (third) ::close(process);
  return Error{ErrorCode::exhausted, "cannot watch " + argv[0], true};
}

Child::Child(pid_t pid, Descriptor input, Descriptor output, Descriptor ended)
    : pid_(pid), input_(std::move(input)), output_(std::move(output)), ended_(std::move(ended)) {}

Child::~Child() {
  if (reaped_) return;
  kill();
  // One that cannot be killed (a driver that hangs) is left behind: waiting for it would hang the daemon too.
  pollfd end{ended_.is_open() ? ended_.native_handle() : -1, POLLIN, 0};
  ::poll(&end, 1, kLastWaitMs);
  ::waitpid(pid_, nullptr, WNOHANG);
}

void Child::kill() {
  // Until it is reaped its number, which is the group's too, belongs to nobody else.
  if (!reaped_) ::kill(-pid_, SIGKILL);
}

std::string Child::reap() {
  kill();
  int status = 0;
  const pid_t pid = ::waitpid(pid_, &status, WNOHANG);
  reaped_ = true;
  if (pid != pid_) return "ended";
  if (WIFSIGNALED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
  return "ended with exit status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace ebb::advisor
