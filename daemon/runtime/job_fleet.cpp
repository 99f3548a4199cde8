#include "daemon/runtime/job_fleet.hpp"

namespace ebb {
namespace {

bool stays(ReplicaPhase phase) {
  return phase == ReplicaPhase::starting || phase == ReplicaPhase::ready || phase == ReplicaPhase::unhealthy;
}

}  // namespace

JobFleet job_fleet(const JobConfig& job, const Observation* seen, const State* state,
                   const std::set<DeploymentId>& starting) {
  JobFleet out;
  out.known = seen != nullptr && state != nullptr;
  if (!out.known) return out;
  for (const DeploymentConfig& deployment : job.deployments) {
    if (starting.contains(deployment.id)) out.growing.insert(deployment.id);
    const auto fleet = seen->fleets.find(deployment.fleet);
    if (fleet == seen->fleets.end() || !fleet->second.known()) {
      out.dark.insert(deployment.id);
      continue;
    }
    for (const ReplicaSeen& replica : fleet->second.value().replicas) {
      if (replica.deployment != deployment.id) continue;
      if (!stays(replica.phase)) out.leaving.insert(replica.id);
      if (replica.phase != ReplicaPhase::gone && !replica.address.empty()) {
        out.engines[deployment.id].push_back({replica.id, replica.address});
      }
    }
  }
  // Nobody here starts or ends those; who is not there does not answer.
  for (const ElsewhereConfig& deployment : job.snapshots.elsewhere) {
    for (const std::string& url : deployment.engines) {
      out.engines[deployment.id].push_back({ReplicaId(url.substr(url.find("://") + 3)), url});
    }
  }
  // Told to leave, though the fleet does not show it yet.
  for (const auto& [id, lease] : state->leases) {
    const bool leaves = lease.phase == LeasePhase::draining || lease.phase == LeasePhase::lost;
    if (leaves) out.leaving.insert(id);
  }
  return out;
}

}  // namespace ebb
