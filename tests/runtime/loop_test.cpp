// The control loop and actuator with fakes under a virtual clock.
#include <algorithm>
#include <optional>

#include "daemon/runtime/recovery.hpp"
#include "tests/runtime/loop_rig.hpp"

namespace ebb::testing {
namespace {

TEST(ControlLoop, SettlesAndThenPlansNothing) {
  Rig rig;
  rig.start();
  rig.run(60);
  EXPECT_EQ(rig.world.count(kChat, true), 1);
  EXPECT_EQ(rig.world.count(kRl, true), 7);
  const std::size_t applied = rig.fleet->applied.size();
  rig.run(60);
  EXPECT_EQ(rig.fleet->applied.size(), applied);
}

TEST(ControlLoop, DecidesEveryTickAndSamplesInBetween) {
  Rig rig;
  rig.start();
  rig.run(100);
  EXPECT_NEAR(rig.listener.observations, 100, 2);
  EXPECT_NEAR(static_cast<int>(rig.ledger.recorded.size()), 21, 1);
}

TEST(ControlLoop, ASurgeDoesNotWaitForTheTick) {
  Rig rig;
  rig.start();
  rig.run(61);  // a second after a tick
  ASSERT_EQ(rig.world.count(kRl, true), 7);
  rig.source->in_flight = 64;
  rig.run(1);
  EXPECT_EQ(rig.world.count(kRl, true), 0) << "told to leave at the next sample";
  EXPECT_TRUE(rig.ledger.recorded.back().early);
}

TEST(ControlLoop, WithTheLedgerDownOnlyShrinkingGoesOut) {
  Rig rig;
  rig.start();
  rig.run(60);
  rig.ledger.next_error = Error{ErrorCode::exhausted, "disk full", false};
  rig.source->in_flight = 64;
  rig.run(6);
  EXPECT_EQ(rig.world.count(kRl, true), 0) << "the reclaim went out";
  rig.run(30);
  EXPECT_EQ(rig.world.count(kChat, false), 1) << "no start without a record";
  EXPECT_EQ(rig.listener.ledger.front(), "disk full");
  rig.ledger.next_error.reset();
  rig.run(60);
  EXPECT_EQ(rig.world.count(kChat, true), 8) << "it goes on where it stood";
  EXPECT_EQ(rig.listener.ledger.back(), "");
}

// A restart takes up the newest decision's state and adds the outcomes recorded after it: one that it knew already
// would count twice.
TEST(ControlLoop, NoDecisionIsRecordedThatKnowsAnOutcomeTheLedgerDoesNot) {
  Rig rig;
  rig.fleet->apply_errors = {Error{ErrorCode::denied, "no rights", false}};
  rig.ledger.outcome_error = Error{ErrorCode::exhausted, "disk full", false};
  rig.start();
  rig.run(20);
  ASSERT_EQ(rig.listener.state.deployments.at(kChat).failures, 1);
  const auto knows = [](const Decision& decision) {
    const auto memory = decision.next.deployments.find(kChat);
    return memory != decision.next.deployments.end() && memory->second.failures > 0;
  };
  EXPECT_EQ(std::ranges::count_if(rig.ledger.recorded, knows), 0);
  ASSERT_FALSE(rig.listener.ledger.empty());
  EXPECT_EQ(rig.listener.ledger, std::vector<std::string>(rig.listener.ledger.size(), "disk full"));

  rig.ledger.outcome_error.reset();
  rig.run(20);
  EXPECT_GT(std::ranges::count_if(rig.ledger.recorded, knows), 0) << "it goes on";
  ASSERT_FALSE(rig.ledger.outcomes.empty());
  EXPECT_EQ(rig.ledger.outcomes.front().kind, OutcomeKind::failed);
}

TEST(ControlLoop, EveryActionWasRecordedBeforeItWasApplied) {
  Rig rig;
  rig.start();
  for (int i = 0; i < 30; ++i) {
    rig.source->in_flight = (i * 29) % 70;
    rig.run(7);
  }
  std::set<ActionId> recorded;
  for (const Decision& decision : rig.ledger.recorded) {
    for (const Action& action : decision.plan.actions) EXPECT_TRUE(recorded.insert(action.id).second) << "an id twice";
  }
  EXPECT_GT(recorded.size(), 10u);
  for (const Action& action : rig.fleet->applied) EXPECT_TRUE(recorded.contains(action.id)) << action.id.value;
  EXPECT_GE(rig.ledger.outcomes.size(), recorded.size() - 4);
}

TEST(ControlLoop, AStartIsDroppedWhenALoadBeganWhileItWasDecided) {
  Rig rig;
  // Each time a decision has been recorded, the coordinator has taken an order meanwhile.
  std::size_t known = 0;
  const auto weights = [&](Observation& seen) {
    if (rig.ledger.recorded.size() == known) return;
    known = rig.ledger.recorded.size();
    seen.loading.insert(kRl);
  };
  ControlLoop loop{rig.io.get_executor(),
                   {rig.clock, rig.ledger, rig.observer, rig.actuator, rig.listener, [&rig] { return rig.config; },
                    [&rig] { return rig.wiring; }, weights}};
  State state;
  state.started_at = rig.clock.now();
  spawn(rig.io.get_executor(), loop.run(std::move(state)));
  rig.run(60);
  EXPECT_EQ(rig.world.count(kRl, false), 0);
  EXPECT_EQ(rig.world.count(kChat, true), 1) << "nobody else waits";
  int dropped = 0;
  for (const Outcome& outcome : rig.listener.endings) {
    dropped += outcome.kind == OutcomeKind::dropped && outcome.not_started.size() == 7 ? 1 : 0;
  }
  EXPECT_GT(dropped, 0) << "it was wanted, and given up for the load";
  // Only the newest decision's own are still in the state: what became of them is folded in before the next one.
  const auto& leases = rig.listener.state.leases;
  EXPECT_LE(std::count_if(leases.begin(), leases.end(), [](const auto& l) { return l.second.deployment == kRl; }), 7);
  rig.io.drop();
}

TEST(ControlLoop, AnEventTakesEffectAtOnce) {
  Rig rig;
  rig.start();
  rig.run(61);
  Event event;
  event.set = Override{};
  event.set->id = OverrideId("o");
  event.set->kind = OverrideKind::drain_all;
  event.set->expires_at = kStart + Duration{3'600'000};
  rig.loop.tell(event);
  rig.run(0.1);
  EXPECT_EQ(rig.world.count(kRl, true), 0);
}

TEST(ControlLoop, RenewsTheLeasesOfWhatItKeepsAndNotOfWhatLeaves) {
  Rig rig;
  rig.world.drain = Duration{60'000};
  rig.start();
  rig.run(60);
  EXPECT_EQ(rig.fleet->renewed.size(), 8u);
  rig.source->in_flight = 32;
  rig.run(15);
  EXPECT_EQ(rig.fleet->renewed.size(), 5u) << "one chat and four RL replicas";
}

TEST(ControlLoop, WhatIsGoneIsForgottenOnceItWasBooked) {
  Rig rig;
  rig.start();
  rig.run(60);
  rig.world.crash(rig.world.bodies().rbegin()->first, rig.clock.now());
  rig.run(7);
  EXPECT_EQ(rig.fleet->forgotten.size(), 1u);
}

TEST(ControlLoop, AdviseRecordsAndTouchesNothing) {
  Config config = small_config();
  config.mode = Mode::advise;
  Rig rig(config);
  rig.start();
  rig.run(30);
  EXPECT_TRUE(rig.fleet->applied.empty());
  ASSERT_FALSE(rig.ledger.outcomes.empty());
  for (const Outcome& outcome : rig.ledger.outcomes) EXPECT_EQ(outcome.kind, OutcomeKind::advised);
}

TEST(ControlLoop, StopsAfterThePassAndLeavesReplicasRunning) {
  Rig rig;
  rig.start();
  rig.run(60);
  rig.loop.stop();
  rig.run(30);
  const int passes = rig.listener.passes;
  rig.run(30);
  EXPECT_EQ(rig.listener.passes, passes);
  EXPECT_EQ(rig.world.count(kRl, true), 7);
}

// ---------------------------------------------------------------- observer

TEST(Actuator, TriesAgainWhatMayBeTriedAgain) {
  Config config = small_config();
  config.jobs[0].demand = DemandKind::api;  // nothing but the one start of production
  Rig rig(config);
  rig.fleet->apply_errors = {Error{ErrorCode::timeout, "slow", true}, Error{ErrorCode::timeout, "slow", true}};
  rig.start();
  rig.run(3);
  ASSERT_FALSE(rig.listener.endings.empty());
  EXPECT_EQ(rig.listener.endings[0].kind, OutcomeKind::done);
  EXPECT_EQ(rig.listener.endings[0].attempts, 3);
}

TEST(Actuator, GivesUpAtOnceOnWhatCannotSucceed) {
  Rig rig;
  rig.fleet->apply_errors = {Error{ErrorCode::denied, "no rights", false}};
  rig.start();
  rig.run(2);
  ASSERT_FALSE(rig.listener.endings.empty());
  EXPECT_EQ(rig.listener.endings[0].kind, OutcomeKind::failed);
  EXPECT_EQ(rig.listener.endings[0].attempts, 1);
  EXPECT_EQ(rig.listener.endings[0].detail, "no rights");
}

TEST(Actuator, AStartThatIsUnderWayIsNotRepeated) {
  Rig rig;
  rig.fleet->apply_takes = Duration{12'000};
  rig.start();
  rig.run(11);
  int starts = 0;
  for (const Decision& decision : rig.ledger.recorded) starts += count_of(decision, ActionKind::start, kChat) > 0;
  EXPECT_EQ(starts, 1);
}

TEST(Actuator, AStartThatIsAnsweredDuringAnObservationIsNotRepeated) {
  // Observations wait for a slow source after the fleet gave its word: the answer falls into one, at any point of it.
  for (int phase = 0; phase < 5'000; phase += 250) {
    Rig rig;
    rig.fleet->apply_takes = Duration{40'000 + phase};
    rig.source->takes = Duration{400};
    rig.start();
    rig.run(60);
    int starts = 0;
    for (const Decision& decision : rig.ledger.recorded) starts += count_of(decision, ActionKind::start, kChat) > 0;
    EXPECT_EQ(starts, 1) << "answered after " << 40'000 + phase << " ms";
  }
}

TEST(Actuator, AReclaimSupersedesAStartThatIsStillBeingTried) {
  Rig rig;
  rig.start();
  rig.run(60);
  // RL may grow by one, but the fleet is slow to say no; meanwhile production needs everything.
  rig.world.crash(rig.world.bodies().rbegin()->first, rig.clock.now());
  rig.run(30);
  rig.fleet->apply_errors = {Error{ErrorCode::timeout, "slow", true}};
  rig.world.crash(rig.world.bodies().rbegin()->first, rig.clock.now());
  rig.run(30);
  rig.source->in_flight = 64;
  rig.run(30);
  EXPECT_EQ(rig.world.count(kRl, false), 0);
  EXPECT_EQ(rig.world.count(kChat, true), 8);
}

awaitable<void> resumed(Rig& rig, std::optional<Result<Resumed>>& out) {
  ResumeParts parts{rig.clock, rig.ledger, rig.observer, rig.config, rig.wiring, "test"};
  out = co_await resume(std::move(parts));
}

TEST(Resume, WhatTheLedgerDoesNotTakeIsRecordedBeforeTheFirstDecision) {
  Rig rig;
  ActionRow row;
  row.action.id = ActionId("7/rl@pool/start");
  row.action.kind = ActionKind::start;
  row.action.fleet = kFleet;
  row.action.replicas = {ReplicaId("never-seen")};
  rig.ledger.left.unfinished = {row};
  rig.ledger.outcome_error = Error{ErrorCode::exhausted, "disk full", false};
  std::optional<Result<Resumed>> left;
  spawn(rig.io.get_executor(), resumed(rig, left));
  rig.run(0);
  ASSERT_TRUE(left && left->ok());
  ASSERT_EQ((*left)->owed.size(), 1u);
  spawn(rig.io.get_executor(), rig.loop.run((*left)->state, (*left)->owed));
  rig.run(20);
  EXPECT_TRUE(rig.ledger.recorded.empty());

  rig.ledger.outcome_error.reset();
  rig.run(20);
  EXPECT_FALSE(rig.ledger.recorded.empty());
  ASSERT_FALSE(rig.ledger.outcomes.empty());
  EXPECT_EQ(rig.ledger.outcomes.front().action, row.action.id);
}

TEST(Closed, AStartThatNoFleetShowsDidNotHappen) {
  ActionRow row;
  row.action.kind = ActionKind::start;
  row.action.fleet = kFleet;
  row.action.replicas = {ReplicaId("a"), ReplicaId("b")};
  const Observation seen = Seen(1).replica("a", kRl).get();
  const auto endings = closed({row}, seen, at_second(1));
  ASSERT_EQ(endings.size(), 1u);
  EXPECT_EQ(endings[0].outcome.kind, OutcomeKind::unknown);
  EXPECT_EQ(endings[0].outcome.not_started, std::vector<ReplicaId>{ReplicaId("b")});
}

TEST(Closed, WithTheFleetDarkNothingIsConcluded) {
  ActionRow row;
  row.action.kind = ActionKind::start;
  row.action.fleet = kFleet;
  row.action.replicas = {ReplicaId("a")};
  const auto endings = closed({row}, Seen(1).dark("unreadable").get(), at_second(1));
  EXPECT_TRUE(endings.at(0).outcome.not_started.empty());
}

TEST(OnlyShrinking, CutsStartsAndTheirLeases) {
  const Decision grow = decide_on(Seen(100).chat(8).replica("c1", kChat), small_config());
  ASSERT_EQ(count_of(grow, ActionKind::start, kRl), 7);
  const Decision cut = only_shrinking(grow);
  EXPECT_TRUE(cut.plan.actions.empty());
  EXPECT_EQ(cut.next.leases.size(), 1u);
  EXPECT_TRUE(alarms(cut, "check.cut"));
}

}  // namespace
}  // namespace ebb::testing
