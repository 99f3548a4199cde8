// The control loop, observer and actuator with fakes under a virtual clock.
#include <gtest/gtest.h>

#include <algorithm>

#include "daemon/ports/spawn.hpp"
#include "daemon/runtime/control_loop.hpp"
#include "tests/support/fake_ports.hpp"
#include "tests/support/virtual_clock.hpp"

namespace ebb::testing {
namespace {

class Listener final : public LoopListener {
 public:
  void observed(const Observation& seen, Duration) override { last_seen = seen, ++observations; }
  void decided(const Observation&, const Decision& decision, Duration) override { decisions.push_back(decision); }
  void finished(const Finished& action) override { endings.push_back(action.outcome); }
  void state_is(const State& now) override { state = now; }
  void ledger_is(const std::string& problem) override { ledger.push_back(problem); }
  void progress(TimePoint) override { ++passes; }

  int observations = 0, passes = 0;
  Observation last_seen;
  std::vector<Decision> decisions;
  std::vector<Outcome> endings;
  std::vector<std::string> ledger;
  State state;
};

/// A loop on a small pool: 8 GPUs, tick 5 s, samples every second.
class Rig {
 public:
  explicit Rig(Config wanted = small_config()) : config(std::make_shared<Config>(std::move(wanted))) {
    auto made = std::make_shared<Wiring>();
    made->fleets[kFleet] = fleet;
    made->sources[kChat] = {source};
    wiring = made;
  }
  ~Rig() { io.drop(); }

  void start(State state = {}) {
    state.started_at = clock.now();
    spawn(io.get_executor(), loop.run(std::move(state)));
    run(0);
  }
  void run(double seconds) { clock.run_for(io, Duration{static_cast<std::int64_t>(seconds * 1000)}); }

  struct Io : boost::asio::io_context {
    void drop() { shutdown(); }  // frames refer to the members below
  };
  Io io;
  test::VirtualClock clock{kStart};
  World world;
  std::shared_ptr<Config> config;
  std::shared_ptr<WorldFleet> fleet = std::make_shared<WorldFleet>(world, clock);
  std::shared_ptr<SaidSource> source = std::make_shared<SaidSource>(clock);
  std::shared_ptr<const Wiring> wiring;
  MemoryLedger ledger;
  Listener listener;
  Observer observer{clock};
  Actuator actuator{io.get_executor(), clock};
  ControlLoop loop{io.get_executor(),
                   {clock, ledger, observer, actuator, listener, [this] { return config; }, [this] { return wiring; }}};
};

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
    seen.busy.insert(kRl);
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

TEST(Observer, AHangingSourceDoesNotHoldUpTheRound) {
  Rig rig;
  rig.start();
  rig.run(60);
  rig.source->hangs = true;
  rig.run(10);
  const int asked = rig.source->asked;
  rig.run(10);
  EXPECT_EQ(rig.source->asked, asked) << "one call at a time";
  EXPECT_FALSE(rig.listener.decisions.back().deployments.at(kChat).known);
  EXPECT_GT(rig.listener.observations, 70);
}

TEST(Observer, AHangingFleetIsUnknownAndNotAskedAgain) {
  Rig rig;
  rig.start();
  rig.run(60);
  rig.fleet->view_hangs = true;
  rig.run(10);
  EXPECT_TRUE(alarms(rig.listener.decisions.back(), "freshness.fleet"));
  const int views = rig.fleet->views;
  rig.run(10);
  EXPECT_EQ(rig.fleet->views, views);
  EXPECT_EQ(rig.world.count(kRl, true), 7) << "its last count is held";
}

TEST(Observer, AnUnreadableFleetIsMissingWithItsReason) {
  Rig rig;
  rig.fleet->view_error = Error{ErrorCode::denied, "no rights", false};
  rig.start();
  rig.run(2);
  const Reading<FleetSeen>& seen = rig.listener.last_seen.fleets.at(kFleet);
  ASSERT_NE(seen.missing(), nullptr);
  EXPECT_EQ(seen.missing()->why, "no rights");
}

TEST(Observer, AsksThoseThatOughtToReport) {
  Rig rig;
  rig.start();
  rig.run(60);
  ASSERT_EQ(rig.source->targets.size(), 1u);
  EXPECT_EQ(rig.source->targets[0].name.rfind("chat@p-", 0), 0u);
}

/// The adviser of `chat` in a rig, from its next round on.
std::shared_ptr<SaidAdvisor> advised(Rig& rig) {
  auto advisor = std::make_shared<SaidAdvisor>(rig.clock);
  auto wiring = std::make_shared<Wiring>(*rig.wiring);
  wiring->advisors[kChat] = advisor;
  rig.wiring = wiring;
  return advisor;
}

TEST(Observer, AsksTheAdviserAfterTheSourcesAndRecordsTheAnswer) {
  Rig rig;
  const auto advisor = advised(rig);
  rig.start();
  rig.run(60);
  ASSERT_FALSE(advisor->questions.empty());
  const AdviceQuestion& last = advisor->questions.back();
  EXPECT_EQ(last.deployment, kChat);
  EXPECT_EQ(last.signals.at("in_flight").value.value(), 8);
  EXPECT_EQ(last.ready, Replicas{1});
  EXPECT_EQ(last.max, Replicas{8});
  const Reading<Advice>& answer = rig.listener.last_seen.workloads.at(kChat).advice;
  ASSERT_TRUE(answer.known());
  EXPECT_EQ(answer.value(), (Advice{2, "said"}));
}

TEST(Observer, AHangingAdviserIsMissingAndTakesNothingElseWithIt) {
  Rig rig;
  const auto advisor = advised(rig);
  advisor->takes = Duration{3'600'000};
  rig.start();
  rig.run(60);
  const WorkloadSeen& chat = rig.listener.last_seen.workloads.at(kChat);
  ASSERT_FALSE(chat.advice.known());
  EXPECT_EQ(chat.advice.missing()->why, "no answer in time");
  EXPECT_TRUE(chat.signals.at("in_flight").value.known());
}

TEST(Observer, AHangingSourceLeavesTheAdviserItsTime) {
  Rig rig;
  const auto advisor = advised(rig);
  advisor->takes = Duration{150};
  rig.source->hangs = true;
  rig.start();
  EXPECT_TRUE(advisor->questions.empty());
  rig.run(0.9);
  ASSERT_EQ(advisor->asked_at.size(), 1u);
  EXPECT_EQ(advisor->asked_at[0], kStart + Duration{600}) << "of 800 ms";
  EXPECT_TRUE(rig.listener.last_seen.workloads.at(kChat).advice.known());
}

/// Seven RL replicas that serve and are asked what they work on.
class LoadsRig : public Rig {
 public:
  explicit LoadsRig(Config wanted = small_config()) : Rig(std::move(wanted)) {
    auto made = std::make_shared<Wiring>(*wiring);
    made->loads[kRl] = loads;
    wiring = made;
    start();
    run(300);
  }
  const std::shared_ptr<SaidLoads> loads = std::make_shared<SaidLoads>(clock);
  [[nodiscard]] const Reading<ReplicaLoads>& seen() const { return listener.last_seen.loads.at(kRl); }
};

TEST(Observer, AsksReplicasOfAJobOnceATickWhatTheyWorkOn) {
  LoadsRig rig;
  EXPECT_EQ(rig.loads->targets.size(), 7U);
  ASSERT_TRUE(rig.seen().known());
  EXPECT_EQ(rig.seen().value().size(), 7U);
  const int asked = rig.loads->asked;
  rig.run(20);
  EXPECT_EQ(rig.loads->asked, asked + 4) << "looks are taken every second, ticks every five";
}

TEST(Observer, WhateverTheTickTheLastAnswerOfAReplicaCounts) {
  Config slow = small_config();
  slow.tick = Duration{60'000};
  LoadsRig rig(slow);
  Config coarse = small_config();
  coarse.tick = coarse.sample_interval = Duration{10'000};
  coarse.stale_after = Duration{20'000};
  LoadsRig other(coarse);
  for (int second = 0; second < 120; ++second) {
    for (LoadsRig* one : {&rig, &other}) {
      one->run(1);
      const TimePoint taken_at = one->seen().sample()->taken_at;
      ASSERT_LT(one->listener.last_seen.at - taken_at, one->config->stale_after) << second;
    }
  }
}

TEST(Observer, OneBadRoundDoesNotUndoAGoodOneThatStillCounts) {
  LoadsRig rig;
  rig.loads->silent = true;
  rig.run(10);
  ASSERT_TRUE(rig.seen().known()) << "its last word is ten seconds old";
  rig.run(15);
  ASSERT_FALSE(rig.seen().known());
  EXPECT_EQ(rig.seen().missing()->why, "no answer");
}

TEST(Observer, WhomNobodyKnowsNobodyAsks) {
  LoadsRig rig;
  rig.fleet->view_error = Error{ErrorCode::unreachable, "gone", true};
  rig.run(6);
  const int asked = rig.loads->asked;
  rig.run(60);
  EXPECT_EQ(rig.loads->asked, asked);
  rig.fleet->view_error.reset();
  rig.run(2);
  EXPECT_EQ(rig.loads->asked, asked + 1) << "and at once when the fleet can be read";
  EXPECT_EQ(rig.loads->targets.size(), 7U);
}

TEST(Observer, ReplicasOfAJobThatHangHoldUpNothing) {
  LoadsRig rig;
  rig.loads->hangs = true;
  rig.run(10);
  const TimePoint last_word = rig.seen().sample()->taken_at;
  const int asked = rig.loads->asked, looks = rig.listener.observations;
  rig.run(60);
  EXPECT_EQ(rig.loads->asked, asked) << "one call at a time";
  EXPECT_GE(rig.listener.observations, looks + 59);
  EXPECT_TRUE(rig.listener.last_seen.workloads.at(kChat).signals.at("in_flight").value.known());
  EXPECT_EQ(rig.seen().sample()->taken_at, last_word) << "as old as it is";
}

TEST(Observer, OfTwoSourcesTheLargerValueCountsAndEitherMayBeMissing) {
  WorkloadSeen a, b;
  a.signals["in_flight"].value = Sample<double>{3, kStart};
  b.signals["in_flight"].value = Sample<double>{5, kStart};
  b.signals["kv_usage"].value = Sample<double>{0.5, kStart};
  EXPECT_EQ(merged(a, b).signals.at("in_flight").value.value(), 5);
  EXPECT_EQ(merged(b, a).signals.at("in_flight").value.value(), 5);
  EXPECT_EQ(merged(a, b).signals.at("kv_usage").value.value(), 0.5);
  a.signals["in_flight"] = {Missing{"down", kStart}, 4.0};
  EXPECT_EQ(merged(a, b).signals.at("in_flight").value.value(), 5);
  EXPECT_EQ(merged(a, b).signals.at("in_flight").at_least, 4.0);
}

// ---------------------------------------------------------------- actuator

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
