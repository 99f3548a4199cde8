// Fourth stage: what each idle deployment is told next. An order holds replicas that have the same way to go, so that
// its first snapshot fits every one of them (I5), and a deployment has one order at a time (I7).
#include <algorithm>
#include <cmath>
#include <tuple>

#include "daemon/core/hotload.hpp"

namespace ebb {
namespace {

/// Replicas with the same way to the target.
struct Group {
  std::vector<Snapshot> path;
  std::vector<ReplicaId> replicas;  ///< sorted
  TimePoint since = TimePoint::max();
  bool serves = false;  ///< some of them serve what was newest before: the trainer waits for them
};

/// Whether waiting for the next full snapshot is better than going the whole way now. Both end with one full load; this
/// way has the links on top of it as well. A replica that has failed keeps its deployment busy with a full load just
/// when the trainer brings the one that mends it, so for that the load itself counts too.
bool waits_for_full(const JobWeights& state, const WeightsInput& in, const std::vector<Snapshot>& path, bool failed) {
  const WeightsMeasures& seen = state.measures;
  if (!path.front().full() || (path.size() < 2 && !failed) || seen.publish_interval_s <= 0) return false;
  const double silent_s = static_cast<double>((in.now - seen.last_published).count()) / 1'000;
  // A trainer that is late may have stopped.
  if (silent_s > 1.5 * seen.publish_interval_s) return false;
  const bool due = !state.chain.why_full.empty();
  const int snapshots = due ? 1 : std::max(in.full_every - since_full(state.chain), 1);
  const double until_full_s = snapshots * seen.publish_interval_s - silent_s;
  const double links_s = static_cast<double>(path.size() - 1) * seen.incremental_load_s;
  return until_full_s < links_s + (failed && due ? seen.full_load_s : 0);
}

/// It has failed with this very target: not at once again, and not at all while the ready fraction is being judged.
bool must_pause(const Chain& chain, const ReplicaWeights& replica, const WeightsInput& in) {
  const Snapshot* target = target_of(chain);
  if (replica.failures == 0 || target == nullptr || replica.target != target->identity()) return false;
  if (target->phase != SnapshotPhase::serving) return true;
  return in.now - replica.since < retry_pause(replica.failures, in.config);
}

/// The ways to go of a deployment's replicas that can be told now.
std::vector<Group> groups_of(WeightsDraft& draft, const WeightsInput& in, const DeploymentId& id) {
  std::vector<Group> groups;
  const HotloadCapabilities& fleet = in.fleets.at(id);
  for (const auto& [name, replica] : draft.state.deployments[id].replicas) {
    const WeightsReport* report = report_of(in, id, name);
    const bool serves = replica.phase == WeightsPhase::serving;
    std::vector<Snapshot> path = path_to_target(draft.state.chain, serves ? replica.loaded : Identity());
    if (report == nullptr || path.empty()) continue;
    // One that was given up on may be at it for ever; where nobody but the vendor could end that, only a new order can.
    const bool given_up =
        replica.phase == WeightsPhase::failed && report->target == replica.target && !fleet.by_replica;
    if (report->stage == LoadStage::loading && !given_up) continue;
    if (replica.phase == WeightsPhase::unknown || (serves && !replica.ready)) continue;
    if (!may_be_told(replica.phase, path.front().said.kind) || must_pause(draft.state.chain, replica, in)) continue;
    const bool failed = replica.phase == WeightsPhase::failed;
    // It goes on with what it had, and that is what it should have.
    if (failed && fleet.keeps_old_on_error && path_to_target(draft.state.chain, replica.loaded).empty()) continue;
    const bool waits = !draft.state.chain.waiting.empty() && path.back() == draft.state.chain.waiting.front();
    if (!(waits && path.back().full()) && waits_for_full(draft.state, in, path, failed)) {
      draft.why.push_back({Stage::snapshots, "snapshots.waits_for_full", name.value, {}});
      continue;
    }
    if (!fleet.replays_chain) path.resize(1);
    auto at = std::find_if(groups.begin(), groups.end(), [&](const Group& group) { return group.path == path; });
    if (at == groups.end()) at = groups.insert(at, Group{std::move(path), {}, TimePoint::max(), false});
    at->replicas.push_back(name);
    at->since = std::min(at->since, replica.since);
    at->serves = at->serves || replica.counted;
  }
  return groups;
}

/// No more than may be away at a time; who serves nobody costs nothing.
void limit_wave(const JobWeights& state, const WeightsInput& in, const DeploymentId& id, Group& group) {
  const auto& replicas = state.deployments.at(id).replicas;
  const auto serves = [&](const ReplicaId& name) { return replicas.at(name).phase == WeightsPhase::serving; };
  const auto serving = std::count_if(replicas.begin(), replicas.end(),
                                     [](const auto& entry) { return entry.second.phase == WeightsPhase::serving; });
  auto left =
      std::max(1, static_cast<int>(std::floor(in.config.max_unavailable * static_cast<double>(serving) + 1e-9)));
  std::erase_if(group.replicas, [&](const ReplicaId& name) { return serves(name) && left-- <= 0; });
}

void give(WeightsDraft& draft, const WeightsInput& in, const DeploymentId& id, Group group) {
  DeploymentWeights& deployment = draft.state.deployments[id];
  deployment.newcomers_next = group.serves;
  HotLoad& load = deployment.load;
  LoadOrder order;
  order.id = group.path.back().identity().value + "/" + id.value + "/" + std::to_string(++draft.state.orders);
  order.job = in.job;
  order.deployment = id;
  order.replicas = std::move(group.replicas);
  order.path = std::move(group.path);
  order.transition = in.config.transition;
  order.reset_cache =
      reset_cache_from(order.path.back().said.reset_cache.value_or("")).value_or(in.config.reset_prompt_cache);
  load.order = std::move(order);
  load.attempts = 0;
  load.began = load.send_at = in.now;
  load.deadline = in.now + in.config.load_timeout;
  move_load(draft, id, load, LoadEvent::ordered, "", in.now);
  const WeightsEvent told = load.order.path.front().full() ? WeightsEvent::full : WeightsEvent::incremental;
  for (const ReplicaId& name : load.order.replicas) {
    ReplicaWeights& replica = deployment.replicas.at(name);
    replica.target = load.order.target();
    replica.reload = replica.loaded == replica.target;
    move_weights(draft, id, name, replica, told, "", in.now);
    if (in.fleets.at(id).pauses) deployment.paused.insert(name);
  }
  draft.why.push_back({Stage::snapshots,
                       "snapshots.order",
                       id.value,
                       {{"identity", load.order.target().value},
                        {"links", std::int64_t(load.order.path.size())},
                        {"count", std::int64_t(load.order.replicas.size())}}});
  move_chain(draft, Identity(load.order.target()), SnapshotEvent::signalled, "", in.now);
}

/// A deployment that is told as a whole takes an increment only when every replica of it has the parent. Newcomers are
/// brought up to date by the vendor; when that takes too long, the next snapshot is full.
void wait_for_whole(WeightsDraft& draft, const WeightsInput& in, const DeploymentId& id) {
  const Snapshot* target = target_of(draft.state.chain);
  if (target == nullptr || target->phase == SnapshotPhase::serving || target->full()) return;
  const Identity identity = target->identity();
  const TimePoint since = target->since;
  for (const auto& [name, replica] : draft.state.deployments[id].replicas) {
    if (!is_stuck(replica, in.config, since, in.now)) continue;
    move_chain(draft, identity, SnapshotEvent::timeout, name.value + " does not have its parent", in.now);
    return;
  }
}

}  // namespace

WeightsDraft orders(WeightsDraft draft, const WeightsInput& in) {
  for (const auto& [id, fleet] : in.fleets) {
    const DeploymentWeights& deployment = draft.state.deployments[id];
    if (is_loading(deployment) || !deployment.paused.empty() || in.seen.growing.contains(id)) continue;
    std::vector<Group> groups = groups_of(draft, in, id);
    if (!fleet.by_replica) {
      const bool whole = groups.size() == 1 && groups.front().replicas.size() == deployment.replicas.size();
      if (whole)
        give(draft, in, id, std::move(groups.front()));
      else
        wait_for_whole(draft, in, id);
      continue;
    }
    if (groups.empty()) continue;
    // Those that serve and newcomers take turns, so that neither holds the other up for more than one load; among
    // newcomers who has waited longest.
    const bool newcomers_first = deployment.newcomers_next;
    Group next = *std::min_element(groups.begin(), groups.end(), [&](const Group& a, const Group& b) {
      return std::tuple(a.serves == newcomers_first, a.since) < std::tuple(b.serves == newcomers_first, b.since);
    });
    limit_wave(draft.state, in, id, next);
    give(draft, in, id, std::move(next));
  }
  return draft;
}

}  // namespace ebb
