// What tests with real processes share: a directory that goes away, waiting for conditions, and the certainty that no
// process outlives the test, also when it fails.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "daemon/shim/files.hpp"
#include "daemon/shim/layout.hpp"
#include "daemon/shim/process_info.hpp"

namespace ebb::test {

inline const std::string kShimProgram = std::string(EBB_BIN_DIR) + "/ebb-shim";
inline const std::string kEngineProgram = std::string(EBB_BIN_DIR) + "/ebb-test-engine";

/// Looks every 5 ms for at most 20 s; enough for the slowest of machines under a sanitizer, and not waited for.
inline bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < until) {
    if (condition()) return true;
    ::poll(nullptr, 0, 5);
  }
  return condition();
}

inline pid_t start(const std::vector<std::string>& argv, char* const* environment = environ) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = 0;
  if (::posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments.data(), environment) != 0) return -1;
  return pid;
}

inline int exit_code_of(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// Exists and is no zombie.
inline bool runs(pid_t pid) {
  const auto stat = shim::read_stat(pid);
  return stat && stat->state != 'Z' && stat->state != 'X';
}

inline nlohmann::json json_file(const std::string& path) {
  const auto text = shim::read_file(path);
  return text ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
}

inline void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

/// Kills and reaps every descendant: as the subreaper this process inherits the orphans.
inline void end_descendants() {
  while (true) {
    for (const shim::ProcessStat& process : shim::all_processes()) {
      if (process.parent == ::getpid()) ::kill(process.pid, SIGKILL);
    }
    pid_t reaped = 0;
    while ((reaped = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
    }
    if (reaped < 0) return;
    ::poll(nullptr, 0, 5);
  }
}

class WithProcesses : public ::testing::Test {
 protected:
  WithProcesses() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::string text = (std::filesystem::temp_directory_path() / "ebb-test-XXXXXX").string();
    base_ = ::mkdtemp(text.data());
  }
  ~WithProcesses() override {
    end_descendants();
    std::error_code error;
    std::filesystem::remove_all(base_, error);
  }
  std::string base_;
};

}  // namespace ebb::test
