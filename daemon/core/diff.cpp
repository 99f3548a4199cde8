// Stage 9: desired against observed gives actions, reclaims first, then production's starts, then RL's. Only GPUs that
// are free now are handed out: what is draining still holds its own.
#include <algorithm>

#include "daemon/core/draft.hpp"

namespace ebb {
namespace {

// Starts in one plan. 256 replicas of 8 GPUs fill a pool of 2,048; the rest follows a tick later. Reclaims have no
// limit.
constexpr int kMaxStarts = 256;

/// Names new replicas after the tick, gives them leases and adds the action. A second decision from the same inputs
/// chooses the same names.
void start(Draft& draft, const Input& in, const Site& site, Replicas count) {
  Action action;
  action.id = ActionId(std::to_string(draft.state.tick) + "/" + site.id().value + "/" + to_string(ActionKind::start));
  action.kind = ActionKind::start;
  action.fleet = site.deployment->fleet;
  action.deployment = site.id();
  action.gpus_each = site.deployment->gpus_per_replica;
  action.deadline = in.now + site.deployment->start_timeout;
  for (int i = 1; i <= count.count; ++i) {
    const ReplicaId id(site.id().value + "-" + std::to_string(draft.state.tick) + "-" + std::to_string(i));
    action.replicas.push_back(id);
    Lease lease;
    lease.deployment = site.id();
    lease.since = lease.asked_at = in.now;
    lease.gpus = site.deployment->gpus_per_replica;
    const auto made = draft.state.leases.insert_or_assign(id, std::move(lease)).first;
    draft.of(site).leases.push_back({&made->first, &made->second, nullptr});
  }
  std::sort(action.replicas.begin(), action.replicas.end());
  draft.say(Stage::diff, "diff.start", site.id().value, {{"count", arg(count)}});
  if (site.job != nullptr) draft.state.deployments[site.id()].last_grow = in.now;
  draft.plan.actions.push_back(std::move(action));
}

/// Room of one pool while it is handed out.
struct Room {
  Gpus free;    ///< nobody holds them
  Gpus for_rl;  ///< slack that RL does not hold in any phase
};

/// Starts of one plan.
struct Starts {
  int left = kMaxStarts;
  int cut = 0;  ///< for which there was room, and no place in the plan
};

/// What has to end before the deployment grows; null: nothing.
const char* waits_for(const Input& in, const DeploymentId& id) {
  if (in.seen.busy.contains(id)) return "an earlier start is not answered yet";
  if (in.seen.loading.contains(id)) return "it loads weights";
  return nullptr;
}

void start_in(Draft& draft, const Input& in, const Pool& pool, bool production, Room& room, Starts& starts) {
  for (const Site* site : pool.sites) {
    if ((site->service != nullptr) != production || !site->ours()) continue;
    const SiteDraft& mine = draft.of(*site);
    const Replicas missing = mine.target - mine.counts.active();
    if (missing.count <= 0 || mine.dark) continue;
    if (const char* why = waits_for(in, site->id())) {
      draft.say(Stage::diff, "diff.waits", site->id().value, {{"wanted", arg(missing)}, {"why", why}});
      continue;
    }
    const Gpus each = site->deployment->gpus_per_replica;
    const Gpus open = production ? room.free : std::min(room.free, room.for_rl);
    const Replicas fit = std::clamp(fitting(open, each), Replicas{0}, missing);
    if (fit < missing) {
      draft.say(Stage::diff, "diff.no_room", site->id().value, {{"wanted", arg(missing - fit)}, {"free", arg(open)}});
    }
    const Replicas now = std::min(fit, Replicas{starts.left});
    starts.cut += (fit - now).count;
    if (now.count == 0) continue;
    room.free -= now * each;
    if (!production) room.for_rl -= now * each;
    starts.left -= now.count;
    start(draft, in, *site, now);
    draft.of(*site).count();
  }
}

Room room_in(const Draft& draft, const Pool& pool) {
  const PoolDraft& books = draft.pools[pool.index];
  const Gpus rl = rl_gpus(draft, pool, false);
  return {std::max(pool.config->gpus - books.production - rl - books.unusable, Gpus{0}), books.slack - rl};
}

void add_endings(Draft& draft, const Input& in, const std::vector<Action>& actions, const char* rule, bool of_rl) {
  for (const Action& action : actions) {
    const bool rl = in.site_of(action.deployment)->job != nullptr;
    if (rl != of_rl) continue;
    draft.say(Stage::diff, rule, action.deployment.value, {{"count", arg(static_cast<int>(action.replicas.size()))}});
    draft.plan.actions.push_back(action);
  }
}

}  // namespace

void diff(Draft& draft, const Input& in) {
  for (const bool rl : {true, false}) {
    add_endings(draft, in, draft.evictions, "diff.evict", rl);
    add_endings(draft, in, draft.drains, "diff.drain", rl);
  }
  Starts starts;
  std::vector<Room> rooms;
  for (const Pool& pool : in.pools) {
    rooms.push_back(room_in(draft, pool));
    start_in(draft, in, pool, true, rooms.back(), starts);
  }
  for (const Pool& pool : in.pools) start_in(draft, in, pool, false, rooms[pool.index], starts);
  if (starts.cut > 0) {
    draft.say(Stage::diff, "diff.limited", "", {{"count", arg(starts.cut)}, {"limit", arg(kMaxStarts)}});
  }
  if (draft.plan.actions.empty()) draft.say(Stage::diff, "diff.nothing", "");
}

}  // namespace ebb
