// The decision's promises, one test each. Every world starts from tests/support/builders.hpp.
#include "policies/victim/least_lost.hpp"
#include "tests/support/builders.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace ebb::testing {
namespace {

TEST(Decide, LendsTheSlackOfAQuietPool) {
  const Decision d = decide_on(Seen(100).chat(8).replica("c1", kChat), small_config());
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 7) << story(d);
}

TEST(Decide, KeepsTheHeadroomForProduction) {
  Config config = small_config();
  config.pools[0].headroom = {2};
  const Decision d = decide_on(Seen(100).chat(8).replica("c1", kChat), config);
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 5) << story(d);
}

TEST(Decide, DrainsRlWhenProductionNeedsMore) {
  const Decision d = decide_on(Seen(100).chat(24).replica("c1", kChat).replicas("r", kRl, 7), small_config());
  EXPECT_EQ(count_of(d, ActionKind::drain, kRl), 2) << story(d);
  EXPECT_TRUE(is_urgent(d, small_config()));
}

/// A pool whose production needs one GPU of seven that RL has, where victims are who works on the fewest rollouts.
class LeastLostIn : public ::testing::Test {
 protected:
  LeastLostIn() {
    config_.jobs[0].victim = std::make_shared<LeastLostVictim>();
    before_ = decide_on(Seen(95).chat(8).replica("c1", kChat).replicas("r", kRl, 7), config_).next;
    seen_.chat(16).replica("c1", kChat).replicas("r", kRl, 6);
    for (int i = 1; i <= 7; ++i) loads_[ReplicaId("r-" + std::to_string(i))] = i == 4 ? 1 : 20 + i;
  }
  void said(double second) { seen_.raw().loads[kRl] = Sample<ReplicaLoads>{loads_, at_second(second)}; }
  /// The sentence with which the first one leaves.
  std::string victim(ReplicaPhase last = ReplicaPhase::ready) {
    decision_ = decide_on(Seen(seen_).replica("r-7", kRl, last), config_, before_);
    for (const Step& step : decision_.why) {
      if (step.rule.starts_with("leases.victim")) return to_sentence(step);
    }
    return "nobody:\n" + story(decision_);
  }

  Config config_ = small_config();
  State before_;  ///< all seven serve
  Seen seen_{100};
  ReplicaLoads loads_;
  Decision decision_;
};

TEST_F(LeastLostIn, WhoeverWorksOnTheFewestRolloutsLeaves) {
  said(100);
  EXPECT_EQ(victim().rfind("r-4 leaves (serving", 0), 0U) << victim();
  EXPECT_NE(victim().find("1 rollouts in flight"), std::string::npos) << victim();
  EXPECT_FALSE(says(decision_, "leases.load_unknown"));
}

TEST_F(LeastLostIn, WhereNobodyKnowsTheNewestLeavesAndAStepSaysSo) {
  const auto newest = [&](const char* what) {
    EXPECT_EQ(victim().rfind("r-7 leaves (serving", 0), 0U) << what << ": " << victim();
    EXPECT_TRUE(says(decision_, "leases.load_unknown")) << what;
  };
  newest("nobody is asked");
  seen_.raw().loads[kRl] = Missing{"connection refused", seen_.now()};
  newest("nobody answers");
  said(1);
  newest("the last word is old");
}

TEST_F(LeastLostIn, WhoDoesNotSayIsTakenToWorkOnTheMost) {
  loads_.erase(ReplicaId("r-4"));
  said(100);
  EXPECT_EQ(victim().rfind("r-1 leaves (serving", 0), 0U) << victim();
  EXPECT_TRUE(says(decision_, "leases.load_unknown"));
}

TEST_F(LeastLostIn, WhoFailsItsHealthChecksLeavesFirstUnlessItSaysWhatItWorksOn) {
  loads_[ReplicaId("r-7")] = 30;
  said(100);
  EXPECT_EQ(victim(ReplicaPhase::unhealthy).rfind("r-4 leaves (serving", 0), 0U) << "it is busy, not dead";
  loads_.erase(ReplicaId("r-7"));
  said(100);
  const std::string dead = victim(ReplicaPhase::unhealthy);
  EXPECT_EQ(dead.rfind("r-7 leaves (serving", 0), 0U) << dead;
  EXPECT_EQ(dead.find("rollouts"), std::string::npos) << "nobody counted them: " << dead;
  EXPECT_FALSE(says(decision_, "leases.load_unknown")) << "of the others all is known";
}

TEST(Decide, StartsProductionOnlyOnGpusThatAreFree) {
  const Config config = small_config();
  const Decision first = decide_on(Seen(100).chat(24).replica("c1", kChat).replicas("r", kRl, 7), config);
  EXPECT_EQ(count_of(first, ActionKind::start, kChat), 0) << story(first);
  Seen later(103);
  later.chat(24).replica("c1", kChat).replicas("r", kRl, 5).replica("r-6", kRl, ReplicaPhase::gone);
  later.replica("r-7", kRl, ReplicaPhase::draining);
  const Decision second = decide_on(later, config, first.next);
  EXPECT_EQ(count_of(second, ActionKind::start, kChat), 1) << story(second);
}

/// RL replicas of four GPUs each, the configuration says two.
Seen of_before(double second, double in_flight, int rl) {
  Seen seen(second);
  seen.chat(in_flight).replica("c1", kChat);
  for (int i = 1; i <= rl; ++i) seen.replica("r" + std::to_string(i), kRl, ReplicaPhase::ready, Gpus{4});
  return seen;
}

TEST(Decide, ReplicasHoldWhatTheyWereStartedWithWhateverTheConfigurationSaysNow) {
  Config config = small_config();
  config.pools[0].gpus = {16};
  config.services[0].deployments[0].max = {16};
  config.jobs[0].deployments[0].gpus_per_replica = {2};
  // Production needs 4, so that 12 are slack: three of four GPUs fill it, and would be six by today's number.
  const Decision still = decide_on(of_before(100, 32, 3), config);
  EXPECT_EQ(count_of(still, ActionKind::drain, kRl), 0) << story(still);
  EXPECT_EQ(count_of(still, ActionKind::start, kRl), 0) << story(still);
  EXPECT_EQ(count_of(still, ActionKind::start, kChat), 3) << story(still);
  // It needs 5: eleven of slack, so that one replica of four has to go.
  const Decision reclaim = decide_on(of_before(100, 40, 3), config);
  EXPECT_EQ(count_of(reclaim, ActionKind::drain, kRl), 1) << story(reclaim);
  // Ten: six of slack hold one of them, though as many as today's three would fit.
  const Decision deeper = decide_on(of_before(100, 80, 3), config);
  EXPECT_EQ(count_of(deeper, ActionKind::drain, kRl), 2) << story(deeper);
}

TEST(Decide, AReplicaThatIsFoundIllHasNotTakenTooLongToStart) {
  Config config = small_config();
  const Decision d =
      decide_on(Seen(100'000).chat(8).replica("c1", kChat, ReplicaPhase::unhealthy).replica("c2", kChat), config);
  EXPECT_FALSE(says(d, "leases.start_timeout")) << story(d);
  EXPECT_EQ(count_of(d, ActionKind::evict, kChat), 0) << story(d);
}

TEST(Decide, WhatOnePlanCannotStartIsCountedAndDoesNotWaitForGpus) {
  Config config = small_config();
  config.pools[0].gpus = {400};
  config.jobs[0].max = config.jobs[0].deployments[0].max = {300};
  const Decision d = decide_on(Seen(100).chat(8).replica("c1", kChat), config);
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 64) << "its grow_step";
  config.jobs[0].grow_step = {300};
  const Decision many = decide_on(Seen(100).chat(8).replica("c1", kChat), config);
  EXPECT_EQ(count_of(many, ActionKind::start, kRl), 256) << story(many);
  EXPECT_FALSE(says(many, "diff.no_room")) << story(many);
  EXPECT_NE(story(many).find("44 starts are left for the next tick"), std::string::npos) << story(many);
}

TEST(Decide, AnUnreadableFleetHoldsItsLastCountAndGrowsNothing) {
  const Config config = small_config();
  const Decision before = decide_on(Seen(100).chat(8).replica("c1", kChat).replicas("r", kRl, 3), config);
  const Decision d = decide_on(Seen(101).chat(8).dark("directory unreadable"), config, before.next);
  EXPECT_TRUE(d.plan.actions.empty()) << story(d);
  EXPECT_EQ(d.deployments.at(kRl).ready, Replicas{3});
  EXPECT_TRUE(alarms(d, "freshness.fleet"));
}

TEST(Decide, NeverTouchesTheReplicasOfAnExternalOwner) {
  Config config = small_config();
  config.services[0].owner = Owner::external;
  const Decision d = decide_on(Seen(100).chat(0).replicas("c", kChat, 5), config);
  EXPECT_EQ(count_of(d, ActionKind::drain, kChat) + count_of(d, ActionKind::start, kChat), 0) << story(d);
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 3) << "what production holds stays its own\n" << story(d);
}

TEST(Decide, ExternalProductionWithoutAFleetHoldsWhatItsMetricsSay) {
  Config config = small_config();
  config.services[0].owner = Owner::external;
  config.services[0].deployments[0].fleet = FleetId{};
  Seen seen(100);
  seen.chat(8);
  seen.workload().held = Sample<Replicas>{{6}, seen.now()};
  EXPECT_EQ(count_of(decide_on(seen, config), ActionKind::start, kRl), 2);
}

TEST(Decide, ExternalProductionOnTheSameGpusIsCountedOnce) {
  Config config = small_config();
  config.services[0].owner = Owner::external;
  config.services[0].deployments[0].fleet = FleetId{};
  Seen seen(100);
  seen.chat(8).unusable(4);
  seen.workload().held = Sample<Replicas>{{3}, seen.now()};
  const Decision d = decide_on(seen, config);
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 4) << "3 of the 4 foreign GPUs are production's own\n" << story(d);
}

TEST(Decide, DrainingReplicasStillHoldTheirGpus) {
  Seen seen(100);
  seen.chat(8).replica("c1", kChat).replicas("r", kRl, 4).replicas("d", kRl, 3, ReplicaPhase::draining);
  const Decision d = decide_on(seen, small_config());
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 0) << story(d);
}

TEST(Decide, LostGpusAreNotLentAgain) {
  Config config = small_config();
  Seen seen(100);
  seen.chat(8).replica("c1", kChat).replica("r1", kRl, ReplicaPhase::lost);
  const Decision d = decide_on(seen, config);
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 6) << story(d);
  EXPECT_TRUE(alarms(d, "leases.lost"));
}

TEST(Decide, ALostReplicaIsToldOfAtEveryTick) {
  const auto seen = [](double second) {
    return Seen(second).chat(8).replica("c1", kChat).replicas("r", kRl, 6).replica("z", kRl, ReplicaPhase::lost);
  };
  const Config config = small_config();
  Decision d = decide_on(seen(100), config);
  for (const double second : {105.0, 110.0, 115.0}) {
    d = decide_on(seen(second), config, d.next);
    EXPECT_TRUE(says(d, "leases.lost")) << story(d);
    EXPECT_TRUE(alarms(d, "leases.lost"));
  }
}

TEST(Decide, AFleetMayShowItsReplicasInAnyOrder) {
  const Config config = small_config();
  const State before = decide_on(Seen(100).chat(8).replica("c1", kChat).replicas("r", kRl, 7), config).next;
  const Seen seen = Seen(105).chat(8).replica("c1", kChat).replicas("r", kRl, 7, ReplicaPhase::lost);
  Observation turned = seen.get();
  std::vector<ReplicaSeen>& replicas = turned.fleets.at(kFleet).sample()->value.replicas;
  std::reverse(replicas.begin(), replicas.end());
  EXPECT_EQ(decide(turned, before, config, seen.now()), decide(seen.get(), before, config, seen.now()));
}

TEST(Decide, ForeignGpusAreNotLent) {
  const Decision d = decide_on(Seen(100).chat(8).replica("c1", kChat).unusable(3), small_config());
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 4) << story(d);
}

TEST(Decide, AnOverdueDrainTurnsHardAndThenLost) {
  const Config config = small_config();
  Decision d = decide_on(Seen(100).chat(64).replica("c1", kChat).replicas("r", kRl, 7), config);
  ASSERT_EQ(count_of(d, ActionKind::drain, kRl), 7);
  const auto still = [&](double second) {
    return Seen(second).chat(64).replica("c1", kChat).replicas("r", kRl, 7, ReplicaPhase::draining);
  };
  d = decide_on(still(105), config, d.next);
  EXPECT_TRUE(d.plan.actions.empty()) << story(d);
  d = decide_on(still(110), config, d.next);
  EXPECT_EQ(count_of(d, ActionKind::evict, kRl), 7) << story(d);
  d = decide_on(still(116), config, d.next);
  EXPECT_TRUE(alarms(d, "check.reclaim_overdue")) << story(d);
  d = decide_on(still(171), config, d.next);
  EXPECT_TRUE(alarms(d, "leases.lost")) << story(d);
}

TEST(Decide, AnUnheardDrainIsSaidAgain) {
  const Config config = small_config();
  const Seen seen = Seen(100).chat(64).replica("c1", kChat).replicas("r", kRl, 2);
  const Decision first = decide_on(seen, config);
  ASSERT_EQ(count_of(first, ActionKind::drain, kRl), 2);
  const Decision at_once = decide_on(Seen(101).chat(64).replica("c1", kChat).replicas("r", kRl, 2), config, first.next);
  EXPECT_EQ(count_of(at_once, ActionKind::drain, kRl), 0);
  const Decision later = decide_on(Seen(102.5).chat(64).replica("c1", kChat).replicas("r", kRl, 2), config, first.next);
  EXPECT_EQ(count_of(later, ActionKind::drain, kRl), 2) << story(later);
}

TEST(Decide, AReplicaThatIsNotReadyInTimeIsEvictedAndCounted) {
  const Config config = small_config();
  Decision d = decide_on(Seen(100).chat(8).replica("c1", kChat), config);
  Seen slow(165);
  slow.chat(8).replica("c1", kChat);
  for (const auto& [id, lease] : d.next.leases) {
    if (lease.deployment == kRl) slow.replica(id.value, kRl, ReplicaPhase::starting);
  }
  Seen first_look = slow;
  d = decide_on(slow, config, d.next);
  EXPECT_EQ(count_of(d, ActionKind::evict, kRl), 7) << story(d);
  EXPECT_GT(d.next.deployments.at(kRl).failures, 0);
}

TEST(Decide, ACrashedReplicaIsReplacedOnlyAfterTheBackOff) {
  Config config = small_config();
  config.failures.backoff_first = Duration{5'000};
  Decision d = decide_on(Seen(100).chat(8).replica("c1", kChat).replica("r1", kRl), config);
  Seen crash(101);
  crash.chat(8).replica("c1", kChat).replica("r1", kRl, ReplicaPhase::gone);
  Observation seen = crash.get();
  for (ReplicaSeen& replica : seen.fleets.at(kFleet).sample()->value.replicas) {
    if (replica.phase == ReplicaPhase::gone) replica.failed = true;
  }
  State state = d.next;
  std::erase_if(state.leases, [](const auto& l) { return !l.second.seen; });
  const Decision crashed = decide(seen, state, config, crash.now());
  EXPECT_EQ(count_of(crashed, ActionKind::start, kRl), 0) << story(crashed);
  EXPECT_TRUE(says(crashed, "guardrails.backoff"));
  const Decision again = decide_on(Seen(106.5).chat(8).replica("c1", kChat), config, crashed.next);
  EXPECT_GT(count_of(again, ActionKind::start, kRl), 0) << story(again);
}

TEST(Decide, AReplicaThatWasNeverStartedGivesItsGpusBack) {
  const Config config = small_config();
  const Decision d = decide_on(Seen(100).chat(8).replica("c1", kChat), config);
  ASSERT_EQ(count_of(d, ActionKind::start, kRl), 7);
  const Decision soon = decide_on(Seen(110).chat(8).replica("c1", kChat), config, d.next);
  EXPECT_TRUE(soon.plan.actions.empty()) << "they hold their GPUs while they may still appear\n" << story(soon);
  const Decision late = decide_on(Seen(131).chat(8).replica("c1", kChat), config, soon.next);
  EXPECT_TRUE(says(late, "leases.never_started"));
  EXPECT_EQ(count_of(late, ActionKind::start, kRl), 7) << story(late);
}

TEST(Decide, AnOrderThatIsNotAnsweredYetKeepsItsGpus) {
  const Config config = small_config();
  const Decision d = decide_on(Seen(100).chat(8).replica("c1", kChat), config);
  Seen later(190);
  later.chat(8).replica("c1", kChat);
  later.raw().busy.insert(kRl);
  const Decision waiting = decide_on(later, config, d.next);
  EXPECT_FALSE(says(waiting, "leases.never_started")) << story(waiting);
  EXPECT_EQ(waiting.next.leases.size(), 8U);
}

TEST(Decide, ProductionThatWasJustFoundReadyStaysAndAStartThatIsNotSeenGoes) {
  const Config config = small_config();
  const Decision starts = decide_on(Seen(100).chat(16).replica("c1", kChat), config);
  ASSERT_EQ(count_of(starts, ActionKind::start, kChat), 1) << story(starts);
  // Somebody else has started one meanwhile, and ours has not appeared.
  Observation seen = Seen(110).chat(16).replicas("c", kChat, 2).get();
  for (ReplicaSeen& replica : seen.fleets.begin()->second.sample()->value.replicas)
    replica.since = replica.started_at = at_second(105);
  const Decision d = decide(seen, starts.next, config, at_second(110));
  ASSERT_EQ(count_of(d, ActionKind::drain, kChat), 1) << story(d);
  for (const Action& action : d.plan.actions) {
    if (action.deployment != kChat) continue;
    EXPECT_EQ(action.replicas.front().value.find("chat@p-"), 0U) << "ours, of the tick before: " << story(d);
  }
}

TEST(Decide, FoundReplicasAreAdopted) {
  const Decision d = decide_on(Seen(100).chat(8).replica("c1", kChat).replicas("old", kRl, 2), small_config());
  EXPECT_TRUE(says(d, "leases.adopted"));
  EXPECT_EQ(d.deployments.at(kRl).ready, Replicas{2});
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 5) << story(d);
}

TEST(Decide, ReplicasOfAnUnknownDeploymentCountAsTakenAndAreLeftAlone) {
  Seen seen(100);
  seen.chat(8).replica("c1", kChat).replica("x1", DeploymentId("old@p"));
  const Decision d = decide_on(seen, small_config());
  EXPECT_EQ(count_of(d, ActionKind::start, kRl), 6) << story(d);
  EXPECT_TRUE(alarms(d, "leases.orphan"));
  EXPECT_EQ(count_of(d, ActionKind::drain, DeploymentId("old@p")), 0);
}

TEST(Decide, AnOrphanIsFoundInWhateverFleetShowsIt) {
  Config config = small_config();
  FleetConfig second = config.fleets[0];
  second.name = FleetId("g");
  config.fleets.push_back(second);
  const auto orphans = [&](ReplicaPhase phase, double taken_at) {
    Seen seen(100);
    seen.chat(8).replica("c1", kChat);
    seen.raw().fleets[FleetId("g")] =
        Sample<FleetSeen>{{{replica("x1", DeploymentId("old@p"), phase)}, {}}, at_second(taken_at)};
    return decide_on(seen, config);
  };
  EXPECT_EQ(count_of(orphans(ReplicaPhase::ready, 100), ActionKind::start, kRl), 6);
  EXPECT_TRUE(alarms(orphans(ReplicaPhase::ready, 100), "leases.orphan"));
  EXPECT_EQ(count_of(orphans(ReplicaPhase::gone, 100), ActionKind::start, kRl), 7);
  EXPECT_FALSE(alarms(orphans(ReplicaPhase::gone, 100), "leases.orphan"));
  // What was shown last by a fleet that has gone silent holds its GPUs still.
  const Decision stale = orphans(ReplicaPhase::ready, 10);
  EXPECT_TRUE(alarms(stale, "leases.orphan")) << story(stale);
  EXPECT_EQ(stale.pools.at(kPool).unusable, Gpus{1});
}

TEST(Decide, OneActionInFlightPerDeployment) {
  Seen seen(100);
  seen.chat(8).replica("c1", kChat);
  seen.raw().busy.insert(kRl);
  EXPECT_EQ(count_of(decide_on(seen, small_config()), ActionKind::start, kRl), 0);
}

TEST(Decide, WhatGrowthWaitsForIsSaid) {
  Seen seen(100);
  seen.chat(8).replica("c1", kChat);
  const auto waiting = [&](std::set<DeploymentId> Observation::*set) {
    Seen one = seen;
    (one.raw().*set).insert(kRl);
    return decide_on(one, small_config());
  };
  const Decision starts = waiting(&Observation::busy), loads = waiting(&Observation::loading);
  EXPECT_EQ(count_of(starts, ActionKind::start, kRl) + count_of(loads, ActionKind::start, kRl), 0);
  const auto tells = [](const Decision& d, const char* text) { return story(d).find(text) != std::string::npos; };
  EXPECT_TRUE(tells(starts, "7 replicas wait to be started: an earlier start is not answered yet")) << story(starts);
  EXPECT_TRUE(tells(loads, "7 replicas wait to be started: it loads weights")) << story(loads);
  EXPECT_FALSE(says(decide_on(seen, small_config()), "diff.waits"));
}

TEST(Decide, AReplicaThatNeverAppearedIsGivenUpAlsoWhileItsDeploymentLoadsWeights) {
  const Config config = small_config();
  const Decision d = decide_on(Seen(100).chat(8).replica("c1", kChat), config);
  Seen later(190);
  later.chat(8).replica("c1", kChat);
  later.raw().loading.insert(kRl);
  const Decision given_up = decide_on(later, config, d.next);
  EXPECT_TRUE(says(given_up, "leases.never_started")) << story(given_up);
  EXPECT_EQ(given_up.next.leases.size(), 1U);
}

TEST(Decide, ABusyDeploymentIsReclaimedAllTheSame) {
  Seen seen(100);
  seen.chat(64).replica("c1", kChat).replicas("r", kRl, 7);
  seen.raw().busy.insert(kRl);
  EXPECT_EQ(count_of(decide_on(seen, small_config()), ActionKind::drain, kRl), 7);
}

TEST(Decide, TheSameInputsGiveTheSameDecision) {
  const Seen seen = Seen(100).chat(20).replicas("c", kChat, 2).replicas("r", kRl, 6);
  EXPECT_EQ(decide_on(seen, small_config()), decide_on(seen, small_config()));
}

TEST(Decide, AnEmptyPlanHasAnExplanation) {
  const Decision d = decide_on(Seen(100).chat(8).replica("c1", kChat).replicas("r", kRl, 7), small_config());
  EXPECT_TRUE(d.plan.actions.empty()) << story(d);
  EXPECT_TRUE(says(d, "diff.nothing"));
  EXPECT_TRUE(says(d, "check.ok"));
}

TEST(Decide, ReclaimsComeBeforeStarts) {
  Config config = small_config();
  config.pools[0].gpus = {9};
  const Decision d = decide_on(Seen(100).chat(24).replica("c1", kChat).replicas("r", kRl, 7), config);
  ASSERT_GE(d.plan.actions.size(), 2u) << story(d);
  EXPECT_EQ(d.plan.actions.front().kind, ActionKind::drain);
  EXPECT_EQ(d.plan.actions.back().kind, ActionKind::start);
}

}  // namespace
}  // namespace ebb::testing
