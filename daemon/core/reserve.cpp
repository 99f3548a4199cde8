// Stage 3: need becomes GPUs per pool. What production holds stays its own: a replica that is starting or leaving still
// has its GPUs.
#include <algorithm>

#include "daemon/core/draft.hpp"

namespace ebb {
namespace {

/// GPUs nobody can use: foreign processes, and replicas of deployments that left the config.
void count_strangers(Draft& draft, const Input& in) {
  for (const FleetConfig& fleet : in.config.fleets) {
    const auto seen = in.seen.fleets.find(fleet.name);
    if (seen == in.seen.fleets.end() || !seen->second.known()) continue;
    const auto pool =
        std::find_if(in.pools.begin(), in.pools.end(), [&](const Pool& p) { return p.config->name == fleet.pool; });
    PoolDraft& books = draft.pools[pool->index];
    books.strangers += seen->second.value().unusable;
    if (!draft.orphans) continue;
    const DeploymentId* known = nullptr;  // the last one found: replicas of one deployment stand together
    for (const ReplicaSeen& replica : seen->second.value().replicas) {
      if (replica.phase == ReplicaPhase::gone || (known != nullptr && *known == replica.deployment)) continue;
      if (in.site_of(replica.deployment) != nullptr) {
        known = &replica.deployment;
        continue;
      }
      books.strangers += replica.gpus;
      draft.say(Stage::leases, "leases.orphan", replica.id.value, {{"gpus", arg(replica.gpus)}});
      draft.alarm("leases.orphan", pool->config->name.value);
    }
  }
}

void keep_books(Draft& draft, const Pool& pool) {
  PoolDraft& books = draft.pools[pool.index];
  const std::string& name = pool.config->name.value;
  Gpus needed, kept;
  // Processes we did not start are first of all those of production that somebody else runs here: it is counted once,
  // as production.
  for (const Site* site : pool.sites) {
    const bool elsewhere = site->service != nullptr && site->deployment->fleet.empty();
    if (elsewhere) books.strangers = std::max(books.strangers - site->gpus(draft.of(*site).held), Gpus{0});
  }
  books.unusable = books.strangers;
  for (const Site* site : pool.sites) {
    const SiteDraft& mine = draft.of(*site);
    books.unusable += mine.counts.lost_gpus;
    if (site->service == nullptr) continue;
    const Gpus held = site->deployment->fleet.empty() ? site->gpus(mine.held) : mine.counts.held_gpus();
    needed += site->gpus(mine.need);
    kept += held + site->gpus(std::max(mine.need - mine.held, Replicas{0}));
    books.production += held;
  }
  books.reserve = kept + pool.config->headroom;
  books.slack = std::max(pool.config->gpus - books.reserve - books.unusable, Gpus{0});
  draft.say(Stage::reserve, "reserve.pool", name,
            {{"reserve", arg(books.reserve)},
             {"gpus", arg(pool.config->gpus)},
             {"need", arg(needed)},
             {"headroom", arg(pool.config->headroom)},
             {"held", arg(books.production)}});
  if (books.unusable.count > 0) {
    draft.say(Stage::reserve, "reserve.unusable", name, {{"count", arg(books.unusable)}});
    draft.alarm("reserve.unusable", name);
  }
  if (needed > pool.config->gpus) {
    draft.say(Stage::reserve, "reserve.short", name, {{"need", arg(needed)}, {"gpus", arg(pool.config->gpus)}});
    draft.alarm("reserve.short", name);
  }
}

}  // namespace

void reserve(Draft& draft, const Input& in) {
  count_strangers(draft, in);
  for (const Pool& pool : in.pools) keep_books(draft, pool);
}

}  // namespace ebb
