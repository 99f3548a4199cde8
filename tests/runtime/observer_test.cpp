// The observer with fakes under a virtual clock: who is asked, when, and what becomes of an answer.
#include <limits>

#include "daemon/model/json.hpp"
#include "tests/runtime/loop_rig.hpp"

namespace ebb::testing {
namespace {

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

TEST(Observer, WhatIsNoNumberIsMissingAndHidesNoOtherSource) {
  Rig rig;
  rig.start();
  rig.run(60);
  rig.source->in_flight = std::numeric_limits<double>::infinity();
  rig.run(10);
  const Reading<double>& odd = rig.listener.last_seen.workloads.at(kChat).signals.at("in_flight").value;
  ASSERT_NE(odd.missing(), nullptr);
  EXPECT_EQ(odd.missing()->why, "not a number");
  const Result<Observation> recorded = observation_from(to_json(rig.listener.last_seen));
  ASSERT_TRUE(recorded.ok()) << recorded.error().what;
  EXPECT_EQ(*recorded, rig.listener.last_seen);
  auto wiring = std::make_shared<Wiring>(*rig.wiring);
  wiring->sources[kChat].push_back(std::make_shared<SaidSource>(rig.clock));
  rig.wiring = wiring;
  rig.run(10);
  EXPECT_EQ(rig.listener.last_seen.workloads.at(kChat).signals.at("in_flight").value.value(), 8);
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

}  // namespace
}  // namespace ebb::testing
