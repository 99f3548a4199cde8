#include "daemon/shim/process_info.hpp"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <memory>
#include <sstream>

#include "daemon/shim/files.hpp"

namespace ebb::shim {

std::optional<ProcessStat> parse_stat(const std::string& text) {
  // The name stands in parentheses and may hold spaces and parentheses itself: the last one ends it.
  const std::size_t end = text.rfind(')');
  if (end == std::string::npos) return std::nullopt;
  ProcessStat stat;
  std::istringstream head(text.substr(0, text.find(' ')));
  std::istringstream rest(text.substr(end + 1));
  head >> stat.pid;
  rest >> stat.state >> stat.parent >> stat.group >> stat.session;
  // Fields 7 to 21 stand between the session (6) and the start time (22).
  std::string skipped;
  for (int field = 7; field <= 21; ++field) rest >> skipped;
  rest >> stat.start_ticks;
  if (!head || !rest) return std::nullopt;
  return stat;
}

std::optional<ProcessStat> read_stat(pid_t pid) {
  const std::optional<std::string> text = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  return text ? parse_stat(*text) : std::nullopt;
}

std::vector<ProcessStat> all_processes() {
  std::vector<ProcessStat> out;
  struct Close {
    void operator()(DIR* open) const { ::closedir(open); }
  };
  const std::unique_ptr<DIR, Close> dir(::opendir("/proc"));
  if (!dir) return out;
  while (const dirent* entry = ::readdir(dir.get())) {
    pid_t pid = 0;
    const char* end = entry->d_name + std::strlen(entry->d_name);
    if (std::from_chars(entry->d_name, end, pid).ptr != end) continue;
    if (const std::optional<ProcessStat> stat = read_stat(pid)) out.push_back(*stat);
  }
  return out;
}

std::string boot_id() {
  std::string text = read_file("/proc/sys/kernel/random/boot_id", 64).value_or("");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool has_variable(pid_t pid, const std::string& name_and_value) {
  const std::optional<std::string> text = read_file("/proc/" + std::to_string(pid) + "/environ", 2u << 20);
  if (!text) return false;
  const std::string framed = std::string(1, '\0') + *text;
  return framed.find(std::string(1, '\0') + name_and_value + '\0') != std::string::npos;
}

bool kill_exactly(const ProcessId& target, int signal) {
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, target.pid, 0)));
  if (!process.open()) return false;
  const std::optional<ProcessStat> stat = read_stat(target.pid);
  if (!stat || stat->start_ticks != target.start_ticks) return false;
  return ::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0) == 0;
}

}  // namespace ebb::shim
