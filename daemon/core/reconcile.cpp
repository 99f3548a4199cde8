// What the fleets say of each replica moves its lease; what they no longer mention is let go of, carefully.
#include <algorithm>
#include <iterator>

#include "daemon/core/draft.hpp"
#include "daemon/core/lease_table.hpp"

namespace ebb {
namespace {

// A start was recorded but the fleet has never shown it: after this long it did not happen (crash before the act).
constexpr Duration kAppearWithin{30'000};

void count_failure(Draft& draft, const Input& in, const Lease& lease, const ReplicaId& id, const std::string& detail) {
  DeploymentMemory& memory = draft.state.deployments[lease.deployment];
  ++memory.failures;
  memory.last_failure = in.now;
  draft.say(Stage::leases, "leases.failed", id.value, {{"detail", detail}, {"failures", arg(memory.failures)}});
  draft.alarm("leases.failed", lease.deployment.value);
}

void drain(Lease& lease, const Input& in, const Site& site) {
  advance(lease, LeaseEvent::reclaim, in.now);
  lease.drain_deadline = in.now + site.deployment->drain_timeout;
  lease.said_at = in.now;
}

/// A replica we have no lease for: left over from before, or started by somebody else under our fleet.
Lease adopted(Draft& draft, const Input& in, const ReplicaSeen& replica) {
  draft.say(Stage::leases, "leases.adopted", replica.id.value, {{"phase", to_string(replica.phase)}});
  Lease lease;
  lease.deployment = replica.deployment;
  lease.since = in.now;
  lease.asked_at = replica.started_at;
  if (replica.phase == ReplicaPhase::ready)
    lease.start_took = std::max(replica.since - replica.started_at, Duration{0});
  // It was ready once: no start that has taken too long.
  if (replica.phase == ReplicaPhase::unhealthy) advance(lease, LeaseEvent::ready, in.now);
  return lease;
}

/// One replica's word. False when the lease has ended.
bool take_in(Draft& draft, const Input& in, const Site& site, Lease& lease, const ReplicaSeen& replica) {
  lease.seen = true;
  lease.gpus = replica.gpus;
  switch (replica.phase) {
    case ReplicaPhase::starting: return true;
    case ReplicaPhase::ready: advance(lease, LeaseEvent::ready, in.now); return true;
    case ReplicaPhase::unhealthy:
      draft.say(Stage::leases, "leases.unhealthy", replica.id.value, {{"since", replica.since}});
      draft.alarm("leases.unhealthy", lease.deployment.value);
      return true;
    case ReplicaPhase::draining:
      if (is_active(lease.phase)) drain(lease, in, site);
      return true;
    case ReplicaPhase::lost: advance(lease, LeaseEvent::stuck, in.now); return true;
    case ReplicaPhase::gone:
      if (replica.failed && is_active(lease.phase)) count_failure(draft, in, lease, replica.id, replica.detail);
      draft.say(Stage::leases, "leases.released", replica.id.value,
                {{"gpus", arg(lease.gpus)}, {"detail", replica.detail.empty() ? "ended" : replica.detail}});
      return false;
  }
  return true;
}

/// A lease whose fleet can be read but does not show it.
bool still_expected(Draft& draft, const Input& in, const ReplicaId& id, const Lease& lease) {
  // An order that is not answered yet may still be carried out.
  if (!lease.seen && (in.now - lease.asked_at < kAppearWithin || in.seen.busy.contains(lease.deployment))) return true;
  if (lease.seen) {
    draft.say(Stage::leases, "leases.released", id.value, {{"gpus", arg(lease.gpus)}, {"detail", "no longer there"}});
  } else {
    draft.say(Stage::leases, "leases.never_started", id.value, {{"span", in.now - lease.asked_at}});
  }
  return false;
}

/// Deployments by name, asked for in sorted order: replicas of one deployment stand together, so that the last answer
/// is mostly the next one too.
class SiteCursor {
 public:
  explicit SiteCursor(const Input& in) : in_(in) {}
  const Site* operator()(const DeploymentId& id) {
    // Compared with the configuration's own name: `id` may stand in a lease that ends before the next question.
    if (last_ == nullptr || last_->id() != id) last_ = in_.site_of(id);
    return last_;
  }

 private:
  const Input& in_;
  const Site* last_ = nullptr;
};

/// Where a lease stands or would stand. `after` is the one found before: replicas come in the order of their names, so
/// that the next one is mostly its neighbour.
using LeaseMap = std::map<ReplicaId, Lease>;
LeaseMap::iterator place_of(LeaseMap& leases, LeaseMap::iterator after, const ReplicaId& id) {
  if (after != leases.end()) ++after;
  return after != leases.end() && after->first == id ? after : leases.lower_bound(id);
}

/// Returns the lease, or its neighbour if it has ended.
LeaseMap::iterator take_word(Draft& draft, const Input& in, const Site& site, const ReplicaSeen& replica,
                             LeaseMap::iterator before) {
  LeaseMap& leases = draft.state.leases;
  auto found = place_of(leases, before, replica.id);
  const bool leased = found != leases.end() && found->first == replica.id;
  if (!leased && replica.phase == ReplicaPhase::gone) return found;  // ended and booked already
  if (!leased) found = leases.emplace_hint(found, replica.id, adopted(draft, in, replica));
  if (!take_in(draft, in, site, found->second, replica)) return leases.erase(found);
  std::vector<LeaseRef>& refs = draft.of(site).leases;
  // An even share of all leases: a list that doubles from one entry on is moved as often as it doubles.
  if (refs.empty()) refs.reserve(leases.size() / in.sites.size() + 16);
  refs.push_back({&found->first, &found->second, &replica});
  return found;
}

/// True when a readable fleet shows this replica among its sorted list.
bool shown_by(const FleetSeen& fleet, const ReplicaId& id) {
  const auto found =
      std::lower_bound(fleet.replicas.begin(), fleet.replicas.end(), id,
                       [](const ReplicaSeen& seen, const ReplicaId& wanted) { return seen.id < wanted; });
  return found != fleet.replicas.end() && found->id == id;
}

/// Evicted long ago and still there: from here on its GPUs are nobody's to give.
void give_up_the_stuck(SiteDraft& site, const Input& in) {
  for (const LeaseRef& ref : site.leases) {
    const Lease& lease = *ref.lease;
    const bool stuck =
        lease.phase == LeasePhase::draining && lease.evicted && in.now > lease.drain_deadline + in.config.lost_after;
    if (stuck) advance(*ref.lease, LeaseEvent::stuck, in.now);
  }
  site.count();
}

/// Leases that no fleet mentioned: kept while their fleet is dark or they may still appear.
void keep_or_release(Draft& draft, const Input& in) {
  SiteCursor site_of(in);
  for (auto lease = draft.state.leases.begin(); lease != draft.state.leases.end();) {
    const Site* site = site_of(lease->second.deployment);
    bool keep = site != nullptr;
    bool shown = false;
    if (keep && !draft.of(*site).dark && !site->deployment->fleet.empty()) {
      shown = shown_by(in.seen.fleets.at(site->deployment->fleet).value(), lease->first);
      keep = shown || still_expected(draft, in, lease->first, lease->second);
    }
    if (keep && !shown) draft.of(*site).leases.push_back({&lease->first, &lease->second, nullptr});
    lease = keep ? std::next(lease) : draft.state.leases.erase(lease);
  }
}

}  // namespace

void reconcile(Draft& draft, const Input& in) {
  SiteCursor site_of(in);
  std::size_t mentioned = 0;
  auto last = draft.state.leases.end();
  for (const FleetConfig& fleet : in.config.fleets) {
    const auto seen = in.seen.fleets.find(fleet.name);
    if (seen == in.seen.fleets.end() || !seen->second.known()) continue;
    for (const ReplicaSeen& replica : seen->second.value().replicas) {
      // Of a deployment that left the config nothing is leased: production goes on serving, RL ends by its time to
      // live.
      const Site* site = site_of(replica.deployment);
      draft.orphans = draft.orphans || site == nullptr;
      if (site == nullptr || draft.of(*site).dark || site->deployment->fleet != fleet.name) continue;
      last = take_word(draft, in, *site, replica, last);
    }
  }
  for (const SiteDraft& site : draft.sites) mentioned += site.leases.size();
  // In a steady tick every lease was mentioned, and nothing is left to ask.
  if (mentioned != draft.state.leases.size()) keep_or_release(draft, in);
  const auto by_id = [](const LeaseRef& a, const LeaseRef& b) { return *a.id < *b.id; };
  for (SiteDraft& site : draft.sites) {
    // Mostly they are: a deployment's replicas come from one fleet, which shows them in the order of their names.
    if (!std::is_sorted(site.leases.begin(), site.leases.end(), by_id))
      std::sort(site.leases.begin(), site.leases.end(), by_id);
    site.count();
    if (!site.dark && site.counts.draining.count > 0) give_up_the_stuck(site, in);
  }
}

}  // namespace ebb
