#include <gtest/gtest.h>

#include "tests/core/hotload_rig.hpp"

namespace ebb::testing {
namespace {

std::vector<std::string> path_of(const LoadOrder& order) {
  std::vector<std::string> out;
  for (const Snapshot& snapshot : order.path) out.push_back(snapshot.identity().value);
  return out;
}
using Names = std::vector<std::string>;

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
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(6);
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
    rig.pass();
    ASSERT_TRUE(rig.publish("a").ok());
    rig.passes(6);
    ASSERT_TRUE(rig.publish("b", "a").ok());
    rig.pass();
    rig.engine("r0").applying.clear();
    rig.engine("r0").failed = Identity("b");
    rig.passes(6);
    EXPECT_EQ(rig.phase_of("b"), fraction == 1.0 ? "failed" : "serving");
    EXPECT_EQ(rig.state.chain.why_full.empty(), fraction != 1.0);
  }
}

TEST(Hotload, ALoneReplicaThatFailsIsGatedAndCaughtUpWithTheChain) {
  Rig rig(4);
  rig.config.ready_fraction = 0.5;
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(6);
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.pass();
  rig.engine("r0").applying.clear();
  rig.engine("r0").failed = Identity("b");
  rig.pass();
  EXPECT_EQ(rig.replica("r0").phase, WeightsPhase::failed);
  EXPECT_FALSE(may_serve(rig.state.chain, rig.replica("r0"), rig.config, {}));
  rig.passes(16);
  EXPECT_TRUE(may_serve(rig.state.chain, rig.replica("r0"), rig.config, {}));
  EXPECT_EQ(rig.engine("r0").weights, (std::vector<Identity>{Identity("a"), Identity("b")}));
}

TEST(Hotload, AFailedReplicaThatWasOffTheListForAWhileStaysGated) {
  Rig rig(2);
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(6);
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.pass();
  rig.engine("r0").applying.clear();
  rig.engine("r0").failed = Identity("b");
  rig.pass();
  ASSERT_EQ(rig.replica("r0").phase, WeightsPhase::failed);
  rig.engine("r0").listed = false;
  rig.pass();
  rig.now += rig.config.settle;
  rig.pass();
  ASSERT_FALSE(rig.state.deployments[Rig::deployment()].replicas.contains(ReplicaId("r0")));
  rig.engine("r0").listed = true;
  rig.poll();
  rig.decide();
  EXPECT_EQ(rig.replica("r0").loaded, Identity("a"));
  EXPECT_FALSE(may_serve(rig.state.chain, rig.replica("r0"), rig.config, {}));
  rig.passes(20);
  EXPECT_TRUE(may_serve(rig.state.chain, rig.replica("r0"), rig.config, {})) << "mended by a full one";
}

TEST(Hotload, WhoIsMendedWithWhatItNamesAlreadyServesOnlyAfterwards) {
  Rig rig(2);
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(6);
  rig.bad.insert(Identity("b"));
  ASSERT_TRUE(rig.publish("b", "a").ok());
  const auto orders_a_again = [&] { return rig.sent.size() == 2 && !rig.due().empty(); };
  for (int i = 0; i < 40 && !orders_a_again(); ++i) {
    rig.send();
    rig.now += rig.config.poll_interval;
    rig.work();
    rig.poll();
    rig.decide();
  }
  ASSERT_TRUE(orders_a_again());
  ASSERT_EQ(rig.due().front().target(), Identity("a"));
  // Its engines stop for it, and nothing is sent yet.
  rig.poll();
  rig.decide();
  EXPECT_EQ(rig.replica("r0").phase, WeightsPhase::loading);
  EXPECT_FALSE(may_serve(rig.state.chain, rig.replica("r0"), rig.config, {}));
  rig.passes(6);
  EXPECT_TRUE(may_serve(rig.state.chain, rig.replica("r0"), rig.config, {}));
}

TEST(Hotload, WhoEndedItsLoadTooLateServesOnlyAfterItWasToldAgain) {
  Rig rig(1);
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(6);
  ASSERT_TRUE(rig.publish("b").ok());
  rig.pass();
  rig.engine("r0").stubborn = true;
  rig.now += rig.config.load_timeout;
  rig.pass();
  ASSERT_EQ(rig.replica("r0").phase, WeightsPhase::failed);
  rig.engine("r0").applying.clear();
  rig.engine("r0").weights = {Identity("a")};
  rig.engine("r0").stubborn = false;
  for (int i = 0; i < 60 && rig.due().empty(); ++i) {
    rig.poll();
    rig.decide();
    rig.now += rig.config.poll_interval;
  }
  // It is on its way, and the engine names already what it is told to load.
  ASSERT_EQ(rig.due().size(), 1u);
  ASSERT_EQ(rig.due().front().target(), Identity("a"));
  rig.poll();
  rig.decide();
  EXPECT_EQ(rig.replica("r0").phase, WeightsPhase::loading);
  ASSERT_EQ(rig.due().size(), 1u) << "it is still to be sent";
  // A page that was asked for before the order was taken is of before.
  rig.send();
  rig.decide();
  EXPECT_EQ(rig.replica("r0").phase, WeightsPhase::loading);
  rig.passes(6);
  EXPECT_EQ(rig.replica("r0").phase, WeightsPhase::serving);
}

TEST(Hotload, AProcessThatTookTheOrderAfterARestartIsAtIt) {
  Rig rig(2);
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.pass();
  ++rig.engine("r1").process;
  rig.poll();
  rig.decide();
  EXPECT_EQ(rig.replica("r1").phase, WeightsPhase::loading);
  rig.engine("r0").applying.clear();
  rig.engine("r0").weights = {Identity("a")};
  rig.poll();
  rig.decide();
  EXPECT_TRUE(is_loading(rig.state.deployments[Rig::deployment()])) << "growth waits for it";
  rig.passes(6);
  EXPECT_EQ(rig.replica("r1").phase, WeightsPhase::serving);
}

TEST(Hotload, AnErrorAboutAnEarlierTargetIsIgnored) {
  Rig rig(1);
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(6);
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
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(6);
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
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(6);
  rig.config.max_unavailable = 0.25;
  rig.sent.clear();
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.passes(30);
  EXPECT_EQ(rig.phase_of("b"), "serving");
  EXPECT_EQ(rig.sent.size(), 4u);
  for (const LoadOrder& order : rig.sent) EXPECT_EQ(order.replicas.size(), 2u);
}

TEST(Hotload, ALostAnswerIsLookedAtBeforeItIsSaidAgain) {
  for (const bool arrived : {true, false}) {
    Rig rig(1);
    rig.pass();
    ASSERT_TRUE(rig.publish("a").ok());
    rig.poll();
    rig.decide();
    const LoadOrder order = rig.state.deployments[Rig::deployment()].load.order;
    if (arrived) rig.apply(order);
    rig.take(answered(std::move(rig.state), Rig::deployment(), order.id, LoadEvent::unanswered, "timeout", rig.config,
                      rig.now));
    rig.passes(20);
    EXPECT_EQ(rig.sent.size(), arrived ? 0u : 1u);
    EXPECT_EQ(rig.phase_of("a"), "serving");
  }
}

TEST(Hotload, ACrashDuringALoadRepeatsNothing) {
  Rig rig(2);
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.pass();
  rig.take(recovered(std::move(rig.state), rig.now));
  rig.passes(10);
  EXPECT_EQ(rig.sent.size(), 1u);
  EXPECT_EQ(rig.phase_of("a"), "serving");
}

TEST(Hotload, AfterACrashWhoNeverHeardOfATakenOrderIsToldAgainAndNobodyElse) {
  Rig rig(3);
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(10);
  rig.fleets[Rig::deployment()].pauses = true;
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.poll();
  rig.decide();
  const std::vector<LoadOrder> due = rig.due();
  ASSERT_EQ(due.size(), 1u);
  ASSERT_EQ(due[0].replicas.size(), 3u);
  LoadOrder heard = due[0];
  heard.replicas = {ReplicaId("r2")};
  rig.apply(heard);
  rig.take(answered(std::move(rig.state), due[0].deployment, due[0].id, LoadEvent::accepted, "", rig.config, rig.now));
  rig.take(recovered(std::move(rig.state), rig.now));
  rig.state.deployments.at(Rig::deployment()).paused.clear();  // they were resumed
  rig.sent.clear();
  rig.passes(5);
  EXPECT_TRUE(rig.sent.empty()) << "they have `settle` to show that they heard of it";
  EXPECT_NE(rig.phase_of("b"), "serving") << "two of three do not have it";
  rig.passes(30);
  ASSERT_EQ(rig.sent.size(), 1u);
  EXPECT_EQ(rig.sent[0].replicas, (std::vector<ReplicaId>{ReplicaId("r0"), ReplicaId("r1")}));
  EXPECT_EQ(rig.phase_of("b"), "serving");
  for (const char* name : {"r0", "r1", "r2"}) {
    EXPECT_EQ(rig.engine(name).weights, (std::vector<Identity>{Identity("a"), Identity("b")})) << name;
  }
}

TEST(Hotload, ARefusedSnapshotFailsAtOnceAndTheOldWeightsGoOnServing) {
  Rig rig(2);
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(6);
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
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(6);
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

TEST(Hotload, ARestartedReplicaLoadsItsWeightsAgain) {
  Rig rig(2);
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(6);
  rig.engine("r1").weights.clear();
  ++rig.engine("r1").process;
  rig.pass();
  EXPECT_FALSE(may_serve(rig.state.chain, rig.replica("r1"), rig.config, {}));
  rig.passes(6);
  EXPECT_TRUE(may_serve(rig.state.chain, rig.replica("r1"), rig.config, {}));
}

TEST(Hotload, AfterAResetOnlyAFullSnapshotIsTaken) {
  Rig rig(2);
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(6);
  rig.take(reset(std::move(rig.state), rig.now));
  rig.passes(3);
  EXPECT_FALSE(rig.publish("b", "a").ok());
  ASSERT_TRUE(rig.publish("c").ok());
  rig.passes(6);
  EXPECT_EQ(rig.phase_of("c"), "serving");
}

TEST(Hotload, WhatMayHaveBeenPausedIsResumedBeforeTheNextOrder) {
  Rig rig(1);
  rig.fleets[Rig::deployment()].pauses = true;
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(6);
  EXPECT_EQ(rig.phase_of("a"), "serving");
  EXPECT_EQ(rig.state.deployments[Rig::deployment()].paused.size(), 1u);
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.passes(3);
  EXPECT_EQ(rig.sent.size(), 1u);
  rig.state.deployments[Rig::deployment()].paused.clear();
  rig.passes(6);
  EXPECT_EQ(rig.phase_of("b"), "serving");
}

TEST(Hotload, AReplicaThatKeepsItsOldWeightsOnErrorGoesOnServingThem) {
  Rig rig(2);
  rig.fleets[Rig::deployment()].keeps_old_on_error = true;
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(6);
  rig.bad.insert(Identity("b"));
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.passes(6);
  EXPECT_EQ(rig.phase_of("b"), "failed");
  rig.passes(10);
  EXPECT_EQ(rig.sent.size(), 2u) << "there is nothing to mend until the next full one";
  EXPECT_TRUE(may_serve(rig.state.chain, rig.replica("r0"), rig.config, rig.fleets[Rig::deployment()]));
}

TEST(Hotload, FailedReplicasWaitForTheFullSnapshotThatIsDueAnyMoment) {
  Rig rig(2);
  rig.load_time = Duration{20'000};
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.passes(24);
  rig.bad.insert(Identity("b"));
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.passes(22);
  ASSERT_EQ(rig.phase_of("b"), "failed");
  EXPECT_EQ(rig.sent.size(), 2u) << "a full load of 20 s now would only hold up the one that comes in two";
  ASSERT_TRUE(rig.publish("c").ok());
  rig.passes(24);
  EXPECT_EQ(rig.phase_of("c"), "serving");
  EXPECT_EQ(rig.sent.size(), 3u);
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
