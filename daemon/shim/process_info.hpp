// Processes by identity, not by number: a pid means something only together with its start time and the boot.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace ebb::shim {

/// What /proc/<pid>/stat says.
struct ProcessStat {
  pid_t pid = 0;
  char state = '?';
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  unsigned long long start_ticks = 0;  ///< clock ticks since boot
};

/// A process that existed once. Another one with the same pid has another start.
struct ProcessId {
  pid_t pid = 0;
  unsigned long long start_ticks = 0;
  friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

std::optional<ProcessStat> parse_stat(const std::string& text);
/// Nothing when there is no such process.
std::optional<ProcessStat> read_stat(pid_t pid);
/// Everything that runs and is visible, unsorted. Zombies too.
std::vector<ProcessStat> all_processes();
/// /proc/sys/kernel/random/boot_id without its newline; empty when unknown.
std::string boot_id();
/// Whether the process was started with NAME=value. False when its environment cannot be read.
bool has_variable(pid_t pid, const std::string& name_and_value);
/// Sends the signal only if the process is that one; holds it by pidfd while it looks, so none can slip in between.
bool kill_exactly(const ProcessId& target, int signal);

}  // namespace ebb::shim
