// Stage 7: a replica of a job with snapshots serves when the coordinator says that it has the right weights.
#include <gtest/gtest.h>

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

TEST(Syncing, GrowthWaitsForALoadAndAReclaimDoesNot) {
  Trial trial;
  trial.current = true;
  for (int i = 0; i < 60; ++i) trial.tick();
  const int before = trial.serving();
  Observation seen = observe(trial.world, 60, trial.now, true);
  seen.busy.insert(kRl);
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
