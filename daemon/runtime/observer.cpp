#include "daemon/runtime/observer.hpp"

#include <algorithm>
#include <functional>

#include "daemon/ports/gather.hpp"

namespace ebb {

/// One answer, as the function that enters it.
struct Observer::Part {
  std::function<void(Observation&)> enter;
};

namespace {

void take_signal(SignalSeen& mine, const SignalSeen& other) {
  if (mine.at_least || other.at_least) mine.at_least = std::max(mine.at_least.value_or(0), other.at_least.value_or(0));
  if (!other.value.known()) return;
  if (!mine.value.known() || other.value.value() > mine.value.value()) mine.value = other.value;
}

void take_larger(Reading<Replicas>& mine, const Reading<Replicas>& other) {
  if (other.known() && (!mine.known() || other.value() > mine.value())) mine = other;
}

/// The replicas of a deployment that ought to report: those that serve, and those that did a moment ago.
std::vector<Target> targets_of(const Observation& seen, const DeploymentConfig& deployment) {
  std::vector<Target> targets;
  const auto fleet = seen.fleets.find(deployment.fleet);
  if (fleet == seen.fleets.end() || !fleet->second.known()) return targets;
  for (const ReplicaSeen& replica : fleet->second.value().replicas) {
    const bool reports = replica.phase == ReplicaPhase::ready || replica.phase == ReplicaPhase::unhealthy;
    if (reports && replica.deployment == deployment.id) targets.push_back({replica.id.value, replica.address});
  }
  return targets;
}

}  // namespace

WorkloadSeen merged(WorkloadSeen a, const WorkloadSeen& b) {
  for (const auto& [name, signal] : b.signals) {
    const auto [mine, added] = a.signals.emplace(name, signal);
    if (!added) take_signal(mine->second, signal);
  }
  take_larger(a.asked, b.asked);
  take_larger(a.held, b.held);
  a.reported = std::max(a.reported, b.reported);
  a.expected = std::max(a.expected, b.expected);
  return a;
}

awaitable<Observer::Part> Observer::ask_fleet(FleetId id, std::shared_ptr<Fleet> fleet) {
  asking_.insert(fleet.get());
  Result<FleetSeen> view = co_await fleet->view();
  asking_.erase(fleet.get());
  const TimePoint now = clock_.now();
  Reading<FleetSeen> reading;
  if (view.ok()) {
    Sample<FleetSeen> sample;
    sample.value = std::move(view.value());
    sample.taken_at = now;
    reading = std::move(sample);
  } else {
    Missing missing;
    missing.why = view.error().what;
    missing.since = now;
    reading = std::move(missing);
  }
  Part part;
  part.enter = [id, reading](Observation& seen) { seen.fleets[id] = reading; };
  co_return part;
}

awaitable<Observer::Part> Observer::ask_source(DeploymentId id, std::shared_ptr<MetricSource> source,
                                               std::vector<Target> targets, TimePoint deadline) {
  asking_.insert(source.get());
  WorkloadSeen workload = co_await source->sample(std::move(targets), deadline);
  asking_.erase(source.get());
  Part part;
  part.enter = [id, workload](Observation& seen) {
    const auto [mine, added] = seen.workloads.emplace(id, workload);
    if (!added) mine->second = merged(std::move(mine->second), workload);
  };
  co_return part;
}

awaitable<Observer::Part> Observer::ask_demand(JobId id, std::shared_ptr<DemandSource> source, TimePoint deadline) {
  asking_.insert(source.get());
  Reading<double> demand = co_await source->read(deadline);
  asking_.erase(source.get());
  Part part;
  part.enter = [id, demand](Observation& seen) { seen.demand[id] = demand; };
  co_return part;
}

awaitable<Observation> Observer::observe(std::shared_ptr<const Config> config, std::shared_ptr<const Wiring> wiring,
                                         TimePoint deadline) {
  Observation seen;
  // The fleets first, since they say which replicas ought to report; half of the time is theirs at most.
  std::vector<awaitable<Part>> questions;
  for (const auto& [id, fleet] : wiring->fleets) {
    Missing late;
    late.why = "no answer in time";
    late.since = clock_.now();
    seen.fleets[id] = std::move(late);
    if (!asking_.contains(fleet.get())) questions.push_back(ask_fleet(id, fleet));
  }
  const TimePoint half = clock_.now() + (deadline - clock_.now()) / 2;
  std::vector<std::optional<Part>> answers = co_await gather<Part>(clock_, std::move(questions), half);
  for (const std::optional<Part>& part : answers) {
    if (part) part->enter(seen);
  }

  questions.clear();
  for (const ServiceConfig& service : config->services) {
    for (const DeploymentConfig& deployment : service.deployments) {
      const auto sources = wiring->sources.find(deployment.id);
      if (sources == wiring->sources.end()) continue;
      for (const auto& source : sources->second) {
        if (asking_.contains(source.get())) continue;
        questions.push_back(ask_source(deployment.id, source, targets_of(seen, deployment), deadline));
      }
    }
  }
  for (const auto& [id, source] : wiring->demand) {
    if (!asking_.contains(source.get())) questions.push_back(ask_demand(id, source, deadline));
  }
  answers = co_await gather<Part>(clock_, std::move(questions), deadline);
  for (const std::optional<Part>& part : answers) {
    if (part) part->enter(seen);
  }
  seen.at = clock_.now();
  co_return seen;
}

}  // namespace ebb
