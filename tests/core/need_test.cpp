// What production is taken to need, where not everything is known of it.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "policies/capacity/exec.hpp"
#include "tests/support/builders.hpp"

namespace ebb::testing {
namespace {

TEST(Need, HoldsProductionWhenMetricsAreMissing) {
  const Config config = small_config();
  const Decision before = decide_on(Seen(100).chat(24).replicas("c", kChat, 3), config);
  const Decision d = decide_on(Seen(101).chat_missing().replicas("c", kChat, 3), config, before.next);
  EXPECT_EQ(count_of(d, ActionKind::drain, kChat), 0) << story(d);
  EXPECT_EQ(d.deployments.at(kChat).need, Replicas{3});
  EXPECT_FALSE(d.deployments.at(kChat).known);
}

TEST(Need, NeverGrowsRlWhenMetricsAreMissing) {
  const Decision d = decide_on(Seen(100).chat_missing().replica("c1", kChat), small_config());
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 0) << story(d);
  EXPECT_TRUE(says(d, "guardrails.blind"));
}

TEST(Need, DoesNotBelieveIdleUntilEveryReplicaReported) {
  Seen seen(100);
  seen.chat(0).replicas("c", kChat, 3);
  seen.workload().reported = 2;
  seen.workload().expected = 3;
  const Decision d = decide_on(seen, small_config());
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 0) << story(d);
  EXPECT_EQ(count_of(d, ActionKind::drain, kChat), 0) << story(d);
}

TEST(Need, APartialReadingStillRaisesTheNeed) {
  Seen seen(100);
  seen.chat(40).replicas("c", kChat, 1).replicas("r", kRl, 7);
  seen.workload().reported = 1;
  seen.workload().expected = 2;
  const Decision d = decide_on(seen, small_config());
  EXPECT_EQ(count_of(d, ActionKind::drain, kRl), 4) << story(d);
}

TEST(Need, AStaleSampleIsNotASample) {
  Seen seen(100);
  seen.replica("c1", kChat);
  seen.workload().signals["in_flight"].value = Sample<double>{0, at_second(80)};
  const Decision d = decide_on(seen, small_config());
  EXPECT_TRUE(says(d, "freshness.stale"));
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 0) << story(d);
}

TEST(Need, ABlindServiceIsTakenToNeedItsMaximumAfterAWhile) {
  Config config = small_config();
  config.services[0].blind_after = Duration{60'000};
  State state;
  state.started_at = at_second(0);
  const Seen known = Seen(100).chat(8).replica("c1", kChat).replicas("r", kRl, 7);
  state = decide_on(known, config, state).next;
  const Decision early = decide_on(Seen(150).chat_missing().replica("c1", kChat).replicas("r", kRl, 7), config, state);
  EXPECT_EQ(count_of(early, ActionKind::drain, kRl), 0) << story(early);
  const Decision late =
      decide_on(Seen(161).chat_missing().replica("c1", kChat).replicas("r", kRl, 7), config, early.next);
  EXPECT_EQ(count_of(late, ActionKind::drain, kRl), 7) << story(late);
  EXPECT_TRUE(alarms(late, "freshness.blind"));
}

TEST(Need, WhatIsKnownOfABlindServiceMayBeMoreThanItsMaximum) {
  Config config = small_config();
  config.services[0].owner = Owner::external;
  config.services[0].blind_after = Duration{60'000};
  config.services[0].deployments[0].fleet = FleetId();
  config.services[0].deployments[0].max = {2};
  State state;
  state.started_at = at_second(0);
  Seen seen = Seen(161).chat_missing("1 of 2 replicas did not report").replicas("r", kRl, 5);
  seen.workload().signals["in_flight"].at_least = 40;  // five replicas, where we were told of two at most
  const Decision d = decide_on(seen, config, state);
  EXPECT_TRUE(alarms(d, "freshness.blind")) << story(d);
  EXPECT_EQ(count_of(d, ActionKind::drain, kRl), 2) << story(d);
}

TEST(Need, WhatIsNoNumberOrFromTomorrowIsUnknownAndNotNothing) {
  const Config config = small_config();
  const Decision before = decide_on(Seen(100).chat(40).replicas("c", kChat, 5).replicas("r", kRl, 3), config);
  for (const double odd : {std::nan(""), -std::numeric_limits<double>::infinity()}) {
    const Decision d =
        decide_on(Seen(105).chat(odd).replicas("c", kChat, 5).replicas("r", kRl, 3), config, before.next);
    EXPECT_TRUE(d.plan.actions.empty()) << odd << "\n" << story(d);
    EXPECT_TRUE(says(d, "need.unknown")) << odd << "\n" << story(d);
  }
  Seen tomorrow = Seen(105).replicas("c", kChat, 5).replicas("r", kRl, 3);
  tomorrow.workload().signals["in_flight"].value = Sample<double>{0, at_second(86'400)};
  const Decision d = decide_on(tomorrow, config, before.next);
  EXPECT_TRUE(d.plan.actions.empty()) << story(d);
  EXPECT_TRUE(says(d, "freshness.ahead")) << story(d);
}

TEST(Need, TheLastReplicaStaysWhereOnlyReplicasReport) {
  Config config = small_config();
  config.services[0].deployments[0].min = {0};
  config.services[0].deployments[0].sources = {SourceConfig{}};
  const Seen idle = Seen(100).chat(0).replicas("c", kChat, 2);
  const Decision kept = decide_on(idle, config);
  EXPECT_EQ(count_of(kept, ActionKind::drain, kChat), 1) << story(kept);
  EXPECT_TRUE(says(kept, "need.one_that_reports")) << story(kept);
  config.services[0].deployments[0].sources[0].targets = {"http://gateway:9000"};
  EXPECT_EQ(count_of(decide_on(idle, config), ActionKind::drain, kChat), 2) << "its gateway reports without it";
}

TEST(Need, TheOwnersWishRaisesTheNeed) {
  Config config = small_config();
  config.services[0].owner = Owner::external;
  Seen seen(100);
  seen.chat(8).replica("c1", kChat).replicas("r", kRl, 7);
  seen.workload().asked = Sample<Replicas>{{4}, seen.now()};
  const Decision d = decide_on(seen, config);
  EXPECT_EQ(count_of(d, ActionKind::drain, kRl), 3) << story(d);
  EXPECT_TRUE(says(d, "need.asked"));
}

TEST(Need, TheOwnersWishNeverLowersTheNeed) {
  Config config = small_config();
  config.services[0].owner = Owner::external;
  Seen seen(100);
  seen.chat(32).replicas("c", kChat, 4).replicas("r", kRl, 4);
  seen.workload().asked = Sample<Replicas>{{1}, seen.now()};
  EXPECT_EQ(decide_on(seen, config).deployments.at(kChat).need, Replicas{4});
}

TEST(Need, AWishFromTomorrowIsUnknown) {
  Config config = small_config();
  config.services[0].owner = Owner::external;
  Seen seen(100);
  seen.chat(8).replica("c1", kChat).replicas("r", kRl, 7);
  seen.workload().asked = Sample<Replicas>{{4}, at_second(86'400)};
  const Decision d = decide_on(seen, config);
  EXPECT_FALSE(says(d, "need.asked")) << story(d);
  EXPECT_TRUE(says(d, "freshness.ahead")) << story(d);
}

TEST(Need, StaleAdviceIsNone) {
  Config config = small_config();
  config.services[0].capacity = std::make_shared<ExecCapacity>();
  Seen seen(100);
  seen.chat(30).replica("c1", kChat);
  seen.workload().advice = Sample<Advice>{{5, "busy"}, seen.now()};
  EXPECT_EQ(decide_on(seen, config).deployments.at(kChat).need, Replicas{5});
  seen.workload().advice = Sample<Advice>{{5, "busy"}, seen.now() - Duration{60'000}};
  const Decision stale = decide_on(seen, config);
  EXPECT_EQ(stale.deployments.at(kChat).need, Replicas{2}) << "30 in flight at 16 a replica";
  EXPECT_NE(story(stale).find("exec gave no advice (stale)"), std::string::npos) << story(stale);
}

}  // namespace
}  // namespace ebb::testing
