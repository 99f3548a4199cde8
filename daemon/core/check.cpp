// Stage 10: the invariants over the finished plan, computed from the plan itself and not from how it came about. What
// breaks one is cut out and raises an alarm; endings always go through.
#include <set>

#include "daemon/core/draft.hpp"
#include "daemon/core/lease_table.hpp"

namespace ebb {
namespace {

/// What a pool's replicas hold, with the starts that were let through so far.
struct Held {
  Gpus all, rl;
};

/// The world without this plan's starts, counted from the leases and from what production holds elsewhere.
std::vector<Held> held_without(const Draft& draft, const Input& in, const std::set<ReplicaId>& starts) {
  std::vector<Held> held(in.pools.size());
  for (const Site& site : in.sites) {
    Held& pool = held[site.pool];
    for (const LeaseRef& ref : draft.of(site).leases) {
      if (!ref.lease->seen && starts.contains(*ref.id)) continue;
      pool.all += ref.lease->gpus;
      if (site.job != nullptr && ref.lease->phase != LeasePhase::lost) pool.rl += ref.lease->gpus;
    }
    if (site.service != nullptr && site.deployment->fleet.empty()) pool.all += site.gpus(draft.of(site).held);
  }
  return held;
}

/// Why this start may not be, or null.
const char* broken_by(const Draft& draft, const Input& in, const Site& site, const Action& action, const Held& held,
                      const std::set<ReplicaId>& named) {
  for (const ReplicaId& replica : action.replicas) {
    if (named.contains(replica)) return "I4: a replica is named twice";
    const auto lease = draft.state.leases.find(replica);
    if (lease != draft.state.leases.end() && lease->second.seen) return "I4: a replica of this name exists";
  }
  const Gpus wants = site.gpus({static_cast<int>(action.replicas.size())});
  const PoolDraft& books = draft.pools[site.pool];
  if (held.all + wants + books.strangers > in.pools[site.pool].config->gpus) return "I3: the GPUs are still held";
  if (site.job == nullptr) return nullptr;
  if (books.blind) return "I2: something in the pool is unknown";
  if (held.rl + wants > books.slack) return "I1: RL would exceed the pool minus production's reserve";
  return nullptr;
}

void cut(Draft& draft, const Site& site, const Action& action, const char* why) {
  auto& refs = draft.of(site).leases;
  for (const ReplicaId& replica : action.replicas) {
    const auto lease = draft.state.leases.find(replica);
    if (lease == draft.state.leases.end() || lease->second.seen) continue;
    std::erase_if(refs, [&](const LeaseRef& ref) { return ref.id == &lease->first; });
    draft.state.leases.erase(lease);
  }
  draft.of(site).count();
  draft.say(Stage::check, "check.cut", action.id.value, {{"why", why}});
  draft.alarm("check.cut", action.deployment.value);
}

/// The world, judged: RL above the slack is a reclaim under way; past its bound it is an alarm.
void judge_world(Draft& draft, const Input& in, const Pool& pool) {
  const std::string& name = pool.config->name.value;
  Gpus overdue;
  for (const Site* site : pool.sites) {
    for (const LeaseRef& ref : draft.of(*site).leases) {
      const bool late = ref.lease->phase == LeasePhase::draining && ref.lease->evicted;
      if (late && in.now > ref.lease->drain_deadline + in.config.tick) overdue += ref.lease->gpus;
    }
  }
  const Gpus rl = rl_gpus(draft, pool, false);
  const Gpus slack = draft.pools[pool.index].slack;
  if (rl > slack) {
    const Gpus leaving = rl - rl_gpus(draft, pool, true);
    draft.say(Stage::check, "check.rl_above_slack", name,
              {{"rl", arg(rl)}, {"slack", arg(slack)}, {"leaving", arg(leaving)}});
  }
  if (overdue.count > 0) {
    draft.say(Stage::check, "check.reclaim_overdue", name, {{"gpus", arg(overdue)}});
    draft.alarm("check.reclaim_overdue", name);
  }
}

}  // namespace

void check(Draft& draft, const Input& in) {
  const std::size_t steps_before = draft.why.size();
  std::set<ReplicaId> starts, named;
  bool any_start = false;
  for (const Action& action : draft.plan.actions) {
    if (action.kind != ActionKind::start) continue;
    any_start = true;
    starts.insert(action.replicas.begin(), action.replicas.end());
  }
  std::vector<Held> held;  // asked for starts only
  if (any_start) held = held_without(draft, in, starts);
  Plan kept;
  for (const Action& action : draft.plan.actions) {
    if (action.kind == ActionKind::start) {
      const Site& site = *in.site_of(action.deployment);
      if (const char* why = broken_by(draft, in, site, action, held[site.pool], named)) {
        cut(draft, site, action, why);
        continue;
      }
      const Gpus taken = site.gpus({static_cast<int>(action.replicas.size())});
      held[site.pool].all += taken;
      if (site.job != nullptr) held[site.pool].rl += taken;
    }
    named.insert(action.replicas.begin(), action.replicas.end());
    kept.actions.push_back(action);
  }
  draft.plan = std::move(kept);
  for (const Pool& pool : in.pools) judge_world(draft, in, pool);
  if (draft.why.size() == steps_before) draft.say(Stage::check, "check.ok", "");
}

}  // namespace ebb
