#include "daemon/runtime/actuator.hpp"

#include <algorithm>

#include "daemon/ports/spawn.hpp"

namespace ebb {
namespace {

// Three tries within about a second: what does not succeed by then is for the next decision, which sees more.
constexpr int kAttempts = 3;
constexpr Duration kFirstPause{100};

Outcome outcome_of(const Action& action, OutcomeKind kind, std::string detail, TimePoint at) {
  Outcome outcome;
  outcome.action = action.id;
  outcome.kind = kind;
  outcome.detail = std::move(detail);
  outcome.at = at;
  return outcome;
}

}  // namespace

std::set<DeploymentId> Actuator::busy() const {
  std::set<DeploymentId> out;
  for (const auto& [id, count] : in_flight_) {
    if (count > 0) out.insert(id);
  }
  return out;
}

void Actuator::submit(const Plan& plan, std::shared_ptr<const Wiring> wiring, bool advise,
                      const std::set<DeploymentId>& held) {
  for (const Action& action : plan.actions) {
    if (advise) {
      finish(action, outcome_of(action, OutcomeKind::advised, "mode advise: not carried out", clock_.now()));
      continue;
    }
    if (action.kind == ActionKind::start && held.contains(action.deployment)) {
      Outcome outcome = outcome_of(action, OutcomeKind::dropped, "a load of weights began meanwhile", clock_.now());
      outcome.not_started = action.replicas;
      finish(action, std::move(outcome));
      continue;
    }
    if (action.kind == ActionKind::start) {
      ++in_flight_[action.deployment];
    } else {
      ++generation_[action.deployment];
    }
    spawn(executor_, run(action, wiring, generation_[action.deployment]));
  }
}

bool Actuator::superseded(const Action& action, std::uint64_t generation) const {
  return action.kind == ActionKind::start && generation_.at(action.deployment) != generation;
}

void Actuator::finish(Action action, Outcome outcome) { finished_.push_back({std::move(action), std::move(outcome)}); }

awaitable<void> Actuator::run(Action action, std::shared_ptr<const Wiring> wiring, std::uint64_t generation) {
  const auto fleet = wiring->fleets.find(action.fleet);
  Outcome outcome;
  if (fleet == wiring->fleets.end()) {
    outcome =
        outcome_of(action, OutcomeKind::failed, "fleet '" + action.fleet.value + "' is not configured", clock_.now());
    if (action.kind == ActionKind::start) outcome.not_started = action.replicas;
  } else {
    const std::shared_ptr<Fleet> kept = fleet->second;
    outcome = co_await attempt(action, *kept, generation);
  }
  if (action.kind == ActionKind::start) --in_flight_[action.deployment];
  finish(std::move(action), std::move(outcome));
}

/// The premise against fresh state: a start whose replicas all exist has happened already.
awaitable<Result<Action>> Actuator::revalidated(Action action, Fleet& fleet) {
  if (action.kind != ActionKind::start) co_return action;
  Result<FleetSeen> view = co_await fleet.view();
  if (!view.ok()) co_return view.error();
  std::erase_if(action.replicas, [&](const ReplicaId& id) {
    const auto& replicas = view.value().replicas;
    return std::any_of(replicas.begin(), replicas.end(), [&](const ReplicaSeen& seen) { return seen.id == id; });
  });
  co_return action;
}

awaitable<Outcome> Actuator::attempt(const Action& action, Fleet& fleet, std::uint64_t generation) {
  Outcome outcome;
  Duration pause = kFirstPause;
  for (int tried = 1; tried <= kAttempts; ++tried) {
    Result<Action> current = co_await revalidated(action, fleet);
    if (superseded(action, generation)) {
      outcome = outcome_of(action, OutcomeKind::dropped, "superseded by a reclaim", clock_.now());
      if (current.ok()) outcome.not_started = current.value().replicas;
      co_return outcome;
    }
    Error error;
    if (current.ok() && current.value().replicas.empty()) {
      co_return outcome_of(action, OutcomeKind::done, "already so", clock_.now());
    }
    if (current.ok()) {
      Action now = current.value();
      Result<Fleet::Applied> applied = co_await fleet.apply(std::move(now));
      if (applied.ok()) {
        const bool all = applied.value().not_started.empty();
        outcome =
            outcome_of(action, all ? OutcomeKind::done : OutcomeKind::failed, applied.value().detail, clock_.now());
        outcome.not_started = applied.value().not_started;
        outcome.attempts = tried;
        co_return outcome;
      }
      error = applied.error();
    } else {
      error = current.error();
    }
    outcome = outcome_of(action, OutcomeKind::failed, error.what, clock_.now());
    outcome.attempts = tried;
    if (!error.retryable || tried == kAttempts) break;
    co_await clock_.sleep_until(clock_.now() + pause);
    pause *= 3;
  }
  co_return outcome;
}

}  // namespace ebb
