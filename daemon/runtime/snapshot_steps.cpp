// What a trainer asks of a job's coordinator.
#include <algorithm>
#include <utility>

#include "daemon/runtime/snapshot_job.hpp"

namespace ebb {
namespace {

Error unrecorded() { return {ErrorCode::internal, "the ledger cannot be written; ask again", true}; }

}  // namespace

JobSnapshots::Setting JobSnapshots::setting() const {
  Setting now;
  now.config = parts_.config();
  now.wiring = parts_.wiring();
  const auto& jobs = now.config->jobs;
  const auto at = std::find_if(jobs.begin(), jobs.end(), [&](const JobConfig& job) { return job.name == job_; });
  if (at == jobs.end() || !at->snapshots.enabled) return now;
  now.job = &*at;
  const auto add = [&now](const DeploymentId& id) {
    const auto hotload = now.wiring->hotloads.find(id);
    if (hotload != now.wiring->hotloads.end()) now.fleets[id] = hotload->second->capabilities();
  };
  for (const DeploymentConfig& deployment : at->deployments) add(deployment.id);
  for (const ElsewhereConfig& deployment : at->snapshots.elsewhere) add(deployment.id);
  return now;
}

std::optional<Error> JobSnapshots::closed(const Setting& now) const {
  if (now.job == nullptr) {
    return Error{ErrorCode::not_found, "the job '" + job_.value + "' has no snapshots: enable them in its config",
                 false};
  }
  if (now.advises()) {
    return Error{ErrorCode::conflict, "the daemon only advises; snapshots are loaded with mode: act", false};
  }
  for (const DeploymentConfig& deployment : now.job->deployments) {
    if (now.fleets.contains(deployment.id)) continue;
    return Error{ErrorCode::conflict, "nothing can load snapshots into the deployment " + deployment.id.value, false};
  }
  return std::nullopt;
}

CadenceChoice JobSnapshots::cadence(const Setting& now) const {
  CadenceInput input;
  input.since_full = since_full(state_.chain);
  input.measures = state_.measures;
  input.full_every_max = std::min(kFullEveryMax, rules(now).incrementals_max + 1);
  if (now.snapshots().cadence == nullptr) return {input.full_every_max, "no cadence"};
  return now.snapshots().cadence->choose(input);
}

ChainRules JobSnapshots::rules(const Setting& now) const {
  std::vector<HotloadCapabilities> all;
  for (const auto& [id, capabilities] : now.fleets) all.push_back(capabilities);
  ChainRules out = chain_rules(now.snapshots(), all);
  out.why_full = full_wanted(state_, now.fleets, now.snapshots(), parts_.clock.now());
  return out;
}

awaitable<Result<SnapshotPlan>> JobSnapshots::plan(std::string run, std::optional<std::int64_t> step) {
  const Setting now = setting();
  if (const auto refusal = closed(now)) co_return *refusal;
  const Result<Known> known = co_await parts_.ledger.known(job_, Identity(), run);
  if (!known.ok()) co_return known.error();
  Result<ChainStep> planned_step = planned(state_.chain, run, step, cadence(now), rules(now), known->run_is_over);
  if (!planned_step.ok()) co_return planned_step.error();
  WeightsDraft draft;
  draft.state = state_;
  draft.state.chain = std::move(planned_step->chain);
  SnapshotPlan plan = *draft.state.chain.planned;
  take(std::move(draft));
  // A plan is advice: it binds nobody, so it is told although it could not be kept.
  (void)co_await record();
  co_return plan;
}

awaitable<Result<Snapshots::Published>> JobSnapshots::publish(Publication said) {
  const Setting now = setting();
  if (const auto refusal = closed(now)) co_return *refusal;
  Result<Known> known = co_await parts_.ledger.known(job_, said.identity, said.run.value_or(state_.chain.run));
  if (!known.ok()) co_return known.error();
  // The ledger may lag behind what came in a moment ago.
  if (const Snapshot* same = lately(said.identity)) known->same = *same;
  Result<ChainStep> step = published(state_.chain, said, *known, rules(now), parts_.clock.now());
  if (!step.ok()) co_return step.error();
  Snapshots::Published out;
  out.repeated = step->repeated;
  out.snapshot = step->repeated ? *known->same : step->changed.back();
  if (!step->repeated) {
    WeightsDraft draft;
    draft.state = state_;
    draft.state.chain = std::move(step->chain);
    draft.state.measures = measured_publication(draft.state.measures, parts_.clock.now());
    draft.changed = std::move(step->changed);
    take(std::move(draft));
  }
  if (!co_await record()) co_return unrecorded();
  begin_verifying();
  co_return out;
}

awaitable<Result<Snapshot>> JobSnapshots::ended(Identity identity, TimePoint until) {
  for (;;) {
    const Snapshot* found = waiting(identity);
    if (found == nullptr) break;
    if (parts_.clock.now() >= until || stopping_) co_return *found;
    co_await changed_.wait(parts_.clock, until);
  }
  const auto& links = state_.chain.links;
  const auto at =
      std::find_if(links.begin(), links.end(), [&](const Snapshot& one) { return one.identity() == identity; });
  if (at != links.end()) co_return *at;
  Result<Known> known = co_await parts_.ledger.known(job_, identity, "");
  if (!known.ok()) co_return known.error();
  if (const Snapshot* same = lately(identity)) known->same = *same;
  if (known->same) co_return *known->same;
  co_return Error{ErrorCode::not_found, "no snapshot '" + identity.value + "' was published for " + job_.value, false};
}

awaitable<Status> JobSnapshots::reset(std::string by) {
  const Setting now = setting();
  if (now.job == nullptr) co_return *closed(now);
  take(ebb::reset(state_, parts_.clock.now()));
  unrecorded_reset_ = WeightsReset{parts_.clock.now(), std::move(by)};
  dirty_ = true;
  if (!co_await record()) co_return unrecorded();
  for (const auto& [id, capabilities] : now.fleets) {
    const std::shared_ptr<Hotload> hotload = now.wiring->hotloads.at(id);
    const Status done = co_await hotload->reset(parts_.clock.now() + now.snapshots().signal_timeout);
    if (!done.ok()) co_return done.error();
  }
  poke();
  co_return Done();
}

Result<WeightsView> JobSnapshots::view() {
  const Setting now = setting();
  if (now.job == nullptr) return *closed(now);
  if (view_ == nullptr) view_ = std::make_shared<const JobWeights>(state_);
  WeightsView out;
  out.weights = view_;
  out.fleets = now.fleets;
  out.no_incremental_why = rules(now).no_incremental_why;
  return out;
}

std::optional<SnapshotCoordinator::Standing> JobSnapshots::standing() const {
  const Setting now = setting();
  if (now.job == nullptr) return std::nullopt;
  SnapshotCoordinator::Standing out;
  for (const auto& [id, deployment] : state_.deployments) {
    const auto fleet = now.fleets.find(id);
    if (fleet == now.fleets.end()) continue;
    if (is_loading(deployment)) out.loading.insert(id);
    for (const auto& [name, replica] : deployment.replicas) {
      if (may_serve(state_.chain, replica, now.snapshots(), fleet->second)) out.current.insert(name);
    }
  }
  return out;
}

}  // namespace ebb
