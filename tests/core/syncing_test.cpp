// Stage 7: a replica of a job with snapshots serves when the coordinator says that it has the right weights.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/world.hpp"

namespace ebb::testing {
namespace {

struct Trial {
  Config config = small_config();
  State state;
  World world;
  TimePoint now = kStart;
  bool current = false;
  Decision last;

  Trial() {
    config.jobs[0].snapshots.enabled = true;
    state.started_at = now;
  }
  void tick() {
    now += config.tick;
    world.advance(now);
    Observation seen = observe(world, 8, now, true);
    if (current) {
      for (const auto& [id, body] : world.bodies()) seen.current[config.jobs[0].name].insert(id);
    }
    last = decide(seen, state, config, now);
    state = last.next;
    world.apply(last.plan, now);
  }
  int serving() const { return last.deployments.at(kRl).ready.count; }
  int starting() const { return last.deployments.at(kRl).starting.count; }
};

TEST(Syncing, AReplicaWithoutItsWeightsHoldsItsGpusAndDoesNotServe) {
  Trial trial;
  for (int i = 0; i < 60; ++i) trial.tick();
  EXPECT_EQ(trial.serving(), 0);
  EXPECT_GT(trial.starting(), 0);
  trial.current = true;
  trial.tick();
  EXPECT_GT(trial.serving(), 0);
  EXPECT_EQ(trial.starting(), 0);
}

TEST(Syncing, AReplicaThatLosesItsWeightsServesNobodyUntilItHasThemAgain) {
  Trial trial;
  trial.current = true;
  for (int i = 0; i < 60; ++i) trial.tick();
  const int before = trial.serving();
  ASSERT_GT(before, 0);
  Observation seen = observe(trial.world, 8, trial.now, true);
  for (const auto& [id, body] : trial.world.bodies()) seen.current[trial.config.jobs[0].name].insert(id);
  std::set<ReplicaId>& current = seen.current[trial.config.jobs[0].name];
  const auto of_rl = std::find_if(trial.state.leases.begin(), trial.state.leases.end(),
                                  [](const auto& lease) { return lease.second.deployment == kRl; });
  current.erase(of_rl->first);
  const Decision decision = decide(seen, trial.state, trial.config, trial.now + trial.config.tick);
  EXPECT_EQ(decision.next.leases.at(of_rl->first).phase, LeasePhase::syncing);
  EXPECT_EQ(decision.admission.at(trial.config.jobs[0].name), (before - 1) * trial.config.jobs[0].rollouts_per_replica);
  trial.tick();
  EXPECT_EQ(trial.serving(), before);
}

TEST(Syncing, GrowthWaitsForALoadAndAReclaimDoesNot) {
  Trial trial;
  trial.current = true;
  for (int i = 0; i < 60; ++i) trial.tick();
  const int before = trial.serving();
  Observation seen = observe(trial.world, 60, trial.now, true);
  seen.loading.insert(kRl);
  const Decision reclaim = decide(seen, trial.state, trial.config, trial.now + trial.config.tick);
  bool drains = false;
  for (const Action& action : reclaim.plan.actions) {
    drains = drains || (action.deployment == kRl && action.kind != ActionKind::start);
    EXPECT_FALSE(action.deployment == kRl && action.kind == ActionKind::start);
  }
  EXPECT_TRUE(drains) << before << " replicas, and production needs more";
}

}  // namespace
}  // namespace ebb::testing
