#include "daemon/core/reduce.hpp"

namespace ebb {

State reduce(State state, const Event& event) {
  if (event.set) state.overrides[event.set->id] = *event.set;
  if (event.cleared) state.overrides.erase(*event.cleared);
  if (event.demand) state.demand[JobId(event.subject)] = *event.demand;
  return state;
}

State reduce(State state, const Outcome& outcome, const Action& action) {
  if (outcome.kind == OutcomeKind::advised) {
    // Nothing was done: the next look at the fleet tells what its replicas are.
    for (const ReplicaId& id : action.replicas) state.leases.erase(id);
    return state;
  }
  if (action.kind != ActionKind::start) return state;
  for (const ReplicaId& id : outcome.not_started) {
    const auto lease = state.leases.find(id);
    if (lease != state.leases.end() && !lease->second.seen) state.leases.erase(lease);
  }
  if (outcome.kind == OutcomeKind::failed) {
    DeploymentMemory& memory = state.deployments[action.deployment];
    ++memory.failures;
    memory.last_failure = outcome.at;
  }
  return state;
}

}  // namespace ebb
