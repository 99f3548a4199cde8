// Fakes with knobs for the ports the loop uses: a ledger in memory, a fleet made of a World, sources that say what they
// are told. All stay on the control thread, so that a VirtualClock sees everything.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/reduce.hpp"
#include "daemon/ports/advisor.hpp"
#include "daemon/ports/fleet.hpp"
#include "daemon/ports/ledger.hpp"
#include "daemon/ports/metric_source.hpp"
#include "tests/support/world.hpp"

namespace ebb::testing {

class MemoryLedger final : public Ledger {
 public:
  std::optional<Error> next_error;     ///< until reset, every record fails with it
  std::optional<Error> outcome_error;  ///< until reset, every record of outcomes does
  Recovered left;                      ///< by the run before
  std::vector<Decision> recorded;
  std::vector<Outcome> outcomes;
  std::vector<Event> written_events;

  awaitable<Status> record(const Observation&, const State&, const Decision& decision,
                           std::shared_ptr<const Config>) override {
    if (next_error) co_return *next_error;
    recorded.push_back(decision);
    co_return Done();
  }
  awaitable<Status> record(std::vector<Outcome> ended) override {
    if (next_error) co_return *next_error;
    if (outcome_error) co_return *outcome_error;
    outcomes.insert(outcomes.end(), ended.begin(), ended.end());
    co_return Done();
  }
  awaitable<Result<std::uint64_t>> record(Event event) override {
    written_events.push_back(std::move(event));
    co_return written_events.size();
  }
  awaitable<Result<Recovered>> recover() override { co_return left; }
  awaitable<Result<std::vector<nlohmann::json>>> decisions(Page) override { co_return std::vector<nlohmann::json>(); }
  awaitable<Result<nlohmann::json>> decision_at(TimePoint) override { co_return nlohmann::json(); }
  awaitable<Result<nlohmann::json>> decision(std::uint64_t) override { co_return nlohmann::json(); }
  awaitable<Result<std::vector<Event>>> events(std::uint64_t, int) override { co_return written_events; }
  awaitable<Result<std::vector<ActionRow>>> actions(int) override { co_return std::vector<ActionRow>(); }
};

/// A fleet whose replicas are bodies of a World.
class WorldFleet final : public Fleet {
 public:
  WorldFleet(World& world, Clock& clock) : world_(world), clock_(clock) {}

  std::optional<Error> view_error;
  std::vector<Error> apply_errors;  ///< one for each of the next calls
  Duration apply_takes{0};
  bool view_hangs = false;
  std::vector<Action> applied;
  std::vector<ReplicaId> renewed, forgotten;
  int views = 0;

  awaitable<Result<FleetSeen>> view() override {
    ++views;
    const TimePoint much_later = clock_.now() + Duration{3'600'000};
    if (view_hangs) co_await clock_.sleep_until(much_later);
    if (view_error) co_return *view_error;
    world_.advance(clock_.now());
    co_return world_.view();
  }
  awaitable<Result<Applied>> apply(Action action) override {
    if (apply_takes.count() > 0) co_await clock_.sleep_until(clock_.now() + apply_takes);
    if (!apply_errors.empty()) {
      const Error error = apply_errors.front();
      apply_errors.erase(apply_errors.begin());
      co_return error;
    }
    applied.push_back(action);
    Plan plan;
    plan.actions.push_back(std::move(action));
    world_.apply(plan, clock_.now());
    co_return Applied();
  }
  awaitable<Status> renew(std::vector<ReplicaId> replicas, TimePoint) override {
    renewed = std::move(replicas);
    co_return Done();
  }
  awaitable<Status> forget(std::vector<ReplicaId> replicas) override {
    forgotten.insert(forgotten.end(), replicas.begin(), replicas.end());
    for (const ReplicaId& id : replicas) world_.bodies().erase(id);
    co_return Done();
  }

 private:
  World& world_;
  Clock& clock_;
};

/// Says of every target that it works on what stands in `load`, or nothing, or hangs.
class SaidLoads final : public LoadSource {
 public:
  explicit SaidLoads(Clock& clock) : clock_(clock) {}
  double load = 3;
  bool hangs = false;
  bool silent = false;
  int asked = 0;
  std::vector<Target> targets;

  awaitable<Reading<ReplicaLoads>> loads(std::vector<Target> wanted, TimePoint) override {
    targets = std::move(wanted);
    ++asked;
    const TimePoint much_later = clock_.now() + Duration{3'600'000};
    if (hangs) co_await clock_.sleep_until(much_later);
    if (silent) co_return Missing{"no answer", clock_.now()};
    Sample<ReplicaLoads> sample;
    sample.taken_at = clock_.now();
    for (const Target& target : targets) sample.value[ReplicaId(target.name)] = load;
    Reading<ReplicaLoads> reading = std::move(sample);
    co_return reading;
  }

 private:
  Clock& clock_;
};

class SaidSource final : public MetricSource {
 public:
  explicit SaidSource(Clock& clock) : clock_(clock) {}
  double in_flight = 8;
  std::optional<std::string> missing;
  bool hangs = false;
  Duration takes{0};
  int asked = 0;
  std::vector<Target> targets;

  awaitable<WorkloadSeen> sample(std::vector<Target> wanted, TimePoint) override {
    ++asked;
    targets = std::move(wanted);
    const TimePoint much_later = clock_.now() + Duration{3'600'000};
    const TimePoint answer = hangs ? much_later : clock_.now() + takes;
    if (answer > clock_.now()) co_await clock_.sleep_until(answer);
    WorkloadSeen workload;
    SignalSeen& signal = workload.signals["in_flight"];
    if (missing) {
      Missing why;
      why.why = *missing;
      why.since = clock_.now();
      signal.value = std::move(why);
    } else {
      Sample<double> sample;
      sample.value = in_flight;
      sample.taken_at = clock_.now();
      signal.value = sample;
    }
    co_return workload;
  }

 private:
  Clock& clock_;
};

class SaidAdvisor final : public Advisor {
 public:
  explicit SaidAdvisor(Clock& clock) : clock_(clock) {}
  double need = 2;
  Duration takes{0};
  std::vector<AdviceQuestion> questions;
  std::vector<TimePoint> asked_at;

  awaitable<Reading<Advice>> advise(AdviceQuestion question, TimePoint) override {
    questions.push_back(std::move(question));
    asked_at.push_back(clock_.now());
    if (takes.count() > 0) co_await clock_.sleep_until(clock_.now() + takes);
    Sample<Advice> sample;
    sample.value.need = need;
    sample.value.note = "said";
    sample.taken_at = clock_.now();
    co_return sample;
  }
  [[nodiscard]] Duration wants() const override { return Duration{200}; }

 private:
  Clock& clock_;
};

}  // namespace ebb::testing
