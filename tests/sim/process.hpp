// One life of the simulated daemon, from a start to a crash: its real parts, wired to the simulated world.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "daemon/ports/spawn.hpp"
#include "daemon/runtime/control_loop.hpp"
#include "daemon/runtime/job_fleet.hpp"
#include "daemon/runtime/recovery.hpp"
#include "daemon/runtime/snapshot_coordinator.hpp"
#include "tests/sim/engines.hpp"
#include "tests/sim/judge.hpp"
#include "tests/sim/sim_ledger.hpp"
#include "tests/sim/weights_judge.hpp"
#include "tests/sim/world.hpp"

namespace ebb::sim {

class SimFleet final : public Fleet {
 public:
  explicit SimFleet(World& world) : world_(world) {}
  awaitable<Result<FleetSeen>> view() override { return world_.view(); }
  awaitable<Result<Applied>> apply(Action action) override { return world_.apply(std::move(action)); }
  awaitable<Status> renew(std::vector<ReplicaId> replicas, TimePoint) override { co_return world_.renew(replicas); }
  awaitable<Status> forget(std::vector<ReplicaId> replicas) override { co_return world_.forget(replicas); }

 private:
  World& world_;
};

class SimSource final : public MetricSource {
 public:
  SimSource(World& world, bool external) : world_(world), external_(external) {}
  awaitable<WorkloadSeen> sample(std::vector<Target>, TimePoint) override { return world_.sample(external_); }

 private:
  World& world_;
  bool external_;
};

/// What RL replicas work on, as a whole number that changes every few minutes. Some do not say; at times nobody does,
/// or not for long. It draws nothing, so that a life is the same with it and without.
class SimLoads final : public LoadSource {
 public:
  explicit SimLoads(SteppedClock& clock) : clock_(clock) {}
  awaitable<Reading<ReplicaLoads>> loads(std::vector<Target> targets, TimePoint) override {
    const std::size_t moment = static_cast<std::size_t>(clock_.steady().time_since_epoch() / kEvery);
    Reading<ReplicaLoads> out = said(targets, moment);
    if (mixed(moment, "hangs") % 8 == 0) co_await clock_.sleep_until(clock_.now() + kEvery);
    co_return out;
  }

 private:
  static constexpr Duration kEvery{300'000};
  static std::size_t mixed(std::size_t moment, const std::string& name) {
    return std::hash<std::string>()(std::to_string(moment) + name);
  }
  [[nodiscard]] Reading<ReplicaLoads> said(const std::vector<Target>& targets, std::size_t moment) const {
    Sample<ReplicaLoads> sample;
    sample.taken_at = clock_.now();
    for (const Target& target : targets) {
      const std::size_t drawn = mixed(moment, target.name);
      if (drawn % 8 != 0) sample.value[ReplicaId(target.name)] = static_cast<double>(drawn / 8 % 6);
    }
    if (sample.value.empty() || mixed(moment, "answers") % 8 == 0) return Missing{"no answer", sample.taken_at};
    return sample;
  }

  SteppedClock& clock_;
};

class Process final : public LoopListener {
 public:
  Process(SteppedClock& clock, SimLedger& ledger, World& world, Engines& engines, Judge& judge, WeightsJudge& weights,
          const std::shared_ptr<const Config>& config)
      : clock_(clock), ledger_(ledger), world_(world), judge_(judge), weights_(weights), config_(config) {
    auto wiring = std::make_shared<Wiring>();
    wiring->fleets[FleetId("fleet")] = std::make_shared<SimFleet>(world);
    wiring->sources[DeploymentId("chat@pool")] = {std::make_shared<SimSource>(world, false)};
    wiring->sources[DeploymentId("ext@pool")] = {std::make_shared<SimSource>(world, true)};
    if (config->jobs.front().victim->looks_at_load())
      wiring->loads[DeploymentId("rl@pool")] = std::make_shared<SimLoads>(clock);
    for (const auto& [id, site] : engines.sites()) {
      wiring->snapshots.hotloads[id] = std::make_shared<SimHotload>(engines, id);
    }
    wiring->snapshots.verifiers[JobId("rl")] = std::make_shared<SimVerifier>(engines);
    wiring_ = wiring;
    judge_.daemon_started(clock_.steady());
    weights_.daemon_started();
    spawn(io.get_executor(), main());
  }
  ~Process() override {
    world_.daemon_ended();
    judge_.daemon_ended();
    weights_.daemon_ended();
    io.drop();
  }

  void tell(Event event) { loop_.tell(std::move(event)); }

  SnapshotCoordinator& coordinator() { return coordinator_; }

  void observed(const Observation& seen, Duration) override {
    judge_.observed(seen, world_.truth(), clock_.steady());
    weights_.observed(seen);
    seen_ = seen;
  }
  void decided(const Observation& seen, const Decision& decision, Duration) override {
    judge_.decided(seen, decision, clock_.steady());
    weights_.decided(seen, decision);
    quiet_ = decision.plan.actions.empty() ? quiet_ + 1 : 0;
  }
  void finished(const Finished&) override {}
  void state_is(const State& state) override { state_ = state; }
  void ledger_is(const std::string&) override {}
  void progress(TimePoint) override {}

  /// Decisions in a row that planned nothing.
  [[nodiscard]] int quiet() const { return quiet_; }
  [[nodiscard]] std::size_t leases() const { return state_ ? state_->leases.size() : 0; }

  struct Io : boost::asio::io_context {
    Io() : io_context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE) {}  // one thread: no locks
    void drop() { shutdown(); }                               // frames refer to the members below
  };
  Io io;

 private:
  awaitable<void> main() {
    ResumeParts parts{clock_, ledger_, observer_, config_, wiring_, "sim"};
    Result<Resumed> before = co_await resume(std::move(parts));
    if (!before.ok()) {
      judge_.say("a restart could not read the ledger: " + before.error().what);
      co_return;
    }
    const Status weights = co_await coordinator_.recover();
    if (!weights.ok()) {
      judge_.say("a restart could not read the weights: " + weights.error().what);
      co_return;
    }
    coordinator_.start();
    co_await loop_.run(std::move(before->state), std::move(before->owed));
  }

  /// As the daemon does it.
  void add_weights(Observation& seen) {
    const auto standing = coordinator_.standing(JobId("rl"));
    if (!standing) return;
    seen.current[JobId("rl")] = standing->current;
    seen.loading.insert(standing->loading.begin(), standing->loading.end());
    weights_.standing(standing->current);
  }
  [[nodiscard]] JobFleet fleet_of(const JobConfig& job) const {
    return job_fleet(job, seen_ ? &*seen_ : nullptr, state_ ? &*state_ : nullptr, actuator_.busy());
  }

  SteppedClock& clock_;
  SimLedger& ledger_;
  World& world_;
  Judge& judge_;
  WeightsJudge& weights_;
  const std::shared_ptr<const Config>& config_;  ///< the run's own: a reload replaces what it points to
  std::shared_ptr<const Wiring> wiring_;
  int quiet_ = 0;
  std::optional<Observation> seen_;
  std::optional<State> state_;
  Observer observer_{clock_};
  Actuator actuator_{io.get_executor(), clock_};
  ControlLoop loop_{io.get_executor(),
                    {clock_, ledger_, observer_, actuator_, *this, [this] { return config_; },
                     [this] { return wiring_; }, [this](Observation& seen) { add_weights(seen); }}};
  SnapshotCoordinator coordinator_{
      io.get_executor(),
      {clock_, ledger_, [this] { return config_; },
       [this] { return std::shared_ptr<const SnapshotWiring>(wiring_, &wiring_->snapshots); },
       [this](const JobConfig& job) { return fleet_of(job); }, [this] { loop_.poke(); }}};
};

}  // namespace ebb::sim
