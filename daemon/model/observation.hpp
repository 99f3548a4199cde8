// Everything one tick saw. Assembled by the observer, judged by the core, kept by the ledger.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/model/ids.hpp"
#include "daemon/model/reading.hpp"
#include "daemon/model/units.hpp"

namespace ebb {

/// What a fleet says of one replica. Every phase but `gone` holds GPUs.
enum class ReplicaPhase {
  starting,   ///< its process exists (or is asked for), it does not answer yet
  ready,      ///< healthy
  unhealthy,  ///< was ready, does not answer any more
  draining,   ///< told to leave
  lost,       ///< will not go: its process or its GPUs are still there after every deadline
  gone,       ///< ended, its GPUs are seen free; reported until `Fleet::forget`
};

struct ReplicaSeen {
  ReplicaId id;
  DeploymentId deployment;
  ReplicaPhase phase = ReplicaPhase::starting;
  TimePoint since{};  ///< when it entered the phase
  TimePoint started_at{};
  Gpus gpus;
  std::string address;  ///< "http://127.0.0.1:8001"; empty while unknown
  std::string slots;    ///< GPU indexes, "0,1"; empty where slots have no names
  std::string detail;   ///< "exit status 1", "lease lapsed", "killed by signal 9"; empty if nothing to say
  bool failed = false;  ///< with `gone`: it ended without having been told to
  friend bool operator==(const ReplicaSeen&, const ReplicaSeen&) = default;
};

struct FleetSeen {
  std::vector<ReplicaSeen> replicas;  ///< sorted by id
  /// GPUs that can be used by nobody although no replica of ours explains it (foreign process, orphan), by pool slot
  /// text.
  Gpus unusable;
  friend bool operator==(const FleetSeen&, const FleetSeen&) = default;
};

/// One signal of a production deployment, summed over its replicas (`kv_usage` too: it is divided by a target per
/// replica).
struct SignalSeen {
  Reading<double> value;
  /// Known lower bound when only some replicas reported. It may raise the need, never lower it.
  std::optional<double> at_least;
  friend bool operator==(const SignalSeen&, const SignalSeen&) = default;
};

/// What an adviser outside (capacity policies exec and plugin) answered when it was asked.
struct Advice {
  double need = 0;   ///< replicas; finite and not negative
  std::string note;  ///< its reason in its own words, for people; may be empty
  friend bool operator==(const Advice&, const Advice&) = default;
};

/// What the metric sources say of one production deployment.
struct WorkloadSeen {
  std::map<std::string, SignalSeen>
      signals;              ///< "in_flight", "running", "waiting", "kv_usage", "tokens_per_s", ... or a query's name
  Reading<Replicas> asked;  ///< what an external owner wants (desired + pending); can only raise the need
  Reading<Replicas> held;   ///< replicas that exist in any phase, where no fleet of ours knows
  int reported = 0;         ///< replicas with a fresh report
  int expected = 0;         ///< replicas that should have reported
  Reading<Advice> advice;   ///< "never read" where the policy asks nobody
  friend bool operator==(const WorkloadSeen&, const WorkloadSeen&) = default;
};

/// What each replica of a deployment works on: requests in flight, of those that said so.
using ReplicaLoads = std::map<ReplicaId, double>;

struct Observation {
  TimePoint at{};
  std::map<FleetId, Reading<FleetSeen>> fleets;
  std::map<DeploymentId, WorkloadSeen> workloads;       ///< production deployments
  std::map<JobId, Reading<double>> demand;              ///< replicas a job's metric asks for
  std::map<DeploymentId, Reading<ReplicaLoads>> loads;  ///< of jobs whose victim policy looks at them
  std::set<DeploymentId> busy;                          ///< an action on it has not been answered yet (I4)
  std::set<DeploymentId> loading;                       ///< it loads weights, so it does not grow (I7)
  std::map<JobId, std::set<ReplicaId>> current;  ///< of jobs with snapshots: replicas with admissible weights (I8)
  friend bool operator==(const Observation&, const Observation&) = default;
};

/// "starting", "ready", ... as in JSON.
const char* to_string(ReplicaPhase phase);

}  // namespace ebb
