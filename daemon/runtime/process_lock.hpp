#pragma once

#include <memory>
#include <string>

#include "daemon/model/result.hpp"

namespace ebb {

/// Keeps a second daemon off the same state: a lock on <state_dir>/ebbd.lock for as long as this lives. The kernel lets
/// go of it when the process ends, however it ends.
class ProcessLock {
 public:
  /// `conflict` names the process that holds it. Makes the directory if it is not there (mode 0700).
  static Result<std::unique_ptr<ProcessLock>> take(const std::string& state_dir);
  ~ProcessLock();
  ProcessLock(const ProcessLock&) = delete;
  ProcessLock& operator=(const ProcessLock&) = delete;

 private:
  explicit ProcessLock(int file) : file_(file) {}
  int file_;
};

}  // namespace ebb
