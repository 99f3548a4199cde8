// Demand, and how several jobs and pools share the slack.
#include <gtest/gtest.h>

#include "policies/allocation/priority.hpp"
#include "tests/support/builders.hpp"

namespace ebb::testing {
namespace {

TEST(Allocation, DemandCapsAJob) {
  State state;
  state.demand[JobId("rl")] = Demand{std::nullopt, 70.0, at_second(0), at_second(1e6)};
  EXPECT_EQ(count_of(decide_on(quiet(100), small_config(), state), ActionKind::start, kRl), 3)
      << "70 rollouts / 32 each";
}

TEST(Allocation, AJobThatAsksThroughTheApiGetsNothingUnasked) {
  Config config = small_config();
  config.jobs[0].demand = DemandKind::api;
  EXPECT_EQ(count_of(decide_on(quiet(100), config), ActionKind::start, kRl), 0);
}

TEST(Allocation, AnUnknownDemandKeepsWhatIsThere) {
  Config config = small_config();
  config.jobs[0].demand = DemandKind::metric;
  Seen seen = quiet(100, 2);
  seen.raw().demand[JobId("rl")] = Missing{"query timed out", seen.now()};
  const Decision d = decide_on(seen, config);
  EXPECT_TRUE(d.plan.actions.empty()) << story(d);
  EXPECT_TRUE(says(d, "allocate.demand_unknown"));
}

TEST(Allocation, WeightsShareTheSlack) {
  const Decision d = decide_on(quiet(100), two_jobs(2, 1));
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 8) << story(d);
  EXPECT_EQ(count_of(d, ActionKind::start, kSl), 4);
}

TEST(Allocation, AGuaranteeComesFirstButNeverOutOfTheReserve) {
  Config config = two_jobs(100, 1);
  config.jobs[1].guarantee = {5};
  EXPECT_EQ(count_of(decide_on(quiet(100), config), ActionKind::start, kSl), 5);
  const Decision tight = decide_on(Seen(100).chat(80).replicas("c", kChat, 8), config);
  EXPECT_EQ(count_of(tight, ActionKind::start, kSl), 5) << "8 replicas is chat's maximum; 5 GPUs are left\n"
                                                        << story(tight);
}

TEST(Allocation, AHigherPriorityTakesTheSlackWhereThePoolSaysSo) {
  Config config = two_jobs(1, 1);
  config.jobs[1].priority = 1;
  EXPECT_EQ(count_of(decide_on(quiet(100), config), ActionKind::start, kSl), 6) << "max_min does not look at it";
  config.pools[0].allocation = std::make_shared<PriorityAllocation>();
  const Decision d = decide_on(quiet(100), config);
  EXPECT_EQ(count_of(d, ActionKind::start, kSl), 12) << story(d);
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 0);
  EXPECT_TRUE(says(d, "allocate.priority"));
}

TEST(Allocation, WhatOneJobDoesNotWantGoesToTheOther) {
  Config config = two_jobs(1, 1);
  config.jobs[0].max = {2};
  const Decision d = decide_on(quiet(100), config);
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 2);
  EXPECT_EQ(count_of(d, ActionKind::start, kSl), 10);
}

const DeploymentId kThere{"rl@q"};
/// The job runs in pool q, too.
Config with_a_second_pool(Replicas max) {
  Config config = small_config();
  PoolConfig second = config.pools[0];
  second.name = PoolId("q");
  config.pools.push_back(second);
  FleetConfig fleet = config.fleets[0];
  fleet.name = FleetId("f-q");
  fleet.pool = second.name;
  config.fleets.push_back(fleet);
  config.jobs[0].deployments.push_back(deployment("rl", "q"));
  config.jobs[0].max = max;
  return config;
}

TEST(Allocation, AJobsMaximumHoldsOverAllPools) {
  const Config config = with_a_second_pool({10});
  Seen seen = quiet(100);
  Observation observation = seen.get();
  observation.fleets[FleetId("f-q")] = Sample<FleetSeen>{{}, seen.now()};
  const Decision d = decide(observation, {}, config, seen.now());
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 7) << story(d);
  EXPECT_EQ(count_of(d, ActionKind::start, kThere), 3) << story(d);
}

TEST(Allocation, WhatServesInOnePoolIsNotGivenUpForSlackInAnother) {
  const Config config = with_a_second_pool({6});
  const Seen seen = quiet(100);
  Observation observation = seen.get();
  FleetSeen serving;
  for (int i = 1; i <= 4; ++i)
    serving.replicas.push_back(replica("q-" + std::to_string(i), kThere, ReplicaPhase::ready));
  observation.fleets[FleetId("f-q")] = Sample<FleetSeen>{serving, seen.now()};
  const Decision d = decide(observation, {}, config, seen.now());
  EXPECT_EQ(count_of(d, ActionKind::drain, kThere), 0) << story(d);
  EXPECT_TRUE(says(d, "allocate.stays")) << story(d);
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 2) << story(d);
}

TEST(Allocation, LargeReplicasTakeWhatFitsWhole) {
  Config config = small_config();
  config.jobs[0].deployments[0].gpus_per_replica = {4};
  EXPECT_EQ(count_of(decide_on(quiet(100), config), ActionKind::start, kRl), 1)
      << "7 GPUs of slack hold one replica of 4";
}

}  // namespace
}  // namespace ebb::testing
