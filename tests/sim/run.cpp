#include "tests/sim/run.hpp"

#include <algorithm>
#include <compare>
#include <map>
#include <mutex>

#include "config/load.hpp"
#include "daemon/ports/spawn.hpp"
#include "tests/sim/process.hpp"
#include "tests/sim/trainer.hpp"
#include "tests/support/virtual_clock.hpp"

namespace ebb::sim {
namespace {

const TimePoint kBegin{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1}};
constexpr Duration kMinute{60'000};
constexpr int kMinutesADay = 1'440;
// Healed: longer than the longest override, cooldown, back-off and blindness together.
constexpr int kHealMinutes = 180;
constexpr int kRestMinutes = 5;
// From a start to a first look at the fleets.
constexpr int kRestartHandlers = 40;
// A trainer's pace, and when its last word falls: with time to be said again twice.
constexpr double kPublishes = 0.03;
constexpr int kTrainsUntil = 100;
constexpr int kLastWordFrom = 120;
constexpr int kLastWords = 20;

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
    victim: {policy: VICTIM}
    grow_step: 4
    grow_cooldown: 0s
    reclaim_cooldown: 60s
    deployments: [{pool: pool, fleet: fleet, max: 12, drain_timeout: 120s, start_timeout: 10m}]
    snapshots:
      enabled: ENABLED
      store: s3://weights/run
      hotload: {kind: vllm, weights_from: ebb_pull, puller: "http://{host}:8475"}
      cadence: {policy: every, snapshots: 25}
      ready_fraction: FRACTION
      max_unavailable: UNAVAILABLE
      poll_interval: 60s
      settle: 120s
      verify_timeout: 15m
      signal_timeout: 30s
      load_timeout: 8m
      catch_up_timeout: 12m
      retry_first: 5s
      retry_max: 2m
)";
constexpr const char* kElsewhere = R"(
      elsewhere:
        - name: away
          hotload: {kind: fireworks, account: acme, deployment: rollouts, base_model: accounts/acme/models/m}
)";

/// What a reload may change.
struct Knobs {
  bool snapshots = true;  ///< this one and the next two are the run's
  bool away = false;
  bool least_lost = false;
  int headroom = 0;
  bool on_policy = true;
  bool waves = false;
  friend auto operator<=>(const Knobs&, const Knobs&) = default;
};

std::shared_ptr<const Config> loaded_with(const Knobs& knobs) {
  std::string text = kConfig;
  const auto put = [&text](const std::string& plain, const std::string& wanted) {
    text.replace(text.find(plain), plain.size(), wanted);
  };
  put("headroom: 0", "headroom: " + std::to_string(knobs.headroom));
  put("VICTIM", knobs.least_lost ? "least_lost" : "newest");
  put("ENABLED", knobs.snapshots ? "true" : "false");
  put("FRACTION", knobs.on_policy ? "1" : "0.6");
  put("UNAVAILABLE", knobs.waves ? "0.4" : "1");
  if (knobs.away) text += kElsewhere;
  Loaded loaded = load_config_text(text, "simulation.yaml");
  if (!loaded.config) throw std::logic_error(to_text(loaded.problems));
  return std::make_shared<const Config>(std::move(*loaded.config));
}

/// Not every job loads snapshots, and every third looks at what its replicas work on.
Knobs drawn(Random& random, std::uint64_t seed) {
  Knobs knobs;
  knobs.least_lost = seed % 3 == 2;
  knobs.snapshots = chance(random, 0.6);
  knobs.away = knobs.snapshots && chance(random, 0.5);
  return knobs;
}

/// Read once for all lives: a configuration is never changed, and its policies keep nothing.
std::shared_ptr<const Config> config_with(const Knobs& knobs) {
  static std::mutex mutex;
  static std::map<Knobs, std::shared_ptr<const Config>> known;
  const std::lock_guard lock(mutex);
  std::shared_ptr<const Config>& config = known[knobs];
  if (config == nullptr) config = loaded_with(knobs);
  return config;
}

class Run {
 public:
  explicit Run(const RunOptions& options) : options_(options), random_(options.seed) {
    judge_.ledger = &ledger_;
    weights_.knows(engines_.sites(), world_.truth());
    world_.hosts(engines_);
  }

  RunReport report() {
    restart();
    for (int minute = 0; minute < options_.days * kMinutesADay && ok(); ++minute) fault_minute();
    if (ok()) heal();
    for (int minute = 0; minute < kHealMinutes && ok(); ++minute) healed_minute(minute);
    if (ok()) judge_rest();
    RunReport out{judge_.violation(), judge_.story(), to_iso(steady_.now()), judge_.decisions(), crashes_};
    end();
    return out;
  }

 private:
  [[nodiscard]] bool ok() const { return judge_.violation().empty(); }
  void pass(Duration span) { steady_.run_for(process_->io, span); }

  void healed_minute(int minute) {
    const bool goes_on = minute < kTrainsUntil && chance(random_, kPublishes);
    // The last word: it must be taken and serve, at the latest when it was said once more.
    const std::optional<SnapshotPhase> phase = weights_.phase_of(trainer_.newest());
    const bool waits = phase && *phase < SnapshotPhase::serving;
    const bool last = minute >= kTrainsUntil && minute % kLastWords == 0 && !waits &&
                      (minute == kLastWordFrom || phase != SnapshotPhase::serving);
    if (goes_on || last) train();
    pass(kMinute);
  }

  void train() {
    if (!knobs_.snapshots || trainer_.busy()) return;
    spawn(process_->io.get_executor(), trainer_.turn(process_->coordinator()));
  }

  void fault_minute() {
    world_.pass_minute();
    engines_.pass_minute();
    weights_.pass_minute();
    if (chance(random_, kPublishes)) train();
    if (vfs_.fails() ? chance(random_, 0.2) : chance(random_, 0.005)) disk_turns();
    if (chance(random_, 0.003)) say_override();
    if (!ok()) return;
    const TimePoint until = steady_.now() + kMinute;
    // What happens after so many handlers happens between any two steps of the loop.
    const auto steps = static_cast<std::uint64_t>(between(random_, 0, minutes_handlers_));
    if (chance(random_, engines_.is_signalled() ? 0.2 : 0.004)) {
      if (!steady_.run_steps(process_->io, until, steps)) crash();
      return;
    }
    if (chance(random_, 0.006) && !steady_.run_steps(process_->io, until, steps)) {
      reload();
      steady_.run_until(process_->io, until);
      return;
    }
    steady_.run_until(process_->io, until);
    minutes_handlers_ = static_cast<int>(std::min<std::uint64_t>(steady_.handlers(), 1'000));
  }

  void disk_turns() {
    if (vfs_.fails()) return vfs_.heal();
    const int code = chance(random_, 0.5) ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    // For some minutes, or for so short that a record is refused and the next one, or the one after that, is not.
    if (chance(random_, 0.5)) return vfs_.fail(code);
    vfs_.fail(code, static_cast<std::uint64_t>(between(random_, 1, 3)));
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
    if (vfs_.fails() || !ledger_.write(event)) return;
    process_->tell(event);
    judge_.overridden(kind, true, word.expires_at);
    // Before a decision has it, it stands in the ledger alone.
    if (chance(random_, 0.2)) {
      crash();
      return;
    }
    // It is decided at once, and every minute from here on.
    pass(kMinute / 2);
  }

  void reload() {
    knobs_.headroom = chance(random_, 0.5) ? 0 : 1;
    judge_.reloaded(knobs_.headroom);
    knobs_.on_policy = chance(random_, 0.5);
    knobs_.waves = chance(random_, 0.3);
    config_ = config_with(knobs_);
    weights_.reloaded(config_->jobs.front().snapshots);
  }

  void crash() {
    ++crashes_;
    end();
    vfs_.heal();
    vfs_.cut();
    // Some minutes may pass, and the clock may be another one's when it comes back.
    for (int minutes = between(random_, 0, 15); minutes > 0; --minutes) {
      steady_.skip(kMinute);
      world_.pass_minute();
      engines_.pass_minute();
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
    process_ = std::make_unique<Process>(clock_, ledger_, world_, engines_, judge_, weights_, config_);
    // The world changes half-way between two ticks: what one reads is then of one moment.
    const TimePoint until = steady_.now() + kMinute / 2;
    const bool again = chance(random_, 0.2);
    const auto steps = static_cast<std::uint64_t>(between(random_, 0, kRestartHandlers));
    // It may end once more before it has come back to itself.
    if (again && !steady_.run_steps(process_->io, until, steps)) {
      crash();
      return;
    }
    steady_.run_until(process_->io, until);
  }

  void end() {
    process_.reset();
    trainer_.daemon_ended();
    ledger_.close();
  }

  void heal() {
    vfs_.heal();
    world_.heal();
    engines_.heal();
    trainer_.heal();
    knobs_.headroom = 0;
    judge_.reloaded(0);
    config_ = config_with(knobs_);
  }

  void judge_rest() {
    // Five ticks that plan nothing, with everything where it ought to be.
    const int orders = weights_.orders();
    const std::uint64_t records = weights_.records();
    for (int minute = 0; minute < kRestMinutes; ++minute) pass(kMinute);
    if (knobs_.snapshots) judge_weights();
    if (weights_.orders() != orders || weights_.records() != records)
      judge_.say("liveness: weights do not come to rest");
    const int chat = std::clamp((world_.truth().load + 7) / 8, 1, 6);
    const int rl = 12 - chat - world_.truth().ext_wants;
    if (process_->quiet() < kRestMinutes) judge_.say("liveness: it does not come to rest");
    if (world_.truth().held(false) != chat)
      judge_.say("liveness: production has " + std::to_string(world_.truth().held(false)) + ", needs " +
                 std::to_string(chat));
    if (world_.truth().held(true) != rl)
      judge_.say("liveness: RL has " + std::to_string(world_.truth().held(true)) + ", could have " +
                 std::to_string(rl));
    if (knobs_.least_lost && judge_.mostly_blind()) judge_.say("least_lost: mostly nobody knows what replicas work on");
    if (process_->leases() != static_cast<std::size_t>(chat + rl)) judge_.say("liveness: leases of nothing remain");
    const Result<std::int64_t> unfinished = ledger_.unfinished();
    if (!unfinished.ok() || *unfinished != 0) judge_.say("liveness: actions without an outcome remain");
    const Result<std::string> otherwise = ledger_.recomputed_otherwise();
    if (!otherwise.ok()) judge_.say("the ledger cannot be replayed: " + otherwise.error().what);
    if (otherwise.ok() && !otherwise->empty()) judge_.say("a replay differs: " + *otherwise);
  }

  /// The last word of the trainer is what everybody has.
  void judge_weights() {
    const Identity& newest = trainer_.newest();
    if (newest.empty() || weights_.phase_of(newest) != SnapshotPhase::serving) {
      judge_.say("liveness: the newest snapshot does not serve: '" + newest.value + "'");
    }
    for (const auto& [id, site] : engines_.sites()) {
      for (const auto& [name, engine] : site.engines) {
        if (engine.paused) judge_.say("liveness: left paused: " + name.value);
        if (engine.held != newest || !engine.whole)
          judge_.say("liveness: " + name.value + " has '" + engine.held.value + "' and not " + newest.value);
      }
    }
  }

  const RunOptions options_;
  Random random_;
  test::VirtualClock steady_{kBegin};
  SteppedClock clock_{steady_};
  MemoryVfs vfs_{options_.seed};
  Knobs knobs_ = drawn(random_, options_.seed);
  std::shared_ptr<const Config> config_ = config_with(knobs_);
  const std::shared_ptr<const Config> shape_ = config_;  ///< what no reload changes: bounds and times
  Judge judge_{*shape_};
  WeightsJudge weights_{judge_, clock_, shape_->jobs.front()};
  Engines engines_{clock_, random_, weights_, knobs_.away};
  World world_{*shape_, clock_, random_, judge_};
  SimLedger ledger_{vfs_, judge_, weights_};
  Trainer trainer_{clock_, random_, engines_, weights_};
  std::unique_ptr<Process> process_;
  int crashes_ = 0;
  int minutes_handlers_ = 300;  ///< that the last whole minute took
};

}  // namespace

RunReport run(const RunOptions& options) {
  try {
    return Run(options).report();
  } catch (const std::exception& thrown) {
    return {std::string("an exception: ") + thrown.what(), {}, "a moment unknown", 0, 0};
  }
}

}  // namespace ebb::sim
