// Stage 3: need becomes GPUs per pool. What production holds stays its own: a replica that is starting or leaving still
// has its GPUs.
#include <algorithm>

#include "daemon/core/draft.hpp"

namespace ebb {
namespace {

/// GPUs nobody can use: lost replicas, foreign processes, and replicas of deployments that left the config.
Gpus unusable_in(Draft& draft, const Input& in, const PoolConfig& pool) {
  Gpus sum;
  for (const FleetConfig& fleet : in.config.fleets) {
    if (fleet.pool == pool.name && !draft.dark.contains(fleet.name)) sum += in.seen.fleets.at(fleet.name).value().unusable;
  }
  for (const Site* site : in.by_pool.contains(pool.name) ? in.by_pool.at(pool.name) : std::vector<const Site*>{}) {
    if (const auto counts = draft.counts.find(site->id()); counts != draft.counts.end()) sum += site->gpus(counts->second.lost);
  }
  return sum;
}

/// Orphans count against every pool they might be in: with the deployment unknown, its fleet's pool is.
Gpus orphans_in(const Draft& draft, const Input& in, const PoolConfig& pool) {
  Gpus sum;
  for (const FleetConfig& fleet : in.config.fleets) {
    if (fleet.pool != pool.name || draft.dark.contains(fleet.name)) continue;
    for (const ReplicaSeen& replica : in.seen.fleets.at(fleet.name).value().replicas) {
      if (replica.phase != ReplicaPhase::gone && !in.by_id.contains(replica.deployment)) sum += replica.gpus;
    }
  }
  return sum;
}

}  // namespace

Draft reserve(Draft draft, const Input& in) {
  for (const PoolConfig& pool : in.config.pools) {
    PoolDraft& books = draft.pools[pool.name];
    Gpus needed, kept;
    for (const Site& site : in.sites) {
      if (site.service == nullptr || site.deployment->pool != pool.name) continue;
      const Replicas held = draft.held.at(site.id());
      needed += site.gpus(draft.need.at(site.id()));
      kept += site.gpus(std::max(draft.need.at(site.id()), held));
      books.production += site.gpus(held);
    }
    books.kept_need = needed;
    books.reserve = kept + pool.headroom;
    books.unusable = unusable_in(draft, in, pool) + orphans_in(draft, in, pool);
    books.slack = std::max(pool.gpus - books.reserve - books.unusable, Gpus{0});
    draft.say(Stage::reserve, "reserve.pool", pool.name.value,
              {{"reserve", arg(books.reserve)}, {"gpus", arg(pool.gpus)}, {"need", arg(needed)},
               {"headroom", arg(pool.headroom)}, {"held", arg(books.production)}});
    if (books.unusable.count > 0) {
      draft.say(Stage::reserve, "reserve.unusable", pool.name.value, {{"count", arg(books.unusable)}});
      draft.alarm("reserve.unusable", pool.name.value);
    }
    if (needed > pool.gpus) {
      draft.say(Stage::reserve, "reserve.short", pool.name.value, {{"need", arg(needed)}, {"gpus", arg(pool.gpus)}});
      draft.alarm("reserve.short", pool.name.value);
    }
  }
  return draft;
}

}  // namespace ebb
