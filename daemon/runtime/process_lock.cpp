#include "daemon/runtime/process_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

namespace ebb {
namespace {

Error failed(const std::string& doing, int number) {
  const bool denied = number == EACCES || number == EPERM || number == EROFS;
  const bool full = number == ENOSPC || number == EDQUOT || number == EMFILE || number == ENFILE;
  const ErrorCode code = denied ? ErrorCode::denied : full ? ErrorCode::exhausted : ErrorCode::internal;
  return {code, doing + ": " + std::generic_category().message(number), false};
}

/// The pid in the file. The holder writes it after it has the lock, so that for a moment it may not be there.
std::string holder_of(int file) {
  std::array<char, 32> text{};
  const ssize_t n = ::pread(file, text.data(), text.size() - 1, 0);
  const std::string all(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  const std::string pid = all.substr(0, all.find_first_not_of("0123456789"));
  return pid.empty() ? "another process" : "process " + pid;
}

}  // namespace

Result<std::unique_ptr<ProcessLock>> ProcessLock::take(const std::string& state_dir) {
  std::error_code problem;
  if (std::filesystem::create_directories(state_dir, problem)) ::chmod(state_dir.c_str(), 0700);
  if (problem) return failed("cannot make the state directory " + state_dir, problem.value());
  return take_file(state_dir + "/ebbd.lock", "the state directory " + state_dir);
}

Result<std::unique_ptr<ProcessLock>> ProcessLock::take_file(const std::string& path, const std::string& what) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return failed("cannot open " + path, errno);
  std::unique_ptr<ProcessLock> lock(new ProcessLock(file));
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed("cannot lock " + path, errno);
    return Error{
        ErrorCode::conflict,
        what + " is in use by " + holder_of(file) + " (it holds " + path + "); stop that one, or use another path",
        false};
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  // The pid is for people and may be missing, on a full disk for instance; the lock is what counts.
  if (::ftruncate(file, 0) == 0) (void)!::pwrite(file, pid.data(), pid.size(), 0);
  return lock;
}

ProcessLock::~ProcessLock() { ::close(file_); }

}  // namespace ebb
