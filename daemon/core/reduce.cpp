#include "daemon/core/reduce.hpp"

#include <algorithm>

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
  TimePoint newest{};
  for (const auto& [id, lease] : state.leases) newest = std::max({newest, lease.since, lease.asked_at, lease.said_at});
  for (const auto& [id, memory] : state.deployments) {
    newest = std::max({newest, memory.known_at, memory.last_grow, memory.last_reclaim, memory.last_failure});
  }
  const Duration ahead = newest - now;
  if (ahead <= Duration{0}) return state;
  // What was never stamped stays so.
  const auto back = [&](TimePoint& at) { at = at == TimePoint{} ? at : at - ahead; };
  for (auto& [id, lease] : state.leases) {
    for (TimePoint* at : {&lease.since, &lease.asked_at, &lease.drain_deadline}) back(*at);
    lease.said_at = {};  // how long ago nobody knows, so whoever leaves is told again at once
  }
  for (auto& [id, memory] : state.deployments) {
    for (TimePoint* at : {&memory.known_at, &memory.last_grow, &memory.last_reclaim, &memory.last_failure}) back(*at);
  }
  return state;
}

}  // namespace ebb
