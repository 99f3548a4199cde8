// Random worlds: traffic, crashes, lost metrics, dark fleets, stubborn replicas, lost actions and restarts, from a
// printed seed. The invariants are checked against the world itself, not against what the decision believes. Then
// everything heals, and it must settle.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "daemon/core/reduce.hpp"
#include "tests/support/world.hpp"

namespace ebb::testing {
namespace {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  /// In [0, n): own reduction, since the standard distributions differ between libraries.
  std::uint64_t below(std::uint64_t n) { return engine_() % n; }
  bool chance(double p) { return static_cast<double>(below(1'000'000)) < p * 1e6; }

 private:
  std::mt19937_64 engine_;
};

struct Trial {
  Config config;
  State state;
  World world;
  Dice dice;
  double in_flight = 8;
  bool metrics = true;
  bool dark = false;
  TimePoint now = kStart;
  Decision last;

  explicit Trial(std::uint64_t seed) : config(small_config()), dice(seed) {
    config.pools[0].gpus = {static_cast<int>(4 + dice.below(28))};
    config.pools[0].headroom = {static_cast<int>(dice.below(3))};
    config.pools[0].quiet_window = Duration{static_cast<std::int64_t>(dice.below(30'000))};
    config.services[0].deployments[0].max = {static_cast<int>(2 + dice.below(30))};
    config.services[0].capacity = tracking(8, static_cast<double>(dice.below(60)), 0.1);
    config.services[0].blind_after = Duration{20'000 + static_cast<std::int64_t>(dice.below(60'000))};
    config.jobs[0].deployments[0].gpus_per_replica = {static_cast<int>(1 + dice.below(3))};
    config.jobs[0].grow_step = {static_cast<int>(1 + dice.below(8))};
    config.jobs[0].grow_cooldown = Duration{static_cast<std::int64_t>(dice.below(15'000))};
    config.jobs[0].reclaim_cooldown = Duration{static_cast<std::int64_t>(dice.below(30'000))};
    world.startup = Duration{static_cast<std::int64_t>(dice.below(30'000))};
    world.drain = Duration{static_cast<std::int64_t>(dice.below(15'000))};
    state.started_at = now;
  }

  void faults() {
    if (dice.chance(0.05)) in_flight = static_cast<double>(dice.below(200));
    if (dice.chance(0.02)) metrics = !metrics;
    if (dice.chance(0.01)) dark = !dark;
    for (auto& [id, body] : world.bodies()) {
      if (dice.chance(0.002)) world.crash(id, now);
      if (dice.chance(0.002)) body.stubborn = true;
    }
  }

  void heal() {
    metrics = true;
    dark = false;
    in_flight = 8;
    for (auto& [id, body] : world.bodies()) body.stubborn = false;
  }

  void tick(bool may_fail) {
    now += config.tick;
    world.advance(now);
    Observation seen = observe(world, in_flight, now, metrics);
    if (dark) seen.fleets[kFleet] = Missing{"unreadable", now};
    const Gpus rl_before = rl_active();
    last = decide(seen, state, config, now);
    state = last.next;
    const bool lost = may_fail && dice.chance(0.02);     // accepted but lost
    const bool crashed = may_fail && dice.chance(0.01);  // recorded, then the daemon died before it acted
    if (!lost && !crashed) world.apply(last.plan, now);
    if (crashed) state.started_at = now;
    check(rl_before);
    if (!dark) world.forget_gone(state);
  }

  [[nodiscard]] Gpus rl_active() const {
    Gpus sum;
    for (const ReplicaSeen& replica : world.view().replicas) {
      const bool leaving = replica.phase == ReplicaPhase::gone || replica.phase == ReplicaPhase::draining;
      if (replica.deployment == kRl && !leaving) sum += replica.gpus;
    }
    return sum;
  }

  void check(Gpus rl_before) const {
    ASSERT_LE(world.held().count, config.pools[0].gpus.count) << "a GPU was handed out twice\n" << story(last);
    if (!metrics || dark) {
      ASSERT_LE(rl_active().count, rl_before.count) << "I2: grew while blind\n" << story(last);
    }
    const PoolSummary& pool = last.pools.at(kPool);
    if (count_of(last, ActionKind::start, kRl) > 0) {
      ASSERT_LE(rl_active().count, (pool.gpus - pool.reserve).count) << "I1\n" << story(last);
    }
    ASSERT_FALSE(last.why.empty());
  }
};

std::uint64_t base_seed() {
  const char* given = std::getenv("EBB_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 20'260'301;
}

TEST(RandomWorlds, KeepTheInvariantsAndSettleWhenHealed) {
  const std::uint64_t base = base_seed();
  std::cout << "EBB_SEED=" << base << " (60 worlds)\n";
  for (std::uint64_t i = 0; i < 60; ++i) {
    SCOPED_TRACE("reproduce with EBB_SEED=" + std::to_string(base + i) + ", first world");
    Trial run(base + i);
    for (int t = 0; t < 400; ++t) {
      run.faults();
      ASSERT_NO_FATAL_FAILURE(run.tick(true));
    }
    run.heal();
    for (int t = 0; t < 250; ++t) ASSERT_NO_FATAL_FAILURE(run.tick(false));
    for (int t = 0; t < 5; ++t) {
      ASSERT_NO_FATAL_FAILURE(run.tick(false));
      ASSERT_TRUE(run.last.plan.actions.empty()) << "still moving after it was healed\n" << story(run.last);
    }
    const int needed = std::max(1, run.config.services[0].deployments[0].min.count);
    EXPECT_EQ(run.world.count(kChat, true), needed) << story(run.last);
    const int room = run.config.pools[0].gpus.count - run.config.pools[0].headroom.count - needed;
    EXPECT_EQ(run.world.count(kRl, true), std::max(0, room) / run.config.jobs[0].deployments[0].gpus_per_replica.count)
        << story(run.last);
  }
}

}  // namespace
}  // namespace ebb::testing
