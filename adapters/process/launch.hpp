// How a replica is started: which GPUs, which port, which command line, which environment.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "daemon/model/ids.hpp"
#include "daemon/model/result.hpp"

namespace ebb::process {

/// A deployment as this fleet runs it.
struct ProcessDeployment {
  DeploymentConfig config;
  std::string model;   ///< for {model}
  bool is_rl = false;  ///< its replicas end by themselves when their lease lapses
};

/// One replica about to be started.
struct Launch {
  ReplicaId replica;
  std::vector<std::string> slots;
  int port = 0;
};

/// `count` of the free slots, or nothing. An aligned block where one is free (tensor parallelism is fastest between
/// neighbours, and what stays free is the least cut up), else the lowest ones. `all` gives the order.
std::optional<std::vector<std::string>> pick_slots(const std::vector<std::string>& all,
                                                   const std::set<std::string>& free, int count);
/// A port on 127.0.0.1 that nobody listens on and no replica is recorded with: the next one after `after`, round and
/// round, so that a router's stale address does not meet another model's engine at once. Blocking, briefly.
std::optional<int> pick_port(int first, int last, const std::set<int>& used, int after);

/// The command with {port} {gpus} {deployment} {replica} {model} filled in; other braces stay as they are.
std::vector<std::string> engine_command(const ProcessDeployment& deployment, const Launch& launch);
/// The shim's command line around it, and systemd-run's around that when `systemd_run` is not empty.
std::vector<std::string> shim_command(const ProcessDeployment& deployment, const Launch& launch,
                                      const FleetConfig& fleet, const std::string& shim, const std::string& dir,
                                      const std::string& lock_dir, const std::string& systemd_run);

/// Whether a variable of the daemon is its own affair: systemd's handles, and everything of Ebb's.
bool is_private(const std::string& name);
/// The engine's environment as NAME=value: the daemon's without what is private or named in `secrets`, the GPUs, and
/// what the deployment configures, which wins.
std::vector<std::string> engine_environment(const std::vector<std::string>& inherited,
                                            const std::set<std::string>& secrets, const ProcessDeployment& deployment,
                                            const Launch& launch);

std::string joined(const std::vector<std::string>& parts);

}  // namespace ebb::process
