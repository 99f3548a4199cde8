#include <gtest/gtest.h>

#include "tests/core/hotload_rig.hpp"

namespace ebb::testing {
namespace {

TEST(Hotload, AFullAndAnIncrementalSnapshotReachEveryReplicaWithOneSignalEach) {
  Rig rig(4);
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(8);
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.passes(8);
  EXPECT_EQ(rig.phase_of("a"), "serving");
  EXPECT_EQ(rig.phase_of("b"), "serving");
  ASSERT_EQ(rig.sent.size(), 2u);
  EXPECT_EQ(rig.sent[1].replicas.size(), 4u);
  EXPECT_EQ(path_of(rig.sent[1]), Names{"b"});
}

TEST(Hotload, WhatIsNotVerifiedIsNeverSignalled) {
  Rig rig(2);
  rig.pass();
  ASSERT_TRUE(rig.publish("a", "", false).ok());
  rig.passes(5);
  EXPECT_TRUE(rig.sent.empty());
  rig.now += rig.config.verify_timeout;
  rig.pass();
  EXPECT_EQ(rig.phase_of("a"), "rejected");
  EXPECT_FALSE(rig.state.chain.why_full.empty());
}

TEST(Hotload, WithoutReplicasASnapshotServesAtOnceAndWhoeverComesLaterLoadsTheChain) {
  Rig rig(0);
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.pass();
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.pass();
  EXPECT_EQ(rig.phase_of("b"), "serving");
  rig.add(Rig::deployment(), "late");
  rig.passes(12);
  ASSERT_EQ(rig.sent.size(), 2u);
  EXPECT_EQ(path_of(rig.sent[0]), Names{"a"});
  EXPECT_EQ(path_of(rig.sent[1]), Names{"b"});
  EXPECT_TRUE(may_serve(rig.state.chain, rig.replica("late"), rig.config, {}));
}

TEST(Hotload, AFleetThatReplaysChainsIsToldOnce) {
  Rig rig(1);
  rig.fleets[Rig::deployment()].replays_chain = true;
  rig.pass();
  for (const auto& [name, parent] :
       std::vector<std::pair<std::string, std::string>>{{"a", ""}, {"b", "a"}, {"c", "b"}}) {
    ASSERT_TRUE(rig.publish(name, parent).ok());
    rig.passes(6);
  }
  rig.add(Rig::deployment(), "late");
  rig.passes(8);
  EXPECT_EQ(path_of(rig.sent.back()), (Names{"a", "b", "c"}));
  EXPECT_EQ(rig.sent.back().replicas, std::vector<ReplicaId>{ReplicaId("late")});
}

TEST(Hotload, ANewcomerDoesNotServeUntilItIsCurrent) {
  Rig rig(1);
  rig.serve("a");
  rig.add(Rig::deployment(), "late").weights = {Identity("of-another-run")};
  rig.pass();
  EXPECT_EQ(rig.replica("late").phase, WeightsPhase::loading) << "foreign weights are as good as none";
  EXPECT_FALSE(may_serve(rig.state.chain, rig.replica("late"), rig.config, {}));
  rig.passes(5);
  EXPECT_TRUE(may_serve(rig.state.chain, rig.replica("late"), rig.config, {}));
}

TEST(Hotload, AMissedReadyFractionFailsTheSnapshotAndASmallerOneDoesNot) {
  for (const double fraction : {1.0, 0.5}) {
    Rig rig(4);
    rig.config.ready_fraction = fraction;
    rig.serve("a");
    ASSERT_TRUE(rig.publish("b", "a").ok());
    rig.pass();
    rig.engine("r0").applying.clear();
    rig.engine("r0").failed = Identity("b");
    rig.passes(6);
    EXPECT_EQ(rig.phase_of("b"), fraction == 1.0 ? "failed" : "serving");
    EXPECT_EQ(rig.state.chain.why_full.empty(), fraction != 1.0);
  }
}

TEST(Hotload, AnErrorAboutAnEarlierTargetIsIgnored) {
  Rig rig(1);
  rig.serve("a");
  rig.engine("r0").failed = Identity("x");
  rig.pass();
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.poll();
  rig.decide();
  rig.decide();
  EXPECT_EQ(rig.replica("r0").phase, WeightsPhase::loading);
}

TEST(Hotload, SuccessWithTheWrongIdentityIsNoSuccess) {
  Rig rig(1);
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.pass();
  rig.engine("r0").applying.clear();
  rig.engine("r0").weights = {Identity("other")};
  rig.passes(3);
  EXPECT_EQ(rig.phase_of("a"), "loading");
  rig.now += rig.config.load_timeout;
  rig.pass();
  EXPECT_EQ(rig.phase_of("a"), "failed");
}

TEST(Hotload, ALoadThatNeverEndsEndsAtItsDeadlineAndTheNextOneIsFull) {
  Rig rig(2);
  rig.engine("r1").stubborn = true;
  rig.serve("a");
  EXPECT_EQ(rig.phase_of("a"), "loading");
  rig.now += rig.config.load_timeout;
  rig.passes(2);
  EXPECT_EQ(rig.phase_of("a"), "failed");
  EXPECT_FALSE(rig.state.chain.why_full.empty());
}

TEST(Hotload, ADrainingReplicaIsLeftOutAndEndsALoadThatWasOnlyFor) {
  Rig rig(2);
  rig.pass();
  rig.seen.leaving = {ReplicaId("r1")};
  ASSERT_TRUE(rig.publish("a").ok());
  rig.pass();
  ASSERT_EQ(rig.sent.size(), 1u);
  EXPECT_EQ(rig.sent[0].replicas, std::vector<ReplicaId>{ReplicaId("r0")});
  rig.seen.leaving.insert(ReplicaId("r0"));
  rig.pass();
  EXPECT_FALSE(is_loading(rig.state.deployments[Rig::deployment()])) << "a reclaim does not wait";
  EXPECT_EQ(rig.phase_of("a"), "serving") << "nobody is left to load it";
}

TEST(Hotload, NoOrderGoesOutWhileADeploymentGrows) {
  Rig rig(1);
  rig.seen.growing = {Rig::deployment()};
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(3);
  EXPECT_TRUE(rig.sent.empty());
  rig.seen.growing.clear();
  rig.pass();
  EXPECT_EQ(rig.sent.size(), 1u);
}

TEST(Hotload, ARollingLoadKeepsMostReplicasServing) {
  Rig rig(8);
  rig.serve("a");
  rig.config.max_unavailable = 0.25;
  rig.sent.clear();
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.passes(30);
  EXPECT_EQ(rig.phase_of("b"), "serving");
  EXPECT_EQ(rig.sent.size(), 4u);
  for (const LoadOrder& order : rig.sent) EXPECT_EQ(order.replicas.size(), 2u);
}

TEST(Hotload, ARefusedSnapshotFailsAtOnceAndTheOldWeightsGoOnServing) {
  Rig rig(2);
  rig.serve("a");
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.poll();
  rig.decide();
  const std::string order = rig.state.deployments[Rig::deployment()].load.order.id;
  rig.take(answered(std::move(rig.state), Rig::deployment(), order, LoadEvent::refused, "Types mismatch", rig.config,
                    rig.now));
  EXPECT_EQ(rig.phase_of("b"), "failed");
  rig.passes(2);
  EXPECT_TRUE(may_serve(rig.state.chain, rig.replica("r0"), rig.config, {}));
  EXPECT_FALSE(rig.publish("c", "a").ok()) << "full after any failure";
}

TEST(Hotload, AWholeDeploymentGetsAnIncrementOnlyWhenEveryReplicaHasTheParent) {
  Rig rig(3, false);
  rig.serve("a");
  rig.add(Rig::deployment(), "late");
  rig.pass();
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.passes(5);
  EXPECT_EQ(rig.sent.size(), 1u) << "the newcomer lacks the parent";
  rig.engine("late").weights = {Identity("a")};
  rig.passes(6);
  EXPECT_EQ(rig.phase_of("b"), "serving") << "the vendor caught it up";
  rig.add(Rig::deployment(), "never");
  rig.pass();
  ASSERT_TRUE(rig.publish("c", "b").ok());
  rig.now += rig.config.catch_up_timeout;
  rig.pass();
  EXPECT_EQ(rig.phase_of("c"), "failed");
  ASSERT_TRUE(rig.publish("d").ok());
  rig.passes(6);
  EXPECT_EQ(rig.phase_of("d"), "serving");
  EXPECT_EQ(rig.engine("never").weights, std::vector<Identity>{Identity("d")});
}

// With a ready fraction below 1 other deployments make each snapshot serve before this one has missed it for long.
TEST(Hotload, AReplicaThatTheVendorNeverBringsUpNeedsAFullSnapshotWhateverServesMeanwhile) {
  Rig rig(2, false);
  rig.serve("a");
  rig.add(Rig::deployment(), "never");
  rig.pass();
  EXPECT_EQ(full_wanted(rig.state, rig.fleets, rig.config, rig.now), "");
  rig.now += rig.config.catch_up_timeout;
  EXPECT_EQ(full_wanted(rig.state, rig.fleets, rig.config, rig.now),
            "never was not brought up to date within " + to_text(rig.config.catch_up_timeout));
  EXPECT_FALSE(rig.publish("b", "a").ok());
  ASSERT_TRUE(rig.publish("c").ok());
  rig.passes(6);
  EXPECT_EQ(rig.engine("never").weights, std::vector<Identity>{Identity("c")});
  EXPECT_EQ(full_wanted(rig.state, rig.fleets, rig.config, rig.now), "");
}

TEST(Hotload, ANewcomerWaitsForAFullSnapshotThatIsNearer) {
  Rig rig(1);
  rig.full_every = 4;
  rig.load_time = Duration{20'000};
  rig.pass();
  for (const auto& [name, parent] :
       std::vector<std::pair<std::string, std::string>>{{"a", ""}, {"b", "a"}, {"c", "b"}, {"d", "c"}}) {
    ASSERT_TRUE(rig.publish(name, parent).ok());
    rig.passes(24);
  }
  rig.add(Rig::deployment(), "late");
  rig.sent.clear();
  rig.pass();
  EXPECT_TRUE(rig.sent.empty()) << "three links of 20 s take longer than the snapshot that is due now";
  rig.passes(30);
  EXPECT_FALSE(rig.sent.empty()) << "but the trainer is late, and nobody waits for ever";
}

TEST(Hotload, AfterAResetOnlyAFullSnapshotIsTaken) {
  Rig rig(2);
  rig.serve("a");
  rig.take(reset(std::move(rig.state), rig.now));
  rig.passes(3);
  EXPECT_FALSE(rig.publish("b", "a").ok());
  ASSERT_TRUE(rig.publish("c").ok());
  rig.passes(6);
  EXPECT_EQ(rig.phase_of("c"), "serving");
}

TEST(Hotload, WhatTheChainAndItsOrdersCarryIsNeededAndNothingElse) {
  Rig rig(1);
  rig.pass();
  for (const auto& [name, parent] :
       std::vector<std::pair<std::string, std::string>>{{"a", ""}, {"b", "a"}, {"c", ""}, {"d", "c"}}) {
    ASSERT_TRUE(rig.publish(name, parent).ok());
    rig.passes(6);
  }
  EXPECT_EQ(needed(rig.state), (std::set<Identity>{Identity("c"), Identity("d")}));
  ASSERT_TRUE(rig.publish("e", "d", false).ok());
  EXPECT_TRUE(needed(rig.state).contains(Identity("e")));
}

}  // namespace
}  // namespace ebb::testing
