#include "daemon/runtime/observer.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <initializer_list>

#include "daemon/ports/gather.hpp"
#include "daemon/ports/spawn.hpp"

namespace ebb {

/// One answer, as the function that enters it.
struct Observer::Part {
  std::function<void(Observation&)> enter;
};

namespace {

/// What is no number is not known: it can be compared with nothing, and no record can hold it. A query that divides by
/// nothing gives infinity.
Reading<double> a_number(Reading<double> reading) {
  const Sample<double>* sample = reading.sample();
  if (sample == nullptr || std::isfinite(sample->value)) return reading;
  return Missing{"not a number", sample->taken_at};
}

WorkloadSeen in_numbers(WorkloadSeen workload) {
  for (auto& [name, signal] : workload.signals) {
    signal.value = a_number(std::move(signal.value));
    if (signal.at_least && !std::isfinite(*signal.at_least)) signal.at_least.reset();
  }
  return workload;
}

void take_signal(SignalSeen& mine, const SignalSeen& other) {
  if (mine.at_least || other.at_least) mine.at_least = std::max(mine.at_least.value_or(0), other.at_least.value_or(0));
  if (!other.value.known()) return;
  if (!mine.value.known() || other.value.value() > mine.value.value()) mine.value = other.value;
}

void take_larger(Reading<Replicas>& mine, const Reading<Replicas>& other) {
  if (other.known() && (!mine.known() || other.value() > mine.value())) mine = other;
}

/// What the deployment's fleet shows; null while nobody knows.
const FleetSeen* fleet_of(const Observation& seen, const DeploymentConfig& deployment) {
  const auto fleet = seen.fleets.find(deployment.fleet);
  return fleet != seen.fleets.end() && fleet->second.known() ? &fleet->second.value() : nullptr;
}

/// The replicas of a deployment that are in one of these phases.
std::vector<Target> targets_of(const Observation& seen, const DeploymentConfig& deployment,
                               std::initializer_list<ReplicaPhase> phases) {
  std::vector<Target> targets;
  const FleetSeen* fleet = fleet_of(seen, deployment);
  if (fleet == nullptr) return targets;
  for (const ReplicaSeen& replica : fleet->replicas) {
    const bool asked = std::find(phases.begin(), phases.end(), replica.phase) != phases.end();
    if (asked && replica.deployment == deployment.id) targets.push_back({replica.id.value, replica.address});
  }
  return targets;
}

/// What the adviser of a deployment is told.
AdviceQuestion question_of(const Observation& seen, const DeploymentConfig& deployment, TimePoint now) {
  AdviceQuestion question;
  question.deployment = deployment.id;
  question.at = now;
  question.min = deployment.min;
  question.max = deployment.max;
  if (const auto workload = seen.workloads.find(deployment.id); workload != seen.workloads.end()) {
    question.signals = workload->second.signals;
    question.reported = workload->second.reported;
    question.expected = workload->second.expected;
  }
  question.ready = Replicas{question.reported};
  const auto fleet = seen.fleets.find(deployment.fleet);
  if (fleet == seen.fleets.end() || !fleet->second.known()) return question;
  question.ready = Replicas{0};
  for (const ReplicaSeen& replica : fleet->second.value().replicas) {
    if (replica.phase == ReplicaPhase::ready && replica.deployment == deployment.id) ++question.ready.count;
  }
  return question;
}

/// The latest time for the sources' answers, so that the advisers have the time they want.
TimePoint sources_until(const Wiring& wiring, TimePoint now, TimePoint deadline) {
  Duration wanted{0};
  for (const auto& [id, advisor] : wiring.advisors) wanted = std::max(wanted, advisor->wants());
  return std::max(deadline - wanted, now + (deadline - now) / 2);
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
  workload = in_numbers(std::move(workload));
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
  demand = a_number(std::move(demand));
  Part part;
  part.enter = [id, demand](Observation& seen) { seen.demand[id] = demand; };
  co_return part;
}

awaitable<void> Observer::ask_loads(DeploymentId id, std::shared_ptr<LoadSource> source, std::vector<Target> targets,
                                    TimePoint deadline, Duration stale_after) {
  Reading<ReplicaLoads> said = co_await source->loads(std::move(targets), deadline);
  asking_.erase(source.get());
  Reading<ReplicaLoads>& kept = loads_[id].said;
  // One bad round does not undo a good one that still counts.
  const Sample<ReplicaLoads>* before = kept.sample();
  const bool counts = before != nullptr && clock_.now() - before->taken_at <= stale_after;
  if (said.known() || !counts) kept = std::move(said);
}

awaitable<void> Observer::take_loads(const Config& config, const Wiring& wiring, Observation& seen) {
  auto executor = co_await boost::asio::this_coro::executor;
  std::erase_if(loads_, [&](const auto& kept) { return !wiring.loads.contains(kept.first); });
  const TimePoint now = clock_.now();
  // Often enough that the last answer always counts, whatever the tick; looks do not come to the millisecond.
  const Duration every = std::min(config.tick, config.stale_after / 3);
  const Duration early = config.sample_interval / 2;
  for (const JobConfig& job : config.jobs) {
    for (const DeploymentConfig& deployment : job.deployments) {
      const auto source = wiring.loads.find(deployment.id);
      if (source == wiring.loads.end()) continue;
      Loads& kept = loads_[deployment.id];
      seen.loads[deployment.id] = kept.said;
      if (asking_.contains(source->second.get()) || now - kept.asked_at + early < every) continue;
      if (fleet_of(seen, deployment) == nullptr) continue;  // nobody knows whom to ask
      kept.asked_at = now;
      asking_.insert(source->second.get());
      // A busy engine may fail its health checks and still answer: it has until the next question.
      std::vector<Target> targets = targets_of(seen, deployment, {ReplicaPhase::ready, ReplicaPhase::unhealthy});
      const TimePoint deadline = now + std::max(every, config.observe_timeout);
      spawn(executor, ask_loads(deployment.id, source->second, std::move(targets), deadline, config.stale_after));
    }
  }
}

awaitable<Observer::Part> Observer::ask_advisor(std::shared_ptr<Advisor> advisor, AdviceQuestion question,
                                                TimePoint deadline) {
  const DeploymentId id = question.deployment;
  Reading<Advice> advice = co_await advisor->advise(std::move(question), deadline);
  Part part;
  part.enter = [id, advice](Observation& seen) { seen.workloads[id].advice = advice; };
  co_return part;
}

awaitable<void> Observer::ask_advisors(const Config& config, const Wiring& wiring, Observation& seen,
                                       TimePoint deadline) {
  if (wiring.advisors.empty()) co_return;
  std::vector<awaitable<Part>> questions;
  for (const ServiceConfig& service : config.services) {
    for (const DeploymentConfig& deployment : service.deployments) {
      const auto advisor = wiring.advisors.find(deployment.id);
      if (advisor == wiring.advisors.end()) continue;
      AdviceQuestion question = question_of(seen, deployment, clock_.now());
      questions.push_back(ask_advisor(advisor->second, std::move(question), deadline));
      Missing late;
      late.why = "no answer in time";
      late.since = clock_.now();
      seen.workloads[deployment.id].advice = std::move(late);
    }
  }
  const std::vector<std::optional<Part>> answers = co_await gather<Part>(clock_, std::move(questions), deadline);
  for (const std::optional<Part>& part : answers) {
    if (part) part->enter(seen);
  }
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
  const TimePoint sources_deadline = sources_until(*wiring, clock_.now(), deadline);
  for (const ServiceConfig& service : config->services) {
    for (const DeploymentConfig& deployment : service.deployments) {
      const auto sources = wiring->sources.find(deployment.id);
      if (sources == wiring->sources.end()) continue;
      for (const auto& source : sources->second) {
        if (asking_.contains(source.get())) continue;
        // Those that serve, and those that did a moment ago: idle must be proven.
        std::vector<Target> targets = targets_of(seen, deployment, {ReplicaPhase::ready, ReplicaPhase::unhealthy});
        questions.push_back(ask_source(deployment.id, source, std::move(targets), sources_deadline));
      }
    }
  }
  for (const auto& [id, source] : wiring->demand) {
    if (!asking_.contains(source.get())) questions.push_back(ask_demand(id, source, sources_deadline));
  }
  answers = co_await gather<Part>(clock_, std::move(questions), sources_deadline);
  for (const std::optional<Part>& part : answers) {
    if (part) part->enter(seen);
  }
  co_await ask_advisors(*config, *wiring, seen, deadline);
  co_await take_loads(*config, *wiring, seen);
  seen.at = clock_.now();
  co_return seen;
}

}  // namespace ebb
