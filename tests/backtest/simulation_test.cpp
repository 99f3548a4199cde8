#include "daemon/backtest/simulation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/backtest/backtest.hpp"
#include "tests/backtest/made.hpp"

namespace ebb::backtest {
namespace {

RunResult run(const Config& config, const Trace& trace) {
  const auto world = world_of(config, trace);
  EXPECT_TRUE(world.ok()) << (world.ok() ? "" : world.error().what);
  std::atomic<std::int64_t> progress{0};
  return simulated(*world, {"own", world->service().capacity}, progress);
}

TEST(Percentile99, IsTheNearestRank) {
  for (const auto& [count, rank] : {std::pair{1, 1}, {2, 2}, {50, 50}, {99, 99}, {100, 99}, {101, 100}, {150, 149}}) {
    std::vector<double> ascending;
    for (int i = 1; i <= count; ++i) ascending.push_back(i);
    EXPECT_EQ(percentile_99(ascending), rank) << "of " << count;
  }
}

TEST(Page, KeepsSpikesOfEveryCurveAndAnyName) {
  Comparison comparison;
  comparison.world = *world_of(config_with(), busy(std::vector<double>(200, 2)));
  RunResult run;
  run.name = "<!--<script>";
  const std::size_t ticks = comparison.world.wanted.size();
  ASSERT_GT(ticks, 20'000U) << "more ticks than points";
  run.reserve.assign(ticks, 4);
  run.serving.assign(ticks, 6);
  run.reserve[12'345] = 9;
  run.serving[7'777] = 1;
  comparison.runs = {run};
  const std::string text = page(comparison, {"", ""});
  const std::size_t begin = text.find("id=\"data\">") + 10, end = text.find("</script>", begin);
  const std::string raw = text.substr(begin, end - begin);
  EXPECT_EQ(raw.find('<'), std::string::npos);
  const auto data = nlohmann::json::parse(raw);
  EXPECT_EQ(data.at("runs").at(0).at("name"), "<!--<script>");
  int most_reserve = 0, least_serving = 99;
  for (const auto& row : data.at("runs").at(0).at("rows")) {
    most_reserve = std::max(most_reserve, row.at(2).get<int>());
    least_serving = std::min(least_serving, row.at(3).get<int>());
  }
  EXPECT_EQ(most_reserve, 9);
  EXPECT_EQ(least_serving, 1);
}

TEST(Simulation, AnOptimumGivesBackTheFasterWay) {
  // An eviction that takes longer than a drain is no faster tier.
  const Config slow = config_with("deployments: [{pool: p, fleet: sim, max: 10}]",
                                  "evict_when_short: true\n    deployments: [{pool: p, fleet: sim, max: 10}]");
  Config slower = slow;
  slower.backtest.rl_evict = Duration{300'000};
  EXPECT_EQ(give_back(*world_of(slow, busy({1, 1}))), Duration{5'000});
  EXPECT_EQ(give_back(*world_of(slower, busy({1, 1}))), Duration{60'000});
}

TEST(Simulation, HarvestsWhatProductionDoesNotKeep) {
  // Production needs 2 of 10, the policy keeps 4: six RL replicas. A fixed policy reads nothing, so they are started in
  // the first tick, and serve after 90 s.
  const RunResult result = run(config_with(), busy({2, 2, 2}));
  const double serving_s = 1'205 - 90;
  EXPECT_NEAR(result.harvested_gpu_hours, 6 * serving_s / 3'600, 1e-9);
  EXPECT_EQ(result.scale_actions, 6);
  EXPECT_EQ(result.shortfall.attributable, 0);
  EXPECT_EQ(result.reclaims, 0);
}

TEST(Simulation, WhatProductionWantedAndDidNotGetIsAttributed) {
  // From 2 to 10 replicas within ten minutes while six GPUs are lent: what is wanted above 4 waits for a drain.
  const Trace trace = busy({2, 2, 10, 10});
  const RunResult lends = run(config_with(), trace);
  EXPECT_GT(lends.shortfall.attributable, 0);
  EXPECT_GT(lends.reclaims, 0);
  EXPECT_EQ(lends.reclaim_worst_s, 60);
  const RunResult keeps = run(config_with("replicas: 4", "replicas: 10"), trace);
  EXPECT_EQ(keeps.shortfall.attributable, 0);
  EXPECT_EQ(keeps.harvested_gpu_hours, 0);
  EXPECT_GT(keeps.shortfall.total, 0) << "production's own start-up is nobody else's fault";
  EXPECT_DOUBLE_EQ(keeps.shortfall.total, keeps.shortfall.baseline);
}

TEST(Simulation, IsTheSameTwice) {
  const Trace trace = synthetic_week(2);
  const Config config = config_with("scale_to_peak: 0,", "scale_to_peak: 0.9,");
  const RunResult a = run(config, trace), b = run(config, trace);
  EXPECT_EQ(a.harvested_gpu_hours, b.harvested_gpu_hours);
  EXPECT_EQ(a.wasted_gpu_hours, b.wasted_gpu_hours);
  EXPECT_EQ(a.serving, b.serving);
}

TEST(Simulation, NobodyHarvestsMoreThanTheOracleWithoutShortfall) {
  const Trace trace = synthetic_week(1);
  for (const int kept : {5, 8, 10}) {
    const Config config = config_with("scale_to_peak: 0,", "scale_to_peak: 0.9,");
    auto world = world_of(config, trace);
    ASSERT_TRUE(world.ok());
    const Contender tracking{"tracking", config_with("policy: fixed, replicas: 4",
                                                     "policy: target_tracking, headroom: 0." + std::to_string(kept) +
                                                         ", signals: [{signal: load, target: 1}]")
                                             .services[0]
                                             .capacity};
    std::atomic<std::int64_t> progress{0};
    const RunResult result = simulated(*world, tracking, progress);
    EXPECT_LE(efficiency(result, world->oracle), 1 + result.shortfall.attributable * 100) << kept;
    EXPECT_GT(efficiency(result, world->oracle), 0.2) << kept;
  }
}

TEST(Simulation, InAGapNothingGrowsAndNothingCounts) {
  std::vector<double> rates(40, 2);
  for (std::size_t i = 10; i < 30; ++i) rates[i] = 0;
  const RunResult result =
      run(config_with("policy: fixed, replicas: 4", "policy: target_tracking, signals: [{signal: load, target: 1}]"),
          busy(rates));
  EXPECT_NEAR(result.blind_share, 0.5, 0.05);
  EXPECT_EQ(result.serving[(20 * 600) / 5], 0) << "blind for longer than blind_after: production is kept its max";
  EXPECT_LT(result.harvested_gpu_hours, 8.0 * 20 * 600 / 3'600);
}

TEST(Simulation, EbbAsTheOwnerScalesProductionToo) {
  const Config config =
      config_with("    capacity: {policy: fixed, replicas: 4}\n    deployments: [{pool: p, min: 1, max: 10}]",
                  "    owner: ebb\n    capacity: {policy: fixed, replicas: 4}\n"
                  "    deployments: [{pool: p, fleet: sim, min: 1, max: 10}]");
  const RunResult result = run(config, busy({2, 2, 2}));
  EXPECT_GT(result.harvested_gpu_hours, 0);
  EXPECT_GT(result.shortfall.total, 0) << "nobody is ready before the first start-up is over";
  EXPECT_LT(result.shortfall.total, 0.2);
  EXPECT_EQ(result.shortfall.attributable, result.shortfall.total);
}

TEST(World, SaysWhyItCannotBeBuilt) {
  const auto refused = [](const Config& config, const Trace& trace) {
    const auto world = world_of(config, trace);
    return world.ok() ? std::string("built") : world.error().what;
  };
  Config odd = config_with();
  odd.backtest.rl_drain = Duration{7'000};
  EXPECT_EQ(refused(odd, busy({1, 1})), "backtest.rl_drain must be a multiple of the tick, got 7s with tick 5s");
  Config slow = config_with();
  slow.backtest.learn = Duration{3'600'000};
  EXPECT_EQ(refused(slow, busy({1, 1})),
            "the trace made lasts 10m: it must be longer than backtest.learn and a tick, 1h5s");
  Config alone = config_with();
  alone.jobs.clear();
  EXPECT_EQ(refused(alone, busy({1, 1})), "no service shares a pool with a job: there is nothing to back-test");
  EXPECT_EQ(refused(config_with(), busy({0, 0})), "the trace made has no traffic");
}

}  // namespace
}  // namespace ebb::backtest
