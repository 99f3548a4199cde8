// What the fleets say of each replica moves its lease; what they no longer mention is let go of, carefully.
#include <algorithm>

#include "daemon/core/draft.hpp"
#include "daemon/core/lease_table.hpp"

namespace ebb {
namespace {

// A start was recorded but the fleet has never shown it: after this long it did not happen (crash before the act).
constexpr Duration kAppearWithin{30'000};

Duration drain_timeout(const Input& in, const DeploymentId& id) {
  const auto site = in.by_id.find(id);
  return site == in.by_id.end() ? Duration{0} : site->second->deployment->drain_timeout;
}

void count_failure(Draft& draft, const Input& in, const Lease& lease, const ReplicaId& id, const std::string& detail) {
  DeploymentMemory& memory = draft.state.deployments[lease.deployment];
  ++memory.failures;
  memory.last_failure = in.now;
  draft.say(Stage::leases, "leases.failed", id.value, {{"detail", detail}, {"failures", arg(memory.failures)}});
  draft.alarm("leases.failed", lease.deployment.value);
}

Lease drained(Lease lease, const Input& in) {
  lease = after(std::move(lease), LeaseEvent::reclaim, in.now);
  lease.drain_deadline = in.now + drain_timeout(in, lease.deployment);
  lease.said_at = in.now;
  return lease;
}

/// A replica we have no lease for: left over from before, or started by somebody else under our fleet.
void adopt(Draft& draft, const Input& in, const ReplicaSeen& replica) {
  Lease lease{.deployment = replica.deployment, .phase = LeasePhase::starting, .since = in.now,
              .asked_at = replica.started_at, .drain_deadline = {}, .said_at = {}, .gpus = replica.gpus,
              .evicted = false, .seen = true};
  draft.say(Stage::leases, "leases.adopted", replica.id.value, {{"phase", to_string(replica.phase)}});
  draft.state.leases[replica.id] = lease;
}

/// One replica's word. Returns nothing when the lease has ended.
std::optional<Lease> moved(Draft& draft, const Input& in, Lease lease, const ReplicaSeen& replica) {
  lease.seen = true;
  lease.gpus = replica.gpus;
  switch (replica.phase) {
    case ReplicaPhase::starting: return lease;
    case ReplicaPhase::ready: return after(std::move(lease), LeaseEvent::ready, in.now);
    case ReplicaPhase::unhealthy:
      draft.say(Stage::leases, "leases.unhealthy", replica.id.value, {{"since", replica.since}});
      draft.alarm("leases.unhealthy", lease.deployment.value);
      return lease;
    case ReplicaPhase::draining: return is_active(lease.phase) ? drained(std::move(lease), in) : lease;
    case ReplicaPhase::lost: return after(std::move(lease), LeaseEvent::stuck, in.now);
    case ReplicaPhase::gone:
      if (replica.failed && is_active(lease.phase)) count_failure(draft, in, lease, replica.id, replica.detail);
      draft.say(Stage::leases, "leases.released", replica.id.value,
                {{"gpus", arg(lease.gpus)}, {"detail", replica.detail.empty() ? "ended" : replica.detail}});
      return std::nullopt;
  }
  return lease;
}

/// A lease whose fleet can be read but does not show it.
bool still_expected(Draft& draft, const Input& in, const ReplicaId& id, const Lease& lease) {
  if (!lease.seen && in.now - lease.asked_at < kAppearWithin) return true;
  if (lease.seen) {
    draft.say(Stage::leases, "leases.released", id.value, {{"gpus", arg(lease.gpus)}, {"detail", "no longer there"}});
  } else {
    draft.say(Stage::leases, "leases.never_started", id.value, {{"span", in.now - lease.asked_at}});
  }
  return false;
}

}  // namespace

Draft reconcile(Draft draft, const Input& in) {
  for (const FleetConfig& fleet : in.config.fleets) {
    if (draft.dark.contains(fleet.name)) continue;
    for (const ReplicaSeen& replica : in.seen.fleets.at(fleet.name).value().replicas) {
      draft.replicas[replica.id] = &replica;
      // Of a deployment that left the config nothing is leased: production goes on serving, RL ends by its time to live.
      if (!in.by_id.contains(replica.deployment)) continue;
      const bool leased = draft.state.leases.contains(replica.id);
      if (!leased && replica.phase == ReplicaPhase::gone) continue;  // ended and booked already
      if (!leased) adopt(draft, in, replica);
      const auto lease = draft.state.leases.find(replica.id);
      if (auto next = moved(draft, in, lease->second, replica)) {
        lease->second = std::move(*next);
      } else {
        draft.state.leases.erase(lease);
      }
    }
  }
  std::erase_if(draft.state.leases, [&](const auto& entry) {
    const auto site = in.by_id.find(entry.second.deployment);
    if (site == in.by_id.end()) return true;
    const bool readable = !draft.dark.contains(site->second->deployment->fleet);
    return readable && !draft.replicas.contains(entry.first) && !still_expected(draft, in, entry.first, entry.second);
  });
  return recounted(std::move(draft));
}

}  // namespace ebb
