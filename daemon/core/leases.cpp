// Stage 6: which slots drain, and which drains turn hard. A reclaim is never slowed: this stage comes after the
// guardrails and takes whatever is above the target.
#include <algorithm>

#include "daemon/core/draft.hpp"
#include "daemon/core/lease_table.hpp"

namespace ebb {
namespace {

// A drain that the fleet does not show after this long was not heard, and is said again. An eviction is repeated too,
// slower: an accepted one may have been lost, and a lost replica may have become mortal again.
constexpr Duration kDrainAgainAfter{2'000};
constexpr Duration kEvictAgainAfter{10'000};

Action action_for(const Draft& draft, const Site& site, ActionKind kind, TimePoint deadline) {
  Action action;
  action.id = ActionId(std::to_string(draft.state.tick) + "/" + site.id().value + "/" + to_string(kind));
  action.kind = kind;
  action.fleet = site.deployment->fleet;
  action.deployment = site.id();
  action.gpus_each = site.deployment->gpus_per_replica;
  action.deadline = deadline;
  return action;
}

/// What each replica works on as last said, or why nobody knows.
struct KnownLoads {
  const ReplicaLoads* loads = nullptr;
  std::string why;
};

KnownLoads loads_of(const Input& in, const Site& site) {
  const auto seen = in.seen.loads.find(site.id());
  if (seen == in.seen.loads.end()) return {nullptr, "no source tells"};
  const Sample<ReplicaLoads>* sample = seen->second.sample();
  if (sample == nullptr) return {nullptr, seen->second.missing()->why};
  if (in.now - sample->taken_at > in.config.stale_after) return {nullptr, "stale"};
  return {&sample->value, "it did not say"};
}

/// Who may leave. What they work on is known where the job's victim policy looks at it; a step says of how many not.
std::vector<Candidate> candidates_of(Draft& draft, const Input& in, const Site& site) {
  const bool looks = site.job != nullptr && site.job->victim->looks_at_load();
  const KnownLoads known = looks ? loads_of(in, site) : KnownLoads{};
  std::vector<Candidate> out;
  int unknown = 0;
  for (const LeaseRef& ref : draft.of(site).leases) {
    const Lease& lease = *ref.lease;
    if (!is_active(lease.phase)) continue;
    // One that took longer than a start may was adopted when it was old, or waited for weights that were not there.
    const Duration took = std::min(lease.start_took.value_or(Duration{0}), site.deployment->start_timeout);
    Candidate candidate{.replica = *ref.id,
                        .phase = lease.phase,
                        .started_at = lease.asked_at,
                        .start_took = took,
                        .gpus = lease.gpus,
                        .age = in.now - lease.asked_at,
                        .ill = ref.shown != nullptr && ref.shown->phase == ReplicaPhase::unhealthy};
    if (known.loads != nullptr) {
      const auto load = known.loads->find(*ref.id);
      if (load != known.loads->end()) candidate.in_flight = load->second;
    }
    unknown += looks && lease.phase == LeasePhase::serving && !candidate.ill && !candidate.in_flight ? 1 : 0;
    out.push_back(std::move(candidate));
  }
  if (unknown > 0) {
    draft.say(Stage::leases, "leases.load_unknown", site.id().value, {{"count", arg(unknown)}, {"why", known.why}});
  }
  return out;
}

/// Production has no victim policy: who is not ready yet goes first, then the youngest.
std::vector<Candidate> production_order(std::vector<Candidate> candidates) {
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    // One that was ready for the first time a moment ago is not called serving yet, and answers all the same.
    const bool a_answers = a.phase != LeasePhase::starting;
    const bool b_answers = b.phase != LeasePhase::starting;
    return std::tuple(a_answers, b.started_at, b.replica) < std::tuple(b_answers, a.started_at, a.replica);
  });
  return candidates;
}

const char* reason_of(const Draft& draft, const Site& site) {
  if (site.service != nullptr) return "production needs fewer";
  return draft.pools[site.pool].reclaiming ? "production needs the GPUs" : "its target is lower";
}

/// GPUs that production waits for right now: its owner wants them, they are nobody's to take yet, and no eviction under
/// way frees them.
Gpus waited_for(const Draft& draft, const Pool& pool) {
  const PoolDraft& books = draft.pools[pool.index];
  Gpus waited, leaving;
  for (const Site* site : pool.sites) {
    const SiteDraft& mine = draft.of(*site);
    if (site->job != nullptr) {
      if (mine.counts.draining.count == 0) continue;
      for (const LeaseRef& ref : mine.leases) {
        if (ref.lease->phase == LeasePhase::draining && ref.lease->evicted) leaving += ref.lease->gpus;
      }
    } else if (site->ours()) {
      waited += site->gpus(std::max(mine.target - mine.counts.active(), Replicas{0}));
    } else if (mine.workload.asked.known()) {
      waited += site->gpus(std::max(mine.workload.asked.value() - mine.held, Replicas{0}));
    }
  }
  const Gpus free = pool.config->gpus - books.production - rl_gpus(draft, pool, false) - books.unusable;
  return waited - std::max(free, Gpus{0}) - leaving;
}

/// Evicts a lease that would have had time to drain, because production is waiting. `waited` falls by its GPUs.
void hasten(Draft& draft, const Input& in, const ReplicaId& id, Lease& lease, Gpus& waited, Action& evict) {
  draft.say(Stage::leases, "leases.hastened", id.value, {{"gpus", arg(lease.gpus)}, {"waited", arg(waited)}});
  if (is_active(lease.phase)) advance(lease, LeaseEvent::reclaim, in.now);
  advance(lease, LeaseEvent::overdue, in.now);
  lease.drain_deadline = lease.said_at = in.now;
  evict.replicas.push_back(id);
  waited -= lease.gpus;
}

/// With evict_when_short: those that are draining already go first, the longest wait last.
void hasten_drains(Draft& draft, const Input& in, const Site& site, Gpus& waited, Action& evict) {
  if (site.job == nullptr || !site.job->evict_when_short) return;
  std::vector<LeaseRef> draining;
  for (const LeaseRef& ref : draft.of(site).leases) {
    if (ref.lease->phase == LeasePhase::draining && !ref.lease->evicted) draining.push_back(ref);
  }
  std::stable_sort(draining.begin(), draining.end(), [](const LeaseRef& a, const LeaseRef& b) {
    return a.lease->drain_deadline > b.lease->drain_deadline;
  });
  for (const LeaseRef& ref : draining) {
    if (waited <= Gpus{0}) return;
    hasten(draft, in, *ref.id, *ref.lease, waited, evict);
  }
}

/// GPUs that a reclaim takes beyond what the target says: replicas from before a change of gpus_per_replica hold more
/// than as many would that are started now.
Gpus oversize(const Draft& draft, const Input& in, const Site& site) {
  const SiteDraft& mine = draft.of(site);
  const PoolDraft& books = draft.pools[site.pool];
  if (site.job == nullptr || !books.reclaiming) return Gpus{0};
  const Gpus over = mine.counts.active_gpus - site.gpus(mine.target);
  if (over <= Gpus{0}) return Gpus{0};
  // No more than the pool lacks: others may have given it, and a target may be held down by what slows growth.
  return std::clamp(rl_gpus(draft, in.pools[site.pool], true) - books.slack, Gpus{0}, over);
}

void drain_surplus(Draft& draft, const Input& in, const Site& site, Gpus& waited, Action& drain, Action& evict) {
  int surplus = std::max(draft.of(site).counts.active() - draft.of(site).target, Replicas{0}).count;
  Gpus owed = oversize(draft, in, site);
  if (surplus == 0 && owed <= Gpus{0}) return;
  std::vector<Candidate> candidates = candidates_of(draft, in, site);
  candidates =
      site.job != nullptr ? site.job->victim->order(std::move(candidates)) : production_order(std::move(candidates));
  for (int i = 0; i < static_cast<int>(candidates.size()) && (i < surplus || owed > Gpus{0}); ++i) {
    owed -= candidates[static_cast<std::size_t>(i)].gpus;
    surplus = std::max(surplus, i + 1);
  }
  candidates.resize(static_cast<std::size_t>(surplus));
  draft.say(Stage::leases, "leases.reclaim", site.id().value,
            {{"count", arg(surplus)}, {"until", drain.deadline}, {"why", reason_of(draft, site)}});
  for (const Candidate& victim : candidates) {
    Lease& lease = draft.state.leases.at(victim.replica);
    if (victim.in_flight) {
      draft.say(Stage::leases, "leases.victim_working", victim.replica.value,
                {{"phase", to_string(lease.phase)}, {"since", lease.since}, {"in_flight", *victim.in_flight}});
    } else {
      draft.say(Stage::leases, "leases.victim", victim.replica.value,
                {{"phase", to_string(lease.phase)}, {"since", lease.since}});
    }
    if (site.job != nullptr && site.job->evict_when_short && waited > Gpus{0}) {
      hasten(draft, in, victim.replica, lease, waited, evict);
      continue;
    }
    advance(lease, LeaseEvent::reclaim, in.now);
    lease.drain_deadline = drain.deadline;
    lease.said_at = in.now;
    drain.replicas.push_back(victim.replica);
  }
  if (draft.pools[site.pool].reclaiming) draft.state.deployments[site.id()].last_reclaim = in.now;
}

/// Not ready in time: it will not be, and its GPUs wait. Another one in its place is growth, which the guardrails judge
/// in the next tick; production's is not slowed.
void end_slow_starts(Draft& draft, const Input& in, const Site& site, Action& evict) {
  for (const LeaseRef& ref : draft.of(site).leases) {
    Lease& lease = *ref.lease;
    const Duration waited = in.now - lease.asked_at;
    if (lease.phase != LeasePhase::starting || !lease.seen || waited <= site.deployment->start_timeout) continue;
    draft.say(Stage::leases, "leases.start_timeout", ref.id->value, {{"span", waited}});
    DeploymentMemory& memory = draft.state.deployments[site.id()];
    ++memory.failures;
    memory.last_failure = in.now;
    advance(lease, LeaseEvent::reclaim, in.now);
    advance(lease, LeaseEvent::overdue, in.now);
    lease.drain_deadline = lease.said_at = in.now;
    evict.replicas.push_back(*ref.id);
  }
  SiteDraft& mine = draft.of(site);
  const Replicas growth = std::max(mine.target - mine.counts.active(), Replicas{0});
  mine.count();
  if (site.job != nullptr) mine.target = std::min(mine.target, mine.counts.active() + growth);
}

/// Whether the order to leave has to be given once more.
bool unheard(const Input& in, const LeaseRef& ref) {
  if (ref.shown == nullptr) return false;
  const Duration silence = in.now - ref.lease->said_at;
  if (ref.lease->evicted) return silence >= kEvictAgainAfter;
  return ref.shown->phase != ReplicaPhase::draining && silence >= kDrainAgainAfter;
}

void harden(Draft& draft, const Input& in, const Site& site, Action& drain, Action& evict) {
  for (const LeaseRef& ref : draft.of(site).leases) {
    Lease& lease = *ref.lease;
    if (lease.phase == LeasePhase::lost) {
      draft.say(Stage::leases, "leases.lost", ref.id->value, {{"gpus", arg(lease.gpus)}});
      draft.alarm("leases.lost", lease.deployment.value);
      lease.evicted = true;
    } else if (lease.phase != LeasePhase::draining) {
      continue;
    }
    bool say = unheard(in, ref);
    if (!lease.evicted && in.now >= lease.drain_deadline) {
      draft.say(Stage::leases, "leases.overdue", ref.id->value, {{"deadline", lease.drain_deadline}});
      advance(lease, LeaseEvent::overdue, in.now);
      say = true;
    }
    if (!say) continue;
    lease.said_at = in.now;
    (lease.evicted ? evict : drain).replicas.push_back(*ref.id);
  }
}

/// Nobody starts, leaves or is lost, and nobody has to leave.
bool at_rest(const Draft& draft, const Input& in, const Site& site) {
  const SiteDraft& mine = draft.of(site);
  const Counts& counts = mine.counts;
  return (counts.starting + counts.draining + counts.lost).count == 0 && mine.target >= counts.active() &&
         oversize(draft, in, site) <= Gpus{0};
}

}  // namespace

void leases(Draft& draft, const Input& in) {
  std::vector<Gpus> waited;
  for (const Pool& pool : in.pools) waited.push_back(waited_for(draft, pool));
  for (const Site& site : in.sites) {
    if (!site.ours() || at_rest(draft, in, site)) continue;
    Action drain = action_for(draft, site, ActionKind::drain, in.now + site.deployment->drain_timeout);
    Action evict = action_for(draft, site, ActionKind::evict, in.now);
    end_slow_starts(draft, in, site, evict);
    harden(draft, in, site, drain, evict);
    hasten_drains(draft, in, site, waited[site.pool], evict);
    drain_surplus(draft, in, site, waited[site.pool], drain, evict);
    std::sort(drain.replicas.begin(), drain.replicas.end());
    std::sort(evict.replicas.begin(), evict.replicas.end());
    if (!drain.replicas.empty()) draft.drains.push_back(std::move(drain));
    if (!evict.replicas.empty()) draft.evictions.push_back(std::move(evict));
    draft.of(site).count();
  }
}

}  // namespace ebb
