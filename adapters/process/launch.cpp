#include "adapters/process/launch.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "daemon/shim/files.hpp"

namespace ebb::process {
namespace {

/// Whether a server could listen there. With `past_connections` also when closed connections of the server before still
/// linger (TIME_WAIT, a minute): every server that sets SO_REUSEADDR can, and nearly all do.
bool is_free_port(int port, bool past_connections) {
  const shim::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (past_connections) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return fd.open() && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

std::string expanded(const std::string& text, const std::map<std::string, std::string>& values) {
  std::string out;
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t end = text[i] == '{' ? text.find('}', i) : std::string::npos;
    const auto value = end == std::string::npos ? values.end() : values.find(text.substr(i + 1, end - i - 1));
    if (value == values.end()) {
      out += text[i++];
    } else {
      out += value->second;
      i = end + 1;
    }
  }
  return out;
}

}  // namespace

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ",") + part;
  return out;
}

std::optional<std::vector<std::string>> pick_slots(const std::vector<std::string>& all,
                                                   const std::set<std::string>& free, int count) {
  const auto n = static_cast<std::size_t>(std::max(count, 1));
  const auto is_free = [&](const std::string& slot) { return free.contains(slot); };
  for (std::size_t i = 0; i + n <= all.size(); i += n) {
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(i);
    const auto to = from + static_cast<std::ptrdiff_t>(n);
    if (std::all_of(from, to, is_free)) return std::vector<std::string>(from, to);
  }
  std::vector<std::string> picked;
  for (const std::string& slot : all) {
    if (is_free(slot) && picked.size() < n) picked.push_back(slot);
  }
  if (picked.size() < n) return std::nullopt;
  return picked;
}

std::optional<int> pick_port(int first, int last, const std::set<int>& used, int after) {
  const int count = last - first + 1;
  const int start = after >= first && after < last ? after + 1 - first : 0;
  for (const bool past_connections : {false, true}) {
    for (int i = 0; i < count; ++i) {
      const int port = first + (start + i) % count;
      if (!used.contains(port) && is_free_port(port, past_connections)) return port;
    }
  }
  return std::nullopt;
}

std::vector<std::string> engine_command(const ProcessDeployment& deployment, const Launch& launch) {
  std::map<std::string, std::string> values;
  values["port"] = std::to_string(launch.port);
  values["gpus"] = joined(launch.slots);
  values["deployment"] = deployment.config.id.value;
  values["replica"] = launch.replica.value;
  values["model"] = deployment.model;
  std::vector<std::string> out;
  for (const std::string& argument : deployment.config.command) out.push_back(expanded(argument, values));
  return out;
}

std::vector<std::string> shim_command(const ProcessDeployment& deployment, const Launch& launch,
                                      const FleetConfig& fleet, const std::string& shim, const std::string& dir,
                                      const std::string& lock_dir, const std::string& systemd_run) {
  std::vector<std::string> out;
  if (!systemd_run.empty()) {
    // A scope of its own: stopping the daemon's unit does not reach it, and --collect leaves nothing behind.
    out = {systemd_run, "--scope", "--collect", "--quiet", "--description=Ebb replica " + launch.replica.value, "--"};
  }
  out.insert(out.end(), {shim, "--dir", dir, "--lock-dir", lock_dir, "--slots", joined(launch.slots)});
  out.insert(out.end(), {"--replica", launch.replica.value, "--deployment", deployment.config.id.value});
  out.insert(out.end(), {"--port", std::to_string(launch.port)});
  if (!deployment.config.health_path.empty()) out.insert(out.end(), {"--health-path", deployment.config.health_path});
  out.insert(out.end(), {"--role", deployment.is_rl ? "rl" : "production", "--ttl", to_text(fleet.lease_ttl)});
  out.insert(out.end(), {"--drain-timeout", to_text(deployment.config.drain_timeout), "--"});
  for (std::string& argument : engine_command(deployment, launch)) out.push_back(std::move(argument));
  return out;
}

bool is_private(const std::string& name) {
  // Names by which systemd addresses the daemon: an engine that answers the watchdog or takes a socket would speak for
  // it.
  static constexpr const char* kPrefixes[] = {"WATCHDOG_", "LISTEN_", "EBB_"};
  static constexpr const char* kNames[] = {"NOTIFY_SOCKET", "INVOCATION_ID",    "JOURNAL_STREAM",        "MAINPID",
                                           "MANAGERPID",    "SYSTEMD_EXEC_PID", "CREDENTIALS_DIRECTORY", "FDSTORE"};
  const auto starts = [&](const char* prefix) { return name.rfind(prefix, 0) == 0; };
  return std::any_of(std::begin(kPrefixes), std::end(kPrefixes), starts) ||
         std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

std::vector<std::string> engine_environment(const std::vector<std::string>& inherited,
                                            const std::set<std::string>& secrets, const ProcessDeployment& deployment,
                                            const Launch& launch) {
  std::map<std::string, std::string> variables;
  for (const std::string& variable : inherited) {
    const std::size_t equals = variable.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = variable.substr(0, equals);
    if (!is_private(name) && !secrets.contains(name)) variables[name] = variable.substr(equals + 1);
  }
  // Without the order, CUDA counts the fastest GPU first and nvidia-smi by bus: "0" would not be the same one.
  variables.emplace("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
  for (const auto& [name, value] : deployment.config.environment) variables[name] = value;
  variables["CUDA_VISIBLE_DEVICES"] = joined(launch.slots);
  std::vector<std::string> out;
  for (const auto& [name, value] : variables) out.push_back(name + "=" + value);
  return out;
}

}  // namespace ebb::process
