#include "daemon/runtime/snapshot_job.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "daemon/ports/gather.hpp"
#include "daemon/ports/spawn.hpp"

namespace ebb {
namespace {

// A look that takes longer counts as failed: one dark deployment does not hold the others up for longer.
constexpr Duration kLookMax{5'000};
// Adapters keep deadlines themselves; this is for one that does not.
constexpr Duration kGrace{1'000};
// Of one wait for somebody else's record: what waits for a bell leaves a timer behind, which must end some day.
constexpr Duration kRecordCheck{1'000};

awaitable<Result<HotloadSeen>> look_at(std::shared_ptr<Hotload> hotload, std::vector<EngineAddress> engines,
                                       TimePoint deadline) {
  co_return co_await hotload->look(std::move(engines), deadline);
}

awaitable<Status> signal_to(std::shared_ptr<Hotload> hotload, LoadOrder order, std::vector<EngineAddress> engines,
                            TimePoint deadline) {
  co_return co_await hotload->signal(std::move(order), std::move(engines), deadline);
}
awaitable<Status> stage_at(std::shared_ptr<Hotload> hotload, LoadOrder order, std::vector<EngineAddress> engines,
                           TimePoint deadline) {
  co_return co_await hotload->stage(std::move(order), std::move(engines), deadline);
}
awaitable<Status> pause_at(std::shared_ptr<Hotload> hotload, LoadOrder order, std::vector<EngineAddress> engines,
                           TimePoint deadline) {
  co_return co_await hotload->pause(std::move(order), std::move(engines), deadline);
}
awaitable<Status> resume_at(std::shared_ptr<Hotload> hotload, std::vector<EngineAddress> engines, TimePoint deadline) {
  co_return co_await hotload->resume(std::move(engines), deadline);
}

/// An adapter that never answers must not hold its deployment for ever. What the task uses, it owns.
awaitable<Status> in_time(Clock& clock, awaitable<Status> task, TimePoint deadline) {
  std::vector<awaitable<Status>> tasks;
  tasks.push_back(std::move(task));
  std::vector<std::optional<Status>> answers = co_await gather(clock, std::move(tasks), deadline + kGrace);
  if (answers[0]) co_return *answers[0];
  co_return Error{ErrorCode::timeout, "no answer in time", true};
}

/// What an answer to a signal says of whether it was taken.
LoadEvent event_of(const Status& answer) {
  if (answer.ok()) return LoadEvent::accepted;
  switch (answer.error().code) {
    case ErrorCode::invalid:
    case ErrorCode::denied:
    case ErrorCode::not_found:
    case ErrorCode::conflict: return LoadEvent::refused;
    case ErrorCode::unreachable:
    case ErrorCode::throttled:
    case ErrorCode::exhausted: return LoadEvent::put_off;
    default: return LoadEvent::unanswered;
  }
}

std::vector<EngineAddress> engines_of(const JobFleet& fleet, const DeploymentId& deployment,
                                      const std::vector<ReplicaId>& names) {
  std::vector<EngineAddress> out;
  const auto at = fleet.engines.find(deployment);
  if (at == fleet.engines.end()) return out;
  for (const EngineAddress& engine : at->second) {
    if (std::find(names.begin(), names.end(), engine.replica) != names.end()) out.push_back(engine);
  }
  return out;
}

}  // namespace

JobSnapshots::JobSnapshots(boost::asio::any_io_executor executor, const SnapshotCoordinator::Parts& parts, JobId job,
                           JobWeights state)
    : executor_(executor),
      parts_(parts),
      job_(std::move(job)),
      state_(std::move(state)),
      changed_(executor),
      wake_(executor),
      recorded_(executor) {
  take(recovered(state_, parts_.clock.now()));
}

awaitable<void> JobSnapshots::run() {
  while (!stopping_) {
    Setting now = setting();
    Duration interval{1'000};
    poked_ = false;
    if (now.job != nullptr) {
      interval = now.snapshots().poll_interval;
      co_await pass(std::move(now));
    }
    if (!poked_ && !stopping_) co_await wake_.wait(parts_.clock, parts_.clock.now() + interval);
  }
}

void JobSnapshots::stop() {
  stopping_ = true;
  wake_.ring();
  changed_.ring();
}

void JobSnapshots::poke() {
  poked_ = true;
  wake_.ring();
}

/// Adapters that know when a load has ended say so; a reload may have brought new ones.
void JobSnapshots::listen(const Setting& now) {
  if (heard_ == now.wiring) return;
  heard_ = now.wiring;
  for (const auto& [id, capabilities] : now.fleets) {
    now.wiring->hotloads.at(id)->on_load_end([this, alive = std::weak_ptr<const bool>(alive_)] {
      if (alive.lock()) poke();
    });
  }
}

awaitable<void> JobSnapshots::pass(Setting now) {
  listen(now);
  const JobFleet fleet = parts_.fleet(*now.job);
  if (!fleet.known) co_return;
  WeightsSeen seen = co_await look(now, fleet);
  const WeightsInput in{job_, now.snapshots(), now.fleets, seen, cadence(now).full_every, parts_.clock.now()};
  take(advance(state_, in));
  begin_verifying();
  const bool recorded = co_await record();
  for (const auto& [deployment, names] : to_resume(state_)) {
    if (!now.fleets.contains(deployment) || fleet.dark.contains(deployment) || signalling_.contains(deployment) ||
        !resuming_.insert(deployment).second)
      continue;
    spawn(executor_, resume(now, deployment, names, engines_of(fleet, deployment, names)));
  }
  if (!recorded || stopping_ || now.advises()) co_return;
  for (LoadOrder& order : to_send(state_, in)) {
    if (!sending_.insert(order.deployment).second) continue;
    std::vector<EngineAddress> engines = engines_of(fleet, order.deployment, order.replicas);
    spawn(executor_, send(now, std::move(order), std::move(engines)));
  }
}

awaitable<WeightsSeen> JobSnapshots::look(const Setting& now, const JobFleet& fleet) {
  WeightsSeen seen;
  const TimePoint asked_at = parts_.clock.now();
  const TimePoint deadline = asked_at + kLookMax;
  std::vector<awaitable<Result<HotloadSeen>>> tasks;
  for (const auto& [id, capabilities] : now.fleets) {
    const auto engines = fleet.engines.find(id);
    tasks.push_back(look_at(now.wiring->hotloads.at(id),
                            engines == fleet.engines.end() ? std::vector<EngineAddress>() : engines->second, deadline));
  }
  auto answers = co_await gather(parts_.clock, std::move(tasks), deadline);
  std::size_t i = 0;
  for (const auto& [id, capabilities] : now.fleets) {
    std::optional<Result<HotloadSeen>>& answer = answers[i++];
    if (fleet.dark.contains(id)) {
      seen.polls[id] = Missing{"its fleet cannot be read", asked_at};
      continue;
    }
    if (!answer || !answer->ok()) {
      seen.polls[id] = Missing{answer ? answer->error().what : "no answer in time", asked_at};
      continue;
    }
    HotloadSeen page = std::move(answer->value());
    std::sort(page.replicas.begin(), page.replicas.end(),
              [](const WeightsReport& a, const WeightsReport& b) { return a.replica < b.replica; });
    seen.polls[id] = Sample<HotloadSeen>{std::move(page), asked_at};
  }
  // As it is now: while the engines were asked, replicas may have been started or told to leave.
  const JobFleet current = parts_.fleet(*now.job);
  seen.leaving = current.leaving;
  seen.growing = current.growing;
  // An order that is on its way is no longer the deployment's when its deadline has passed, but it may still arrive.
  seen.growing.insert(sending_.begin(), sending_.end());
  for (const auto& [id, capabilities] : now.fleets) {
    if (now.advises()) seen.growing.insert(id);
  }
  co_return seen;
}

awaitable<void> JobSnapshots::send(Setting now, LoadOrder order, std::vector<EngineAddress> engines) {
  const std::shared_ptr<Hotload> hotload = now.wiring->hotloads.at(order.deployment);
  const DeploymentId deployment = order.deployment;
  const std::string id = order.id;
  std::optional<LoadEvent> event = LoadEvent::put_off;
  Status done = Done();
  if (hotload->capabilities().pauses) {
    // The transfer is part of the load, not of one attempt to signal.
    const TimePoint deadline = parts_.clock.now() + now.snapshots().load_timeout;
    done = co_await in_time(parts_.clock, stage_at(hotload, order, engines, deadline), deadline);
    // Nothing was signalled, so nothing can be under way unheard of.
    if (!done.ok() && event_of(done) == LoadEvent::refused) event = LoadEvent::refused;
    if (done.ok() && !still_wanted(order, engines)) event = std::nullopt;
  }
  if (done.ok() && event) event = co_await tell(now, hotload, std::move(order), std::move(engines), done);
  sending_.erase(deployment);
  if (!event) {
    poke();
    co_return;
  }
  const std::string problem = done.ok() ? "" : done.error().what;
  spdlog::info("job={} order={} answer={} problem=\"{}\"", job_.value, id,
               done.ok() ? "accepted" : to_string(done.error().code), problem);
  take(answered(state_, deployment, id, *event, problem, now.snapshots(), parts_.clock.now()));
  (void)co_await record();
  poke();
}

/// What became of the order meanwhile: who drains is no longer of it, and must not be paused. False: it is over.
bool JobSnapshots::still_wanted(LoadOrder& order, std::vector<EngineAddress>& engines) const {
  const auto at = state_.deployments.find(order.deployment);
  if (at == state_.deployments.end()) return false;
  const HotLoad& load = at->second.load;
  if (load.order.id != order.id || load.phase != LoadPhase::sending || load.order.replicas.empty()) return false;
  order = load.order;
  std::erase_if(engines, [&](const EngineAddress& engine) {
    return !std::binary_search(order.replicas.begin(), order.replicas.end(), engine.replica);
  });
  return true;
}

awaitable<std::optional<LoadEvent>> JobSnapshots::tell(const Setting& now, std::shared_ptr<Hotload> hotload,
                                                       LoadOrder order, std::vector<EngineAddress> engines,
                                                       Status& done) {
  const TimePoint deadline = parts_.clock.now() + now.snapshots().signal_timeout;
  const bool pauses = hotload->capabilities().pauses;
  LoadEvent event = LoadEvent::put_off;
  // All of them stand still before any is touched.
  if (pauses) {
    done = co_await in_time(parts_.clock, pause_at(hotload, order, engines, deadline), deadline);
    // Nothing was signalled, and it never will be: whoever stands still is resumed with the order's end.
    if (!done.ok() && event_of(done) == LoadEvent::refused) event = LoadEvent::refused;
  }
  // That took a moment. Whoever was told to leave meanwhile runs on, so its weights must not change.
  if (pauses && done.ok() && !still_wanted(order, engines)) co_return std::nullopt;
  if (done.ok()) {
    const DeploymentId deployment = order.deployment;
    signalling_.insert(deployment);
    done = co_await in_time(parts_.clock, signal_to(hotload, std::move(order), engines, deadline), deadline);
    signalling_.erase(deployment);
    event = event_of(done);
  }
  // Nothing will happen for a while: they need not stand still for that. A pause may have used up all of its time.
  if (pauses && event == LoadEvent::put_off) {
    const TimePoint until = parts_.clock.now() + now.snapshots().signal_timeout;
    (void)co_await in_time(parts_.clock, resume_at(hotload, engines, until), until);
  }
  co_return event;
}

awaitable<void> JobSnapshots::resume(Setting now, DeploymentId deployment, std::vector<ReplicaId> names,
                                     std::vector<EngineAddress> engines) {
  const std::shared_ptr<Hotload> hotload = now.wiring->hotloads.at(deployment);
  // Who has no address any more has ended.
  Status done = Done();
  const TimePoint deadline = parts_.clock.now() + now.snapshots().signal_timeout;
  if (!engines.empty()) done = co_await in_time(parts_.clock, resume_at(hotload, engines, deadline), deadline);
  if (done.ok()) {
    WeightsDraft draft;
    draft.state = state_;
    for (const ReplicaId& name : names) {
      draft.state.deployments[deployment].paused.erase(name);
      draft.notes.push_back({parts_.clock.now(), "", deployment, name, {}, "resumed", ""});
    }
    take(std::move(draft));
    (void)co_await record();
    poke();
  } else {
    spdlog::warn("job={} deployment={} resume=failed problem=\"{}\"", job_.value, deployment.value, done.error().what);
    co_await parts_.clock.sleep_until(parts_.clock.now() + now.snapshots().retry_first);
  }
  resuming_.erase(deployment);
}

void JobSnapshots::begin_verifying() {
  for (const Snapshot& snapshot : state_.chain.waiting) {
    if (snapshot.phase != SnapshotPhase::published || !verifying_.insert(snapshot.identity()).second) continue;
    spawn(executor_, verify(snapshot.identity()));
  }
}

awaitable<void> JobSnapshots::verify(Identity identity) {
  for (int tries = 1; !stopping_; ++tries) {
    const Setting now = setting();
    const Snapshot* found = waiting(identity);
    if (found == nullptr || found->phase != SnapshotPhase::published || now.job == nullptr) break;
    const auto verifier = now.wiring->verifiers.find(job_);
    Verdict verdict;
    if (verifier == now.wiring->verifiers.end()) {
      verdict.kind = Verdict::Kind::verified;  // no store is configured: the trainer's word is all there is
    } else {
      const Snapshot snapshot = *found;
      std::optional<Snapshot> parent;
      for (const auto* list : {&state_.chain.links, &state_.chain.waiting}) {
        for (const Snapshot& one : *list) {
          if (!snapshot.full() && one.identity() == snapshot.said.parent) parent = one;
        }
      }
      const std::shared_ptr<SnapshotVerifier> kept = verifier->second;
      verdict = co_await kept->verify(snapshot, std::move(parent), parts_.clock.now() + now.snapshots().verify_timeout);
    }
    if (const Snapshot* still = waiting(identity)) judge(Snapshot(*still), verdict);
    if (verdict.kind != Verdict::Kind::waiting) break;
    co_await parts_.clock.sleep_until(parts_.clock.now() + retry_pause(tries, now.snapshots()));
  }
  verifying_.erase(identity);
  (void)co_await record();
  poke();
}

void JobSnapshots::judge(const Snapshot& snapshot, const Verdict& verdict) {
  WeightsDraft draft;
  draft.state = state_;
  for (Snapshot& one : draft.state.chain.waiting) {
    if (one.identity() != snapshot.identity()) continue;
    one.bytes = verdict.bytes;
    one.reason = verdict.reason;
  }
  const TimePoint now = parts_.clock.now();
  if (verdict.kind == Verdict::Kind::verified) {
    draft.state.measures = measured_size(draft.state.measures, snapshot.said.kind, verdict.bytes);
    move_chain(draft, snapshot.identity(), SnapshotEvent::verified, "", now);
  } else if (verdict.kind == Verdict::Kind::malformed) {
    move_chain(draft, snapshot.identity(), SnapshotEvent::rejected, verdict.reason, now);
  }
  take(std::move(draft));
}

void JobSnapshots::take(WeightsDraft draft) {
  if (draft.changed.empty() && draft.notes.empty() && draft.state == state_) return;
  for (const Snapshot& snapshot : draft.changed) {
    spdlog::info("job={} snapshot={} phase={} reason=\"{}\"", job_.value, snapshot.identity().value,
                 to_string(snapshot.phase), snapshot.reason);
    unrecorded_snapshots_.push_back(snapshot);
  }
  unrecorded_notes_.insert(unrecorded_notes_.end(), draft.notes.begin(), draft.notes.end());
  const bool weights_moved = !draft.notes.empty();
  state_ = std::move(draft.state);
  view_.reset();
  dirty_ = true;
  if (!draft.changed.empty()) changed_.ring();
  if (weights_moved && parts_.poke) parts_.poke();
}

awaitable<bool> JobSnapshots::record() {
  // One after the other: what is being written may yet turn out not to be.
  while (recording_) {
    const TimePoint until = parts_.clock.now() + kRecordCheck;
    co_await recorded_.wait(parts_.clock, until);
  }
  if (!dirty_) co_return true;
  WeightsRecord record;
  record.job = job_;
  record.at = parts_.clock.now();
  record.state = state_;
  record.reset = unrecorded_reset_;
  record.snapshots = unrecorded_snapshots_;
  record.notes = unrecorded_notes_;
  const auto snapshots = static_cast<std::ptrdiff_t>(record.snapshots.size());
  const auto notes = static_cast<std::ptrdiff_t>(record.notes.size());
  dirty_ = false;
  recording_ = true;
  const std::optional<WeightsReset> reset = record.reset;
  const Status written = co_await parts_.ledger.record_weights(std::move(record));
  recording_ = false;
  recorded_.ring();
  if (!written.ok()) {
    spdlog::error("job={} weights=unrecorded problem=\"{}\"", job_.value, written.error().what);
    dirty_ = true;
    co_return false;
  }
  // More may have come in meanwhile.
  unrecorded_snapshots_.erase(unrecorded_snapshots_.begin(), unrecorded_snapshots_.begin() + snapshots);
  unrecorded_notes_.erase(unrecorded_notes_.begin(), unrecorded_notes_.begin() + notes);
  if (unrecorded_reset_ == reset) unrecorded_reset_.reset();
  co_return true;
}

const Snapshot* JobSnapshots::lately(const Identity& identity) const {
  if (const Snapshot* found = waiting(identity)) return found;
  const auto at = std::find_if(unrecorded_snapshots_.rbegin(), unrecorded_snapshots_.rend(),
                               [&](const Snapshot& one) { return one.identity() == identity; });
  return at == unrecorded_snapshots_.rend() ? nullptr : &*at;
}

const Snapshot* JobSnapshots::waiting(const Identity& identity) const {
  for (const Snapshot& one : state_.chain.waiting) {
    if (one.identity() == identity) return &one;
  }
  return nullptr;
}

}  // namespace ebb
