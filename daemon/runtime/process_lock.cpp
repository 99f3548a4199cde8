#include "daemon/runtime/process_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace ebb {
namespace {

Error failed(const std::string& doing, int number) {
  const ErrorCode code = number == EACCES || number == EPERM || number == EROFS ? ErrorCode::denied : ErrorCode::internal;
  return {code, doing + ": " + std::strerror(number), false};
}

std::string holder_of(int file) {
  std::array<char, 32> text{};
  const ssize_t n = ::pread(file, text.data(), text.size() - 1, 0);
  std::string holder(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  while (!holder.empty() && holder.back() == '\n') holder.pop_back();
  return holder.empty() ? "unknown" : holder;
}

}  // namespace

Result<std::unique_ptr<ProcessLock>> ProcessLock::take(const std::string& state_dir) {
  std::error_code problem;
  if (std::filesystem::create_directories(state_dir, problem)) ::chmod(state_dir.c_str(), 0700);
  if (problem) return failed("cannot make the state directory " + state_dir, problem.value());
  const std::string path = state_dir + "/ebbd.lock";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return failed("cannot open " + path, errno);
  std::unique_ptr<ProcessLock> lock(new ProcessLock(file));
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    return Error{ErrorCode::conflict,
                 "another ebbd (process " + holder_of(file) + ") runs on " + state_dir + "; stop it, or use another state_dir",
                 false};
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  // The pid is for people and may be missing; the lock is what counts.
  if (::ftruncate(file, 0) == 0) (void)!::pwrite(file, pid.data(), pid.size(), 0);
  return lock;
}

ProcessLock::~ProcessLock() { ::close(file_); }

}  // namespace ebb
