#pragma once

#include <memory>
#include <string>

#include "daemon/model/result.hpp"

namespace ebb {

/// Keeps a second process off the same state: a file lock for as long as this lives. The kernel lets go of it when the
/// process ends, however it ends; the file stays and means nothing by itself.
class ProcessLock {
 public:
  /// <state_dir>/ebbd.lock. `conflict` names the process that holds it. Makes the directory if it is not there (mode
  /// 0700).
  static Result<std::unique_ptr<ProcessLock>> take(const std::string& state_dir);
  /// A lock on `path` itself, for `what` as people call it.
  static Result<std::unique_ptr<ProcessLock>> take_file(const std::string& path, const std::string& what);
  ~ProcessLock();
  ProcessLock(const ProcessLock&) = delete;
  ProcessLock& operator=(const ProcessLock&) = delete;

 private:
  explicit ProcessLock(int file) : file_(file) {}
  int file_;
};

}  // namespace ebb
