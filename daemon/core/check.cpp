// Stage 10: the invariants over the finished plan, computed from the plan itself and not from how it came about. What
// breaks one is cut out and raises an alarm; endings always go through.
#include <algorithm>

#include "daemon/core/draft.hpp"
#include "daemon/core/lease_table.hpp"

namespace ebb {
namespace {

/// What a pool's replicas hold, with the starts that were let through so far.
struct Held {
  Gpus all, rl;
};

/// The world without this plan's starts, counted from the leases and from what production holds elsewhere.
std::map<PoolId, Held> held_without(const Draft& draft, const Input& in, const std::set<ReplicaId>& starts) {
  std::map<PoolId, Held> held;
  for (const auto& [id, lease] : draft.state.leases) {
    const auto site = in.by_id.find(lease.deployment);
    if (site == in.by_id.end() || lease.phase == LeasePhase::lost || starts.contains(id)) continue;
    Held& pool = held[site->second->deployment->pool];
    pool.all += lease.gpus;
    if (site->second->job != nullptr) pool.rl += lease.gpus;
  }
  for (const Site& site : in.sites) {
    const bool elsewhere = site.service != nullptr && site.deployment->fleet.empty();
    if (elsewhere) held[site.deployment->pool].all += site.gpus(draft.held.at(site.id()));
  }
  return held;
}

/// Why this start may not be, or null.
const char* broken_by(const Draft& draft, const Site& site, const Action& action, const Held& held, Gpus pool_gpus,
                      const std::set<ReplicaId>& named) {
  for (const ReplicaId& replica : action.replicas) {
    if (named.contains(replica)) return "I4: a replica is named twice";
    if (draft.replicas.contains(replica)) return "I4: a replica of this name exists";
  }
  const Gpus wants = site.gpus({static_cast<int>(action.replicas.size())});
  const PoolDraft& books = draft.pools.at(site.deployment->pool);
  if (held.all + wants + books.unusable > pool_gpus) return "I3: the GPUs are still held";
  if (site.job == nullptr) return nullptr;
  if (books.blind) return "I2: something in the pool is unknown";
  if (held.rl + wants > books.slack) return "I1: RL would exceed the pool minus production's reserve";
  return nullptr;
}

void cut(Draft& draft, const Action& action, const char* why) {
  for (const ReplicaId& replica : action.replicas) {
    if (!draft.replicas.contains(replica)) draft.state.leases.erase(replica);
  }
  draft.say(Stage::check, "check.cut", action.id.value, {{"why", why}});
  draft.alarm("check.cut", action.deployment.value);
}

/// The world, judged: RL above the slack is a reclaim under way; past its bound it is an alarm.
void judge_world(Draft& draft, const Input& in, const PoolConfig& pool) {
  const Gpus rl = rl_gpus(draft, in, pool.name, false);
  const Gpus slack = draft.pools.at(pool.name).slack;
  Gpus overdue;
  for (const auto& [id, lease] : draft.state.leases) {
    const auto site = in.by_id.find(lease.deployment);
    if (site == in.by_id.end() || site->second->deployment->pool != pool.name) continue;
    if (lease.phase == LeasePhase::draining && lease.evicted && in.now > lease.drain_deadline + in.config.tick) {
      overdue += lease.gpus;
    }
  }
  if (rl > slack) {
    const Gpus leaving = rl - rl_gpus(draft, in, pool.name, true);
    draft.say(Stage::check, "check.rl_above_slack", pool.name.value,
              {{"rl", arg(rl)}, {"slack", arg(slack)}, {"leaving", arg(leaving)}});
  }
  if (overdue.count > 0) {
    draft.say(Stage::check, "check.reclaim_overdue", pool.name.value, {{"gpus", arg(overdue)}});
    draft.alarm("check.reclaim_overdue", pool.name.value);
  }
}

}  // namespace

Draft check(Draft draft, const Input& in) {
  const std::size_t steps_before = draft.why.size();
  std::set<ReplicaId> starts, named;
  for (const Action& action : draft.plan.actions) {
    if (action.kind == ActionKind::start) starts.insert(action.replicas.begin(), action.replicas.end());
  }
  std::map<PoolId, Held> held = held_without(draft, in, starts);
  std::map<PoolId, Gpus> size;
  for (const PoolConfig& pool : in.config.pools) size[pool.name] = pool.gpus;
  Plan kept;
  for (const Action& action : draft.plan.actions) {
    if (action.kind == ActionKind::start) {
      const Site& site = *in.by_id.at(action.deployment);
      Held& pool = held[site.deployment->pool];
      if (const char* why = broken_by(draft, site, action, pool, size.at(site.deployment->pool), named)) {
        cut(draft, action, why);
        continue;
      }
      const Gpus taken = site.gpus({static_cast<int>(action.replicas.size())});
      pool.all += taken;
      if (site.job != nullptr) pool.rl += taken;
    }
    named.insert(action.replicas.begin(), action.replicas.end());
    kept.actions.push_back(action);
  }
  draft.plan = std::move(kept);
  draft = recounted(std::move(draft));
  for (const PoolConfig& pool : in.config.pools) judge_world(draft, in, pool);
  if (draft.why.size() == steps_before) draft.say(Stage::check, "check.ok", "");
  return draft;
}

}  // namespace ebb
