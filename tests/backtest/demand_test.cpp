#include "daemon/backtest/demand.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "daemon/backtest/production.hpp"
#include "daemon/backtest/rollouts.hpp"

namespace ebb::backtest {
namespace {

DemandOptions options(double bridge, std::uint64_t seed = 1) {
  return {.tick = Duration{5'000},
          .seed = seed,
          .bridge = bridge,
          .prefill_tokens_per_s = 1'000,
          .decode_tokens_per_s = 100};
}

Trace steps(std::vector<double> rates, double step_s = 600) {
  Trace trace;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    trace.rows.push_back({static_cast<double>(i) * step_s, rates[i], 1'000, 100});  // 2 replica-seconds a request
  }
  return trace;
}

TEST(Demand, IsRateTimesWorkOnAStraightLineWithoutABridge) {
  const DemandSeries demand = demand_of(steps({1, 3}), options(0));
  ASSERT_EQ(demand.size(), 121u);
  EXPECT_DOUBLE_EQ(demand.load.front(), 2);
  EXPECT_DOUBLE_EQ(demand.load[60], 4);
  EXPECT_DOUBLE_EQ(demand.load.back(), 6);
  EXPECT_DOUBLE_EQ(demand.peak, 6);
}

/// Standard deviation of the relative departure from the line, in the middle of steps of `step_s`.
double spread_at_mid_step(double step_s) {
  std::vector<double> rates(4'001, 10.0);
  const DemandSeries demand = demand_of(steps(rates, step_s), options(0.05, 7));
  const auto per_step = static_cast<std::size_t>(step_s / 5);
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < 4'000; ++i) {
    const double departure = demand.load[i * per_step + per_step / 2] / 20 - 1;
    sum += departure;
    squares += departure * departure;
    EXPECT_NEAR(demand.load[i * per_step], 20, 1e-9) << "the bridge is 0 at every row";
  }
  return std::sqrt(squares / 4'000 - std::pow(sum / 4'000, 2));
}

TEST(Demand, TheBridgeIsFivePercentWideHalfWayThroughTenMinutes) {
  EXPECT_NEAR(spread_at_mid_step(600), 0.05, 0.002);
  EXPECT_NEAR(spread_at_mid_step(150), 0.025, 0.001) << "and half of that for a quarter of the time";
}

TEST(Demand, IsTheSameForTheSameSeedAndOtherForAnother) {
  const Trace trace = steps({1, 2, 3});
  EXPECT_EQ(demand_of(trace, options(0.05)).load, demand_of(trace, options(0.05)).load);
  EXPECT_NE(demand_of(trace, options(0.05)).load, demand_of(trace, options(0.05, 2)).load);
}

TEST(Demand, ARunOfZerosBetweenOthersIsAGapAcrossWhichTheTruthIsInterpolated) {
  const DemandSeries demand = demand_of(steps({4, 0, 0, 1}), options(0));
  EXPECT_DOUBLE_EQ(demand.load[120], 6);
  EXPECT_DOUBLE_EQ(demand.load[240], 4);
  EXPECT_FALSE(demand.gap[0]) << "the row itself was collected";
  EXPECT_TRUE(demand.gap[1]);
  EXPECT_TRUE(demand.gap[359]);
  EXPECT_FALSE(demand.gap[360]);
}

TEST(Demand, ZerosAtTheEndAreIdleness) {
  const DemandSeries demand = demand_of(steps({4, 0, 0}), options(0));
  EXPECT_FALSE(demand.gap[200]);
  EXPECT_DOUBLE_EQ(demand.load[180], 0);
}

TEST(Demand, CountsSingleRequestsPerTick) {
  Trace trace;
  trace.requests = {{0, 1'000, 100}, {4.9, 1'000, 100}, {5.1, 1'000, 0}, {11, 0, 100}};
  const DemandSeries demand = demand_of(trace, options(0.05));
  ASSERT_EQ(demand.size(), 3u);
  EXPECT_DOUBLE_EQ(demand.load[0], 2 * 2.0 / 5);
  EXPECT_DOUBLE_EQ(demand.load[1], 1.0 / 5);
  EXPECT_DOUBLE_EQ(demand.load[2], 1.0 / 5);
}

TEST(Production, NeedsTheCeilingOfLoadOverUtilisationWithinItsBounds) {
  EXPECT_EQ(needed({0, 0.69, 0.7, 0.71, 70}, 0.7, {1}, {5}), (std::vector<int>{1, 1, 1, 2, 5}));
}

TEST(Production, WantsTheLargestNeedOfTheWindowAtEverySync) {
  const std::vector<int> need{1, 5, 2, 2, 2, 2, 2, 2, 2, 2};
  EXPECT_EQ(wanted(need, Duration{5'000}, Duration{15'000}, Duration{20'000}),
            (std::vector<int>{1, 1, 1, 5, 5, 5, 2, 2, 2, 2}))
      << "seen at tick 3, and out of the window of four ticks at tick 6";
}

TEST(Rollouts, LoseWhatDoesNotEndWithinTheDrain) {
  // All rollouts last 100 s: with p95 = median there is no spread.
  const Rollouts fixed({.median_s = 100, .p95_s = 100, .per_replica = 4, .handoff = false, .handoff_cost = {}});
  Random random(1);
  EXPECT_NEAR(fixed.wasted_s(Duration{30'000}, Duration{60'000}, random), 4 * 90, 1e-6) << "30 s old, 70 s to go";
  EXPECT_NEAR(fixed.wasted_s(Duration{50'000}, Duration{60'000}, random), 0, 1e-6);
  EXPECT_NEAR(fixed.wasted_s(Duration{250'000}, Duration{10'000}, random), 4 * 60, 1e-6) << "the third, half-way";
  const Rollouts moved(
      {.median_s = 100, .p95_s = 100, .per_replica = 4, .handoff = true, .handoff_cost = Duration{2'000}});
  EXPECT_NEAR(moved.wasted_s(Duration{30'000}, Duration{60'000}, random), 8, 1e-6);
}

TEST(Rollouts, DrawnAndReplayedStatesAgree) {
  const Rollouts rollouts({.median_s = 120, .p95_s = 900, .per_replica = 1, .handoff = false, .handoff_cost = {}});
  Random random(5);
  double replayed = 0, drawn = 0;
  constexpr int kDraws = 20'000;
  for (int i = 0; i < kDraws; ++i) replayed += rollouts.wasted_s(Duration{25'000'000}, Duration{60'000}, random);
  for (int i = 0; i < kDraws; ++i) drawn += rollouts.wasted_s(Duration{26'000'000}, Duration{60'000}, random);
  // After 98 mean lengths what is replayed is still a few percent younger than it will be.
  EXPECT_NEAR(replayed / drawn, 0.97, 0.07);
}

}  // namespace
}  // namespace ebb::backtest
