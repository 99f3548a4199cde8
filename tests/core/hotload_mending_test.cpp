// Loads that fail, end late or are lost, and replicas and daemons that restart in the middle of one.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/core/hotload_rig.hpp"

namespace ebb::testing {
namespace {

TEST(HotloadMending, ALoneReplicaThatFailsIsGatedAndCaughtUpWithTheChain) {
  Rig rig(4);
  rig.config.ready_fraction = 0.5;
  rig.serve("a");
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.pass();
  rig.fail("r0", "b");
  EXPECT_EQ(rig.replica("r0").phase, WeightsPhase::failed);
  EXPECT_FALSE(may_serve(rig.state.chain, rig.replica("r0"), rig.config, {}));
  rig.passes(16);
  EXPECT_TRUE(may_serve(rig.state.chain, rig.replica("r0"), rig.config, {}));
  EXPECT_EQ(rig.engine("r0").weights, (std::vector<Identity>{Identity("a"), Identity("b")}));
}

TEST(HotloadMending, AFailedReplicaThatWasOffTheListForAWhileStaysGated) {
  Rig rig(2);
  rig.serve("a");
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.pass();
  rig.fail("r0", "b");
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

TEST(HotloadMending, WhoServesAndShowsThatALoadOfOthersFailedOnItIsGated) {
  // A fleet that is told as a whole: who came up after the order was written down loads it like everybody else.
  Rig rig(2, false);
  rig.serve("a");
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.pass();
  ASSERT_EQ(rig.sent.size(), 2u);
  rig.add(Rig::deployment(), "r2").weights = {Identity("a")};
  rig.pass();
  ASSERT_EQ(rig.replica("r2").phase, WeightsPhase::serving);
  for (const char* name : {"r0", "r1", "r2"}) {
    rig.engine(name).applying.clear();
    rig.engine(name).failed = Identity("b");
  }
  rig.pass();
  const bool noted = std::any_of(rig.notes.begin(), rig.notes.end(), [](const LoadNote& note) {
    return note.replica == ReplicaId("r2") && note.what == std::string("failed");
  });
  EXPECT_TRUE(noted);
  EXPECT_FALSE(may_serve(rig.state.chain, rig.replica("r2"), rig.config, {}));
  rig.passes(6);
  EXPECT_EQ(path_of(rig.sent.back()), (Names{"a"}));
  EXPECT_TRUE(may_serve(rig.state.chain, rig.replica("r2"), rig.config, {})) << "mended by the full one";
}

TEST(HotloadMending, WhoKeepsItsOldWeightsServesThemAfterALoadOfOthersFailedOnIt) {
  Rig rig(1, false);
  rig.fleets[Rig::deployment()].keeps_old_on_error = true;
  rig.serve("a");
  rig.engine("r0").failed = Identity("b");
  rig.pass();
  EXPECT_EQ(rig.replica("r0").phase, WeightsPhase::serving);
}

TEST(HotloadMending, AnOrderWithoutAnAnswerIsSentAgainOnlyToWhoStandsWhereItBegins) {
  for (const char* shown : {"a", "b-under-another-name"}) {
    Rig rig(1);
    rig.serve("a");
    ASSERT_TRUE(rig.publish("b", "a").ok());
    rig.work();
    rig.poll();
    rig.decide();
    const LoadOrder order = rig.due().front();
    rig.take(
        answered(std::move(rig.state), order.deployment, order.id, LoadEvent::unanswered, "", rig.config, rig.now));
    rig.engine("r0").weights.back() = Identity(shown);
    rig.now += rig.config.settle;
    rig.poll();
    rig.decide();
    EXPECT_EQ(rig.due().size(), shown == std::string("a") ? 1u : 0u) << shown;
  }
}

TEST(HotloadMending, WhoIsMendedWithWhatItNamesAlreadyServesOnlyAfterwards) {
  Rig rig(2);
  rig.serve("a");
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

TEST(HotloadMending, WhoEndedItsLoadTooLateServesOnlyAfterItWasToldAgain) {
  Rig rig(1);
  rig.serve("a");
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

TEST(HotloadMending, AProcessThatTookTheOrderAfterARestartIsAtIt) {
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

TEST(HotloadMending, ALostAnswerIsLookedAtBeforeItIsSaidAgain) {
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

TEST(HotloadMending, WhatAnEarlierOrderLeftIsNoAnswerToOneThatIsNotOutYet) {
  Rig rig(2);
  rig.fleets[Rig::deployment()].replays_chain = true;
  rig.config.ready_fraction = 0.5;
  rig.serve("a");
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.pass();
  rig.fail("r0", "b");
  // The way to "b" again, all of it: what r0 shows is still of the first time.
  for (int i = 0; i < 40 && rig.due().empty(); ++i) {
    rig.now += rig.config.poll_interval;
    rig.work();
    rig.poll();
    rig.decide();
  }
  ASSERT_EQ(rig.due().size(), 1u);
  ASSERT_EQ(rig.due().front().target(), Identity("b"));
  rig.now += rig.config.poll_interval;
  rig.poll();
  rig.decide();
  EXPECT_EQ(rig.replica("r0").phase, WeightsPhase::loading);
  ASSERT_EQ(rig.due().size(), 1u) << "it is not taken back, and nobody is told two things at a time";
  rig.passes(6);
  EXPECT_EQ(rig.engine("r0").weights, (std::vector<Identity>{Identity("a"), Identity("b")}));
}

TEST(HotloadMending, AClockThatWentBackWhileTheDaemonWasDownHoldsNobodyUp) {
  Rig rig(1);
  rig.serve("a");
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.pass();
  rig.engine("r0").stubborn = true;
  rig.now -= std::chrono::hours(1);
  rig.take(recovered(std::move(rig.state), rig.now));
  rig.now += rig.config.load_timeout;
  rig.pass();
  EXPECT_EQ(rig.replica("r0").phase, WeightsPhase::failed) << "its time is over, and not an hour later";
  EXPECT_EQ(rig.phase_of("b"), "failed");
}

TEST(HotloadMending, ACrashDuringALoadRepeatsNothing) {
  Rig rig(2);
  rig.pass();
  ASSERT_TRUE(rig.publish("a").ok());
  rig.pass();
  rig.take(recovered(std::move(rig.state), rig.now));
  rig.passes(10);
  EXPECT_EQ(rig.sent.size(), 1u);
  EXPECT_EQ(rig.phase_of("a"), "serving");
}

TEST(HotloadMending, AfterACrashWhoNeverHeardOfATakenOrderIsToldAgainAndNobodyElse) {
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

TEST(HotloadMending, ARestartedReplicaLoadsItsWeightsAgain) {
  Rig rig(2);
  rig.serve("a");
  rig.engine("r1").weights.clear();
  ++rig.engine("r1").process;
  rig.pass();
  EXPECT_FALSE(may_serve(rig.state.chain, rig.replica("r1"), rig.config, {}));
  rig.passes(6);
  EXPECT_TRUE(may_serve(rig.state.chain, rig.replica("r1"), rig.config, {}));
}

TEST(HotloadMending, WhatMayHaveBeenPausedIsResumedBeforeTheNextOrder) {
  Rig rig(1);
  rig.fleets[Rig::deployment()].pauses = true;
  rig.serve("a");
  EXPECT_EQ(rig.phase_of("a"), "serving");
  EXPECT_EQ(rig.state.deployments[Rig::deployment()].paused.size(), 1u);
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.passes(3);
  EXPECT_EQ(rig.sent.size(), 1u);
  rig.state.deployments[Rig::deployment()].paused.clear();
  rig.passes(6);
  EXPECT_EQ(rig.phase_of("b"), "serving");
}

TEST(HotloadMending, AReplicaThatKeepsItsOldWeightsOnErrorGoesOnServingThem) {
  Rig rig(2);
  rig.fleets[Rig::deployment()].keeps_old_on_error = true;
  rig.serve("a");
  rig.bad.insert(Identity("b"));
  ASSERT_TRUE(rig.publish("b", "a").ok());
  rig.passes(6);
  EXPECT_EQ(rig.phase_of("b"), "failed");
  rig.passes(10);
  EXPECT_EQ(rig.sent.size(), 2u) << "there is nothing to mend until the next full one";
  EXPECT_TRUE(may_serve(rig.state.chain, rig.replica("r0"), rig.config, rig.fleets[Rig::deployment()]));
}

TEST(HotloadMending, FailedReplicasWaitForTheFullSnapshotThatIsDueAnyMoment) {
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

}  // namespace
}  // namespace ebb::testing
