#include "daemon/runtime/control_loop.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "daemon/core/decide.hpp"
#include "daemon/core/lease_table.hpp"
#include "daemon/core/reduce.hpp"
#include "daemon/ports/spawn.hpp"

namespace ebb {
namespace {

// Outcomes kept while the ledger cannot be written. What is dropped beyond that a restart closes as "unknown".
constexpr std::size_t kMostUnrecorded = 10'000;

}  // namespace

ControlLoop::ControlLoop(boost::asio::any_io_executor executor, Parts parts)
    : parts_(std::move(parts)), wake_(std::move(executor)) {}

awaitable<void> ControlLoop::run(State state, std::vector<Outcome> owed) {
  unrecorded_ = std::move(owed);
  for (TimePoint due = parts_.clock.now(); !stopping_;) {
    const auto config = parts_.config();  // held for the pass: a reload cannot change a tick half-way
    const auto wiring = parts_.wiring();
    const TimePoint began = parts_.clock.now();
    // As it was before the fleets were asked: a start that is answered meanwhile may be missing from their words.
    std::set<DeploymentId> busy = parts_.actuator.busy();
    Observation seen = co_await parts_.observer.observe(config, wiring, began + config->observe_timeout);
    seen.busy = std::move(busy);
    if (parts_.weights) parts_.weights(seen);
    parts_.listener.observed(seen, parts_.clock.now() - began);
    take_in(state);
    (void)co_await record_outcomes();  // what failed is said to the listener, and tried again

    const TimePoint now = parts_.clock.now();
    if (std::exchange(poked_, false)) due = now;
    Decision decision = decide(seen, state, *config, now);
    decision.early = now < due;
    if (!decision.early || is_urgent(decision, *config)) {
      co_await commit(seen, std::move(decision), config, wiring, state);
    }
    // Overran? The missed ticks are skipped, never made up for in a burst.
    while (due <= now) due += config->tick;

    co_await keep_alive(seen, state, config, wiring);
    parts_.listener.state_is(state);
    parts_.listener.progress(parts_.clock.now());
    co_await wait_until(std::min(began + config->sample_interval, due));
  }
}

void ControlLoop::take_in(State& state) {
  for (const Event& event : std::exchange(told_, {})) state = reduce(std::move(state), event);
  for (const Finished& finished : parts_.actuator.take_finished()) {
    state = reduce(std::move(state), finished.outcome, finished.action);
    parts_.listener.finished(finished);
    unrecorded_.push_back(finished.outcome);
  }
}

awaitable<Status> ControlLoop::record_outcomes() {
  if (unrecorded_.empty()) co_return Done{};
  std::vector<Outcome> outcomes = unrecorded_;
  const Status written = co_await parts_.ledger.record(std::move(outcomes));
  ledger_answered(written);
  if (written.ok() || unrecorded_.size() > kMostUnrecorded) unrecorded_.clear();
  co_return written;
}

awaitable<void> ControlLoop::commit(const Observation& seen, Decision decision, std::shared_ptr<const Config> config,
                                    std::shared_ptr<const Wiring> wiring, State& state) {
  const TimePoint began = parts_.clock.now();
  // In this order: a restart adds to a recorded state the outcomes recorded after it, so that none of those may be in
  // it.
  Status written = co_await record_outcomes();
  if (written.ok()) {
    written = co_await parts_.ledger.record(seen, state, decision, config);
    ledger_answered(written);
  }
  if (!written.ok()) decision = only_shrinking(std::move(decision));
  state = decision.next;
  // A load may have begun while this was decided and recorded; growth waits for it (I7).
  Observation meanwhile;
  if (parts_.weights) parts_.weights(meanwhile);
  parts_.actuator.submit(decision.plan, wiring, config->mode == Mode::advise, meanwhile.loading);
  parts_.listener.decided(seen, decision, parts_.clock.now() - began);
  if (!written.ok()) co_return;

  // Booked: the fleets may drop the records of what has ended.
  for (const auto& [id, fleet] : wiring->fleets) {
    const auto view = seen.fleets.find(id);
    if (view == seen.fleets.end() || !view->second.known()) continue;
    std::vector<ReplicaId> ended;
    for (const ReplicaSeen& replica : view->second.value().replicas) {
      if (replica.phase == ReplicaPhase::gone && !state.leases.contains(replica.id)) ended.push_back(replica.id);
    }
    if (ended.empty()) continue;
    const std::shared_ptr<Fleet> kept = fleet;
    // A record that could not be removed is offered again by the next view.
    (void)co_await kept->forget(std::move(ended));
  }
}

awaitable<void> ControlLoop::keep_alive(const Observation& seen, const State& state,
                                        std::shared_ptr<const Config> config, std::shared_ptr<const Wiring> wiring) {
  Duration every{Duration::max()};
  for (const FleetConfig& fleet : config->fleets) every = std::min(every, fleet.lease_ttl / 6);
  const TimePoint now = parts_.clock.now();
  if (now - renewed_at_ < every && renewed_at_ != TimePoint{}) co_return;
  renewed_at_ = now;
  for (const auto& [id, fleet] : wiring->fleets) {
    const auto view = seen.fleets.find(id);
    if (view == seen.fleets.end() || !view->second.known()) continue;
    std::vector<ReplicaId> alive;
    for (const ReplicaSeen& replica : view->second.value().replicas) {
      const auto lease = state.leases.find(replica.id);
      if (lease != state.leases.end() && is_active(lease->second.phase)) alive.push_back(replica.id);
    }
    if (alive.empty()) continue;
    const std::shared_ptr<Fleet> kept = fleet;
    // A renewal that failed is repeated long before the time to live ends.
    (void)co_await kept->renew(std::move(alive), now);
  }
}

void ControlLoop::ledger_answered(const Status& status) {
  if (!status.ok()) {
    ledger_ok_ = false;
    parts_.listener.ledger_is(status.error().what);
  } else if (!std::exchange(ledger_ok_, true)) {
    parts_.listener.ledger_is("");
  }
}

awaitable<void> ControlLoop::wait_until(TimePoint at) {
  if (stopping_ || poked_) co_return;
  // Two ways to wake: the clock (virtual in tests), or poke and stop, which cancel the timer.
  auto executor = wake_.get_executor();
  auto ended = std::make_shared<bool>(false);
  wake_.expires_at(boost::asio::steady_timer::time_point::max());
  auto alarm = [](Clock& clock, TimePoint when, boost::asio::steady_timer& wake,
                  std::shared_ptr<bool> over) -> awaitable<void> {
    co_await clock.sleep_until(when);
    if (!*over) wake.cancel();
  };
  spawn(executor, alarm(parts_.clock, at, wake_, ended));
  co_await wake_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  *ended = true;
}

void ControlLoop::stop() {
  stopping_ = true;
  wake_.cancel();
}

void ControlLoop::poke() {
  poked_ = true;
  wake_.cancel();
}

void ControlLoop::tell(Event event) {
  told_.push_back(std::move(event));
  poke();
}

Decision only_shrinking(Decision decision) {
  std::vector<Action> endings;
  for (Action& action : decision.plan.actions) {
    if (action.kind != ActionKind::start) {
      endings.push_back(std::move(action));
      continue;
    }
    for (const ReplicaId& id : action.replicas) decision.next.leases.erase(id);
    decision.why.push_back(
        {Stage::check, "check.cut", action.id.value, {{"why", std::string("I9: it could not be recorded")}}});
    decision.alarms.push_back({"check.cut", action.deployment.value});
  }
  decision.plan.actions = std::move(endings);
  return decision;
}

std::vector<Finished> closed(const std::vector<ActionRow>& unfinished, const Observation& seen, TimePoint now) {
  std::vector<Finished> out;
  for (const ActionRow& row : unfinished) {
    Outcome outcome;
    outcome.action = row.action.id;
    outcome.kind = OutcomeKind::unknown;
    outcome.at = now;
    outcome.detail = "the daemon ended before its outcome was recorded";
    const auto fleet = seen.fleets.find(row.action.fleet);
    const bool readable = fleet != seen.fleets.end() && fleet->second.known();
    if (row.action.kind == ActionKind::start && readable) {
      std::set<ReplicaId> shown;
      for (const ReplicaSeen& replica : fleet->second.value().replicas) shown.insert(replica.id);
      for (const ReplicaId& id : row.action.replicas) {
        if (!shown.contains(id)) outcome.not_started.push_back(id);
      }
      if (outcome.not_started.empty()) outcome.kind = OutcomeKind::done;
    }
    out.push_back({row.action, std::move(outcome)});
  }
  return out;
}

}  // namespace ebb
