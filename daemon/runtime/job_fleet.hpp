#pragma once

#include <map>
#include <set>
#include <vector>

#include "config/config.hpp"
#include "daemon/model/observation.hpp"
#include "daemon/model/state.hpp"
#include "daemon/ports/hotload.hpp"

namespace ebb {

/// A job's fleet as the control loop saw it last.
struct JobFleet {
  bool known = true;            ///< it has looked at all
  std::set<DeploymentId> dark;  ///< their fleet cannot be read: nothing is told them, nobody is taken for gone
  std::map<DeploymentId, std::vector<EngineAddress>> engines;  ///< every replica with an address, draining ones too
  std::set<ReplicaId> leaving;                                 ///< draining, lost or ended
  std::set<DeploymentId> growing;                              ///< a start has not been answered
};

/// `seen` and `state`: null before the first look. `starting`: deployments with a start that was not answered.
JobFleet job_fleet(const JobConfig& job, const Observation* seen, const State* state,
                   const std::set<DeploymentId>& starting);

}  // namespace ebb
