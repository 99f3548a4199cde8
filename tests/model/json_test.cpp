#include "daemon/model/json.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "daemon/model/json_text.hpp"
#include "tests/support/builders.hpp"

namespace ebb::testing {
namespace {

using nlohmann::json;

Decision busy_decision() {
  Seen seen(100);
  seen.chat(24).replica("c1", kChat).replicas("r", kRl, 7);
  State state;
  state.overrides[OverrideId("o")] = {OverrideId("o"), OverrideKind::pin, "rl",          {3}, "why",
                                      "ann",           at_second(1),      at_second(999)};
  state.demand[JobId("rl")] = {2.5, std::nullopt, at_second(1), at_second(999)};
  return decide_on(seen, small_config(), state);
}

TEST(Json, AStateSurvivesTheWayThere) {
  const State state = busy_decision().next;
  const auto back = state_from(json::parse(to_json(state).dump()));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(*back, state);
}

TEST(Json, AnObservationSurvivesTheWayThere) {
  Seen seen(100);
  seen.chat_missing("NaN").signal(kChat, "kv_usage", 0.4).replicas("r", kRl, 2, ReplicaPhase::draining).unusable(1);
  seen.workload().signals["in_flight"].at_least = 7.5;
  seen.workload().asked = Sample<Replicas>{{4}, seen.now()};
  seen.raw().demand[JobId("rl")] = Missing{"no data", seen.now()};
  seen.raw().loads[kRl] = Sample<ReplicaLoads>{{{ReplicaId("r-1"), 3}, {ReplicaId("r-2"), 0.5}}, seen.now()};
  seen.raw().loads[DeploymentId("other@p")] = Missing{"no answer in time", seen.now()};
  seen.raw().busy.insert(kRl);
  seen.raw().loading.insert(kRl);
  const Observation before = seen.get();
  const auto back = observation_from(json::parse(to_json(before).dump()));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(*back, before);
}

TEST(Json, AdviceSurvivesTheWayThereAndMayBeAbsent) {
  Seen seen(100);
  for (const Reading<Advice>& advice : {Reading<Advice>(Sample<Advice>{{2.5, "busy"}, seen.now()}),
                                        Reading<Advice>(Missing{"no answer", seen.now()}), Reading<Advice>()}) {
    seen.workload().advice = advice;
    const json written = to_json(seen.get());
    EXPECT_EQ(written.at("workloads").at("chat@p").contains("advice"), advice != Reading<Advice>());
    const auto back = observation_from(json::parse(written.dump()));
    ASSERT_TRUE(back.ok()) << back.error().what;
    EXPECT_EQ(back->workloads.at(kChat).advice, advice);
  }
}

TEST(Json, AnExplanationKeepsItsTypes) {
  const Explanation why = busy_decision().why;
  const auto back = explanation_from(json::parse(to_json(why).dump()));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(*back, why);
}

TEST(Json, ARowOfADecisionIsItsDocumentWithoutSentences) {
  Decision odd = busy_decision();
  odd.why.push_back({Stage::diff, "diff.odd\"", "\n\xff", {}});
  odd.why.push_back({Stage::check,
                     "check.all",
                     "",
                     {{"a\\", std::int64_t{-3}},
                      {"b", 2.0},
                      {"c", std::nan("")},
                      {"d", std::string("\xc3 \"x\"")},
                      {"e", Duration{-5}},
                      {"f", at_second(7)}}});
  for (const Decision& decision : {Decision(), busy_decision(), odd}) {
    json document = to_json(decision);
    for (json& step : document.at("why")) step.erase("text");
    EXPECT_EQ(decision_row(decision), json_text(document));
  }
}

TEST(Json, APlanSurvivesTheWayThere) {
  const Plan plan = busy_decision().plan;
  ASSERT_FALSE(plan.actions.empty());
  const auto back = plan_from(json::parse(to_json(plan).dump()));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, plan);
}

TEST(Json, AnEventSurvivesTheWayThere) {
  Event event;
  event.seq = 7;
  event.at = at_second(3);
  event.kind = "override_set";
  event.subject = "rl";
  event.set = busy_decision().next.overrides.begin()->second;
  event.cleared = OverrideId("x");
  event.demand = Demand{std::nullopt, 64.0, at_second(1), at_second(2)};
  const auto back = event_from(json::parse(to_json(event).dump()));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(to_json(*back), to_json(event));
}

TEST(Json, EveryMissingOrWrongFieldIsNamed) {
  const json good = to_json(busy_decision().next);
  for (const auto& [name, value] : good.items()) {
    json without = good;
    without.erase(name);
    const auto result = state_from(without);
    ASSERT_FALSE(result.ok()) << name;
    EXPECT_NE(result.error().what.find(name), std::string::npos) << result.error().what;
    json wrong = good;
    wrong[name] = json::array({true});
    EXPECT_FALSE(state_from(wrong).ok()) << name;
  }
}

TEST(Json, NumbersAreReadChecked) {
  json state = to_json(State{});
  for (const json& bad : {json(-1), json(3.7), json("3"), json(true), json(18446744073709551615ull)}) {
    state["tick"] = bad;
    EXPECT_FALSE(state_from(state).ok()) << bad;
  }
}

}  // namespace
}  // namespace ebb::testing
