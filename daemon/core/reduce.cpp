#include "daemon/core/reduce.hpp"

#include <vector>

#include "daemon/core/stamps.hpp"

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

State rebased(State state, TimePoint now) {
  std::vector<TimePoint*> made, due;
  for (auto& [id, lease] : state.leases) {
    made.insert(made.end(), {&lease.since, &lease.asked_at, &lease.said_at});
    due.push_back(&lease.drain_deadline);
  }
  for (auto& [id, memory] : state.deployments)
    made.insert(made.end(), {&memory.known_at, &memory.last_grow, &memory.last_reclaim, &memory.last_failure});
  if (!moved_back(made, due, now)) return state;
  // How long ago nobody knows, so whoever leaves is told again at once.
  for (auto& [id, lease] : state.leases) lease.said_at = {};
  return state;
}

}  // namespace ebb
