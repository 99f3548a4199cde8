// Second stage: what became of the order that each deployment was given.
#include <algorithm>

#include "daemon/core/hotload.hpp"
#include "daemon/core/stamps.hpp"

namespace ebb {
namespace {

struct Members {
  std::vector<std::pair<const ReplicaId*, ReplicaWeights*>> pending, failed;
  bool any_done = false;
  [[nodiscard]] bool resolved() const { return pending.empty() && (any_done || !failed.empty()); }
  /// All have left or begun anew: nobody is at it any more.
  [[nodiscard]] bool nobody() const { return pending.empty() && !any_done && failed.empty(); }
};

Members members_of(DeploymentWeights& deployment) {
  Members out;
  for (const ReplicaId& id : deployment.load.order.replicas) {
    const auto at = deployment.replicas.find(id);
    if (at == deployment.replicas.end()) continue;
    out.any_done = out.any_done || at->second.phase == WeightsPhase::serving;
    if (at->second.phase == WeightsPhase::loading) out.pending.emplace_back(&at->first, &at->second);
    if (at->second.phase == WeightsPhase::failed) out.failed.emplace_back(&at->first, &at->second);
  }
  return out;
}

/// A replica of the order is at it, or has been.
bool is_seen(const WeightsInput& in, const DeploymentId& id, const DeploymentWeights& deployment) {
  const HotLoad& load = deployment.load;
  const Identity& target = load.order.target();
  return std::any_of(load.order.replicas.begin(), load.order.replicas.end(), [&](const ReplicaId& replica) {
    const WeightsReport* report = report_of(in, id, replica);
    if (report == nullptr) return false;
    const bool about = report->target == target || (report->target.empty() && report->stage == LoadStage::loading);
    const auto at = deployment.replicas.find(replica);
    const bool news = at != deployment.replicas.end() && !at->second.reload;
    return (news && holds(*report, target, in.fleets.at(id))) || (report->stage != LoadStage::idle && about);
  });
}

/// It stands where the order begins. An incremental one fits onto nothing else, least of all onto what it has changed
/// itself when it was sent before and its answer was lost.
bool stands_at_begin(const WeightsReport& report, const LoadOrder& order) {
  const Publication& first = order.path.front().said;
  return first.kind == SnapshotKind::full || report.current == first.parent;
}

/// Everybody answered, after it was asked for long enough, and nobody has heard of it.
bool is_unseen(const WeightsInput& in, const DeploymentId& id, const HotLoad& load) {
  if (in.now - load.since < in.config.settle) return false;
  const auto poll = in.seen.polls.find(id);
  if (poll == in.seen.polls.end() || !poll->second.known() || poll->second.sample()->taken_at <= load.since)
    return false;
  return std::all_of(load.order.replicas.begin(), load.order.replicas.end(), [&](const ReplicaId& replica) {
    const WeightsReport* report = report_of(in, id, replica);
    return in.seen.leaving.contains(replica) || (report != nullptr && stands_at_begin(*report, load.order));
  });
}

double ewma(double old, double seen) { return old <= 0 ? seen : old + 0.25 * (seen - old); }

void measure(WeightsMeasures& measures, const HotLoad& load, TimePoint now) {
  if (load.order.path.size() != 1) return;
  const double took_s = static_cast<double>((now - load.began).count()) / 1'000;
  double& mean = load.order.path.front().full() ? measures.full_load_s : measures.incremental_load_s;
  mean = ewma(mean, std::max(took_s, 0.001));
}

void end(WeightsDraft& draft, const WeightsInput& in, const DeploymentId& id, DeploymentWeights& deployment,
         const Members& members, LoadEvent event) {
  HotLoad& load = deployment.load;
  if (event == LoadEvent::reached) measure(draft.state.measures, load, in.now);
  std::string detail =
      event == LoadEvent::failed && !members.failed.empty() ? members.failed.front().second->error : "";
  if (event == LoadEvent::timeout) {
    detail = "no end after " + to_text(in.now - load.began) + (load.problem.empty() ? "" : ": " + load.problem);
    for (const auto& [name, replica] : members.pending) {
      move_weights(draft, id, *name, *replica, WeightsEvent::timeout, detail, in.now);
    }
  }
  if (event != LoadEvent::reached && !deployment.condition.empty()) {
    detail += (detail.empty() ? "" : "; ") + std::string("the deployment is ") + deployment.condition;
  }
  draft.why.push_back({Stage::snapshots,
                       "snapshots.load_ended",
                       id.value,
                       {{"identity", load.order.target().value},
                        {"failed", std::int64_t(members.failed.size())},
                        {"span", in.now - load.began},
                        {"why", detail}}});
  move_load(draft, id, load, event, detail, in.now);
}

/// While an order waits to be sent its replicas may begin anew; it no longer fits those (I5). True: it was taken back.
bool revise(WeightsDraft& draft, const WeightsInput& in, const DeploymentId& id, DeploymentWeights& deployment) {
  auto& names = deployment.load.order.replicas;
  const auto strayed = std::erase_if(names, [&](const ReplicaId& name) {
    const auto replica = deployment.replicas.find(name);
    return replica == deployment.replicas.end() || replica->second.phase != WeightsPhase::loading;
  });
  if (!names.empty() && (strayed == 0 || in.fleets.at(id).by_replica)) return false;
  for (const ReplicaId& name : names) {
    move_weights(draft, id, name, deployment.replicas.at(name), WeightsEvent::refused, "taken back", in.now);
  }
  move_load(draft, id, deployment.load, LoadEvent::emptied, "a replica began anew", in.now);
  return true;
}

/// Where the daemon itself tells one engine after the other, it may have ended after some of them: whoever stands idle
/// on its old weights never heard of the order, is taken out of it and gets another. Others tell their replicas
/// themselves, at their own pace.
void take_back_unheard(WeightsDraft& draft, const WeightsInput& in, const DeploymentId& id,
                       DeploymentWeights& deployment) {
  HotLoad& load = deployment.load;
  if (load.phase != LoadPhase::loading || !in.fleets.at(id).pauses || in.now - load.since < in.config.settle) return;
  std::erase_if(load.order.replicas, [&](const ReplicaId& name) {
    const auto at = deployment.replicas.find(name);
    const WeightsReport* report = report_of(in, id, name);
    const bool idle = report != nullptr && report->stage == LoadStage::idle && report->current != load.order.target();
    if (!idle || at == deployment.replicas.end() || at->second.phase != WeightsPhase::loading) return false;
    const bool counted = at->second.counted;
    move_weights(draft, id, name, at->second, WeightsEvent::refused, "it never heard of the order", in.now);
    at->second.counted = counted;  // the snapshot still waits for it
    return true;
  });
}

/// Where the wall clock went back since the last run: a load that has a minute left would else hold its replicas for an
/// hour and a minute.
JobWeights rebased(JobWeights state, TimePoint now) {
  std::vector<TimePoint*> made = {&state.measures.last_published}, due;
  for (Snapshot& snapshot : state.chain.waiting) made.push_back(&snapshot.since);
  for (auto& [id, deployment] : state.deployments) {
    made.insert(made.end(), {&deployment.load.since, &deployment.load.began});
    due.insert(due.end(), {&deployment.load.deadline, &deployment.load.send_at});
    for (auto& [name, replica] : deployment.replicas) made.insert(made.end(), {&replica.since, &replica.missing_since});
  }
  (void)moved_back(made, due, now);
  return state;
}

}  // namespace

std::vector<LoadOrder> to_send(const JobWeights& state, const WeightsInput& in) {
  std::vector<LoadOrder> out;
  for (const auto& [id, deployment] : state.deployments) {
    const HotLoad& load = deployment.load;
    const auto poll = in.seen.polls.find(id);
    const bool read = poll != in.seen.polls.end() && poll->second.known();
    if (load.phase == LoadPhase::sending && load.send_at <= in.now && read) out.push_back(load.order);
  }
  return out;
}

std::map<DeploymentId, std::vector<ReplicaId>> to_resume(const JobWeights& state) {
  std::map<DeploymentId, std::vector<ReplicaId>> out;
  for (const auto& [id, deployment] : state.deployments) {
    for (const ReplicaId& name : deployment.paused) {
      const auto& held = deployment.load.order.replicas;
      // One that drains is no longer of the order, and must run to finish what it has.
      if (!std::binary_search(held.begin(), held.end(), name)) out[id].push_back(name);
    }
  }
  return out;
}

WeightsDraft loads(WeightsDraft draft, const WeightsInput& in) {
  for (auto& [id, deployment] : draft.state.deployments) {
    HotLoad& load = deployment.load;
    if (load.phase == LoadPhase::idle) continue;
    take_back_unheard(draft, in, id, deployment);
    const Members members = members_of(deployment);
    if (members.nobody()) {
      end(draft, in, id, deployment, members, LoadEvent::emptied);
      continue;
    }
    if (load.phase == LoadPhase::asking && (is_seen(in, id, deployment) || members.resolved())) {
      move_load(draft, id, load, LoadEvent::seen, "", in.now);
    } else if (load.phase == LoadPhase::asking && is_unseen(in, id, load)) {
      move_load(draft, id, load, LoadEvent::unseen, "", in.now);
      load.send_at = in.now;
    }
    if (load.phase == LoadPhase::sending && revise(draft, in, id, deployment)) continue;
    if (load.phase == LoadPhase::loading && members.resolved()) {
      end(draft, in, id, deployment, members, members.failed.empty() ? LoadEvent::reached : LoadEvent::failed);
    } else if (in.now >= load.deadline) {
      end(draft, in, id, deployment, members, LoadEvent::timeout);
    }
  }
  return draft;
}

WeightsDraft answered(JobWeights state, const DeploymentId& deployment, const std::string& order, LoadEvent event,
                      const std::string& problem, const SnapshotsConfig& config, TimePoint now) {
  WeightsDraft draft;
  draft.state = std::move(state);
  const auto at = draft.state.deployments.find(deployment);
  if (at == draft.state.deployments.end() || at->second.load.order.id != order) return draft;
  HotLoad& load = at->second.load;
  ++load.attempts;
  load.problem = problem;
  if (event == LoadEvent::put_off) load.send_at = now + retry_pause(load.attempts, config);
  if (event != LoadEvent::refused) {
    move_load(draft, deployment, load, event, problem, now);
    return draft;
  }
  const Identity target = load.order.target();
  for (const ReplicaId& id : load.order.replicas) {
    const auto replica = at->second.replicas.find(id);
    if (replica == at->second.replicas.end()) continue;
    ++replica->second.failures;
    move_weights(draft, deployment, id, replica->second, WeightsEvent::refused, problem, now);
  }
  move_load(draft, deployment, load, LoadEvent::refused, problem, now);
  // Whatever is wrong with it is wrong for everybody: the trainer hears of it now rather than at a deadline.
  move_chain(draft, target, SnapshotEvent::failed, deployment.value + ": " + problem, now);
  return draft;
}

WeightsDraft recovered(JobWeights state, TimePoint now) {
  WeightsDraft draft;
  draft.state = rebased(std::move(state), now);
  for (auto& [id, deployment] : draft.state.deployments) {
    move_load(draft, id, deployment.load, LoadEvent::unanswered, "the daemon ended before the answer", now);
    // Engines have `settle` from now on to show that an order which was taken has reached them.
    if (deployment.load.phase == LoadPhase::loading) deployment.load.since = now;
  }
  return draft;
}

}  // namespace ebb
