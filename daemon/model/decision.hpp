// The result of one tick: what to do, what to remember, and why.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "daemon/model/explanation.hpp"
#include "daemon/model/plan.hpp"
#include "daemon/model/state.hpp"

namespace ebb {

/// A pool's arithmetic in this tick, in GPUs.
struct PoolSummary {
  Gpus gpus;
  Gpus reserve;        ///< need + headroom, and what production holds beyond that
  Gpus slack;          ///< gpus - reserve - unusable, never negative
  Gpus production;     ///< held by production, any phase
  Gpus rl;             ///< held by RL, any phase
  Gpus unusable;       ///< lost or foreign
  bool blind = false;  ///< something needed to grow here is unknown
  friend bool operator==(const PoolSummary&, const PoolSummary&) = default;
};

/// A deployment's numbers in this tick.
struct DeploymentSummary {
  Replicas need;    ///< services: what production needs
  Replicas target;  ///< what Ebb steers to (jobs; services with owner ebb), after the guardrails
  Replicas ready;   ///< serving
  Replicas starting;
  Replicas draining;
  Replicas held;  ///< every phase that holds GPUs
  bool known = true;
  friend bool operator==(const DeploymentSummary&, const DeploymentSummary&) = default;
};

/// Something a person should look at; also a metric.
struct Alarm {
  std::string rule;  ///< e.g. "check.rl_above_slack", "leases.lost"
  std::string subject;
  friend auto operator<=>(const Alarm&, const Alarm&) = default;
};

struct Decision {
  std::uint64_t tick = 0;
  TimePoint at{};
  bool early = false;  ///< before its time, because a reclaim could not wait
  Plan plan;
  State next;
  Explanation why;
  std::map<PoolId, PoolSummary> pools;
  std::map<DeploymentId, DeploymentSummary> deployments;
  std::map<JobId, int> admission;  ///< rollouts the job may have in flight now
  std::vector<Alarm> alarms;       ///< sorted, unique
  friend bool operator==(const Decision&, const Decision&) = default;
};

}  // namespace ebb
