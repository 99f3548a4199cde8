#include "tests/sim/run.hpp"

#include <algorithm>

#include "config/load.hpp"
#include "daemon/ports/spawn.hpp"
#include "daemon/runtime/control_loop.hpp"
#include "daemon/runtime/recovery.hpp"
#include "tests/sim/judge.hpp"
#include "tests/sim/sim_ledger.hpp"
#include "tests/sim/world.hpp"
#include "tests/support/virtual_clock.hpp"

namespace ebb::sim {
namespace {

const TimePoint kBegin{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1}};
constexpr Duration kMinute{60'000};
constexpr int kMinutesADay = 1'440;
// Healed: longer than the longest override, cooldown, back-off and blindness together.
constexpr int kHealMinutes = 180;
constexpr int kRestMinutes = 5;

constexpr const char* kConfig = R"(
mode: act
tick: 60s
sample_interval: 60s
observe_timeout: 800ms
stale_after: 150s
warm_up: 120s
lost_after: 120s
failures: {backoff_first: 5s, backoff_max: 5m}
pools: [{name: pool, gpus: 12, headroom: 0, quiet_window: 60s}]
fleets: [{name: fleet, kind: simulated, pool: pool, lease_ttl: 10m}]
services:
  - name: chat
    owner: ebb
    blind_after: 10m
    capacity: {policy: target_tracking, tolerance: 0, stabilisation: 60s, signals: [{signal: in_flight, target: 8}]}
    deployments: [{pool: pool, fleet: fleet, min: 1, max: 6, drain_timeout: 60s, start_timeout: 10m}]
  - name: ext
    owner: external
    blind_after: 10m
    capacity: {policy: target_tracking, tolerance: 0, signals: [{signal: in_flight, target: 8}]}
    deployments: [{pool: pool, min: 0, max: 3}]
jobs:
  - name: rl
    grow_step: 4
    grow_cooldown: 0s
    reclaim_cooldown: 60s
    deployments: [{pool: pool, fleet: fleet, max: 12, drain_timeout: 120s, start_timeout: 10m}]
)";

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

/// One process: from a start to a crash.
class Process final : public LoopListener {
 public:
  Process(SteppedClock& clock, SimLedger& ledger, World& world, Judge& judge,
          const std::shared_ptr<const Config>& config)
      : clock_(clock), ledger_(ledger), world_(world), judge_(judge), config_(config) {
    auto wiring = std::make_shared<Wiring>();
    wiring->fleets[FleetId("fleet")] = std::make_shared<SimFleet>(world);
    wiring->sources[DeploymentId("chat@pool")] = {std::make_shared<SimSource>(world, false)};
    wiring->sources[DeploymentId("ext@pool")] = {std::make_shared<SimSource>(world, true)};
    wiring_ = wiring;
    judge_.daemon_started(clock_.steady());
    spawn(io.get_executor(), main());
  }
  ~Process() override {
    world_.daemon_ended();
    judge_.daemon_ended();
    io.drop();
  }

  void tell(Event event) { loop_.tell(std::move(event)); }

  void observed(const Observation& seen, Duration) override { judge_.observed(seen, world_.truth(), clock_.steady()); }
  void decided(const Observation& seen, const Decision& decision, Duration) override {
    judge_.decided(seen, decision, clock_.steady());
    quiet_ = decision.plan.actions.empty() ? quiet_ + 1 : 0;
  }
  void finished(const Finished&) override {}
  void state_is(const State& state) override { leases_ = state.leases.size(); }
  void ledger_is(const std::string&) override {}
  void progress(TimePoint) override {}

  /// Decisions in a row that planned nothing.
  [[nodiscard]] int quiet() const { return quiet_; }
  [[nodiscard]] std::size_t leases() const { return leases_; }

  struct Io : boost::asio::io_context {
    void drop() { shutdown(); }  // frames refer to the members below
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
    co_await loop_.run(std::move(before->state));
  }

  SteppedClock& clock_;
  SimLedger& ledger_;
  World& world_;
  Judge& judge_;
  const std::shared_ptr<const Config>& config_;  ///< the run's own: a reload replaces what it points to
  std::shared_ptr<const Wiring> wiring_;
  int quiet_ = 0;
  std::size_t leases_ = 0;
  Observer observer_{clock_};
  Actuator actuator_{io.get_executor(), clock_};
  ControlLoop loop_{
      io.get_executor(),
      {clock_, ledger_, observer_, actuator_, *this, [this] { return config_; }, [this] { return wiring_; }}};
};

std::shared_ptr<const Config> config_with(int headroom) {
  std::string text = kConfig;
  const std::string plain = "headroom: 0";
  text.replace(text.find(plain), plain.size(), "headroom: " + std::to_string(headroom));
  Loaded loaded = load_config_text(text, "simulation.yaml");
  if (!loaded.config) throw std::logic_error(to_text(loaded.problems));
  return std::make_shared<const Config>(std::move(*loaded.config));
}

class Run {
 public:
  explicit Run(const RunOptions& options) : options_(options), random_(options.seed) { judge_.ledger = &ledger_; }

  RunReport report() {
    restart();
    for (int minute = 0; minute < options_.days * kMinutesADay && ok(); ++minute) fault_minute();
    if (ok()) heal();
    for (int minute = 0; minute < kHealMinutes && ok(); ++minute) pass(kMinute);
    if (ok()) judge_rest();
    RunReport out{judge_.violation(), judge_.story(), to_iso(steady_.now()), judge_.decisions(), crashes_};
    end();
    return out;
  }

 private:
  [[nodiscard]] bool ok() const { return judge_.violation().empty(); }
  void pass(Duration span) { steady_.run_for(process_->io, span); }

  void fault_minute() {
    world_.pass_minute();
    if (vfs_.next_code != SQLITE_OK ? chance(random_, 0.2) : chance(random_, 0.005)) {
      vfs_.next_code = vfs_.next_code != SQLITE_OK ? SQLITE_OK
                       : chance(random_, 0.5)      ? SQLITE_FULL
                                                   : SQLITE_IOERR_WRITE;
    }
    if (chance(random_, 0.003)) say_override();
    if (chance(random_, 0.003)) reload();
    if (chance(random_, 0.004)) {
      // After so many handlers the power goes off: between any two steps of the loop.
      const auto steps = static_cast<std::uint64_t>(between(random_, 0, 150));
      if (!steady_.run_steps(process_->io, steady_.now() + kMinute, steps)) crash();
      return;
    }
    pass(kMinute);
  }

  void say_override() {
    const OverrideKind kind = chance(random_, 0.5) ? OverrideKind::freeze : OverrideKind::drain_all;
    Override word;
    word.id = OverrideId(to_string(kind));
    word.kind = kind;
    word.owner = "sim";
    word.reason = "drill";
    word.created_at = clock_.now();
    word.expires_at = clock_.now() + Duration{between(random_, 5, 60) * 60'000LL};
    Event event;
    event.at = clock_.now();
    event.kind = "override_set";
    event.set = word;
    // As the API does it: what could not be recorded is refused.
    if (vfs_.next_code != SQLITE_OK || !ledger_.write(event)) return;
    process_->tell(event);
    judge_.overridden(kind, true, word.expires_at);
    // It is decided at once, and every minute from here on.
    pass(kMinute / 2);
  }

  void reload() {
    judge_.headroom = chance(random_, 0.5) ? 0 : 1;
    config_ = config_with(judge_.headroom);
  }

  void crash() {
    ++crashes_;
    end();
    vfs_.next_code = SQLITE_OK;
    vfs_.cut(random_);
    // Some minutes may pass, and the clock may be another one's when it comes back.
    for (int minutes = between(random_, 0, 15); minutes > 0; --minutes) {
      steady_.skip(kMinute);
      world_.pass_minute();
      world_.advance();
    }
    if (chance(random_, 0.2)) clock_.offset += Duration{between(random_, -3'600, 3'600) * 1'000LL};
    // An override's end is wall time, which may have moved: the judge then only knows that it is not over for certain.
    judge_.overridden(OverrideKind::freeze, false, {});
    judge_.overridden(OverrideKind::drain_all, false, {});
    restart();
  }

  void restart() {
    const Status opened = ledger_.open();
    if (!opened.ok()) {
      judge_.say("a restart could not open the ledger: " + opened.error().what);
      return;
    }
    const Result<std::string> forgotten = ledger_.forgotten();
    if (!forgotten.ok()) judge_.say("the ledger cannot be read: " + forgotten.error().what);
    if (forgotten.ok() && !forgotten->empty()) judge_.say("I9: a confirmed record is gone: " + *forgotten);
    process_ = std::make_unique<Process>(clock_, ledger_, world_, judge_, config_);
    // The world changes half-way between two ticks: what one reads is then of one moment.
    pass(kMinute / 2);
  }

  void end() {
    process_.reset();
    ledger_.close();
  }

  void heal() {
    vfs_.next_code = SQLITE_OK;
    world_.heal();
    judge_.headroom = 0;
    config_ = config_with(0);
  }

  void judge_rest() {
    // Five ticks that plan nothing, with everything where it ought to be.
    for (int minute = 0; minute < kRestMinutes; ++minute) pass(kMinute);
    const int chat = std::clamp((world_.truth().load + 7) / 8, 1, 6);
    const int rl = 12 - chat - world_.truth().ext_wants;
    if (process_->quiet() < kRestMinutes) judge_.say("liveness: it does not come to rest");
    if (world_.truth().held(false) != chat)
      judge_.say("liveness: production has " + std::to_string(world_.truth().held(false)) + ", needs " +
                 std::to_string(chat));
    if (world_.truth().held(true) != rl)
      judge_.say("liveness: RL has " + std::to_string(world_.truth().held(true)) + ", could have " +
                 std::to_string(rl));
    if (process_->leases() != static_cast<std::size_t>(chat + rl)) judge_.say("liveness: leases of nothing remain");
    const Result<std::int64_t> unfinished = ledger_.unfinished();
    if (!unfinished.ok() || *unfinished != 0) judge_.say("liveness: actions without an outcome remain");
    const Result<std::string> otherwise = ledger_.recomputed_otherwise();
    if (!otherwise.ok()) judge_.say("the ledger cannot be replayed: " + otherwise.error().what);
    if (otherwise.ok() && !otherwise->empty()) judge_.say("a replay differs: " + *otherwise);
  }

  const RunOptions options_;
  Random random_;
  test::VirtualClock steady_{kBegin};
  SteppedClock clock_{steady_};
  MemoryVfs vfs_;
  SimLedger ledger_{vfs_};
  std::shared_ptr<const Config> config_ = config_with(0);
  const std::shared_ptr<const Config> shape_ = config_;  ///< what no reload changes: bounds and times
  Judge judge_{*shape_};
  World world_{*shape_, clock_, random_, judge_};
  std::unique_ptr<Process> process_;
  int crashes_ = 0;
};

}  // namespace

RunReport run(const RunOptions& options) { return Run(options).report(); }

}  // namespace ebb::sim
