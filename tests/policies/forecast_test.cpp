#include "policies/capacity/forecast.hpp"

#include <gtest/gtest.h>

#include "tests/policies/probe.hpp"

namespace ebb::testing {
namespace {

TEST(Forecast, ConstantIsTheNewestKnownValue) {
  EXPECT_EQ(forecast_constant({3, 5, kUnknown}, 9), 5);
  EXPECT_EQ(forecast_constant({kUnknown}, 9), 9);
}

TEST(Forecast, LinearGoesOnAlongTheLine) {
  EXPECT_NEAR(forecast_linear({2, 4, 6, 8}, 0), 10, 1e-9);
  EXPECT_NEAR(forecast_linear({2, kUnknown, 6, kUnknown}, 0), 10, 1e-9) << "a hole is no zero";
  EXPECT_EQ(forecast_linear({7}, 0), 7);
  EXPECT_EQ(forecast_linear({}, 3), 3);
}

TEST(Forecast, HoltIsExactOnALineAndSlowOnAJump) {
  EXPECT_NEAR(forecast_holt({2, 4, 6, 8}, 0.5, 0.1, 0), 10, 1e-9);
  EXPECT_NEAR(forecast_holt({2, 4, kUnknown, 8}, 0.5, 0.1, 0), 10, 1e-9) << "a hole follows the trend";
  // l = 0.5 x 20 + 0.5 x 10 = 15, b = 0.1 x 5.
  EXPECT_NEAR(forecast_holt({10, 10, 20}, 0.5, 0.1, 0), 15.5, 1e-9);
  EXPECT_EQ(forecast_holt({kUnknown}, 0.5, 0.1, 4), 4);
}

TEST(Forecast, SeasonalDoesWhatTheLastSeasonDidFromTodaysLevel) {
  EXPECT_EQ(forecast_seasonal({10, 30, 20, 12}, 3, 0), 32) << "12 now, and it rose by 20 a season ago";
  EXPECT_EQ(forecast_seasonal({10, 30}, 3, 0), 30) << "no season yet";
  EXPECT_EQ(forecast_seasonal({10, kUnknown, 20, 12}, 3, 0), 12) << "what it did is unknown";
}

// ---------------------------------------------------------------- the policy: intervals of 180 s

constexpr double kStep = 180;

Probe predictive(std::map<std::string, double> numbers = {}) { return {policy_with("predictive", std::move(numbers))}; }

/// Readings every 10 s over one interval; the last need.
int interval(Probe& probe, int index, double load) {
  int need = 0;
  for (double second = 0; second < kStep; second += 10) need = probe.need(index * kStep + second, load);
  return need;
}

TEST(Predictive, AnticipatesARisingLine) {
  Probe probe = predictive({{"predictor", 1}});
  EXPECT_EQ(interval(probe, 0, 10), 10) << "nothing known: the load of now";
  EXPECT_EQ(interval(probe, 1, 20), 20);
  EXPECT_EQ(interval(probe, 2, 30), 30);
  EXPECT_EQ(probe.need(3 * kStep, 30), 40) << "10, 20, 30, so 40";
  EXPECT_TRUE(probe.said("need.predicted"));
}

TEST(Predictive, OnePredictionHoldsForItsInterval) {
  Probe probe = predictive({{"predictor", 0}, {"keep_current", 0}});
  (void)interval(probe, 0, 10);
  EXPECT_EQ(interval(probe, 1, 50), 10) << "as the last interval";
  EXPECT_EQ(probe.need(2 * kStep, 10), 50);
}

TEST(Predictive, KeepsWhatTheLoadOfNowNeeds) {
  Probe probe = predictive({{"predictor", 0}, {"keep_current", 1}});
  (void)interval(probe, 0, 10);
  EXPECT_EQ(probe.need(kStep, 50), 50);
  EXPECT_EQ(probe.need(kStep + 10, 2), 10);
}

TEST(Predictive, HeadroomMultipliesThePrediction) {
  Probe probe = predictive({{"predictor", 0}, {"headroom", 0.2}});
  (void)interval(probe, 0, 10);
  EXPECT_EQ(probe.need(kStep, 1), 12);
}

TEST(Predictive, AnIntervalWithoutReadingsIsAHoleNotAZero) {
  Probe probe = predictive({{"predictor", 1}});
  (void)interval(probe, 0, 10);
  for (double second = kStep; second < 2 * kStep; second += 10) (void)probe.need_of(second, missing(second));
  EXPECT_FALSE(probe.last.known);
  (void)interval(probe, 2, 30);
  EXPECT_EQ(probe.need(3 * kStep, 1), 40) << "the line through 10 and 30, two apart";
}

TEST(Predictive, ALongAbsenceIsAsManyHolesAsAreRemembered) {
  Probe probe = predictive({{"predictor", 1}, {"history", 4}});
  (void)interval(probe, 0, 10);
  EXPECT_EQ(probe.need(100'000 * kStep, 7), 7);
  EXPECT_LE(probe.memory.numbers.size(), 10u);
}

TEST(Predictive, NeverPredictsLessThanNothing) {
  Probe probe = predictive({{"predictor", 1}, {"keep_current", 0}});
  (void)interval(probe, 0, 10);
  (void)interval(probe, 1, 1);
  EXPECT_EQ(probe.need(2 * kStep, 0), 0);
}

TEST(Predictive, SeasonalKnowsWhatComesNext) {
  // A season of four intervals: 10, 10, 40, 10.
  Probe probe = predictive({{"predictor", 3}, {"season", 4 * kStep}, {"keep_current", 0}});
  for (int index = 0; index < 6; ++index) (void)interval(probe, index, index % 4 == 2 ? 40 : 10);
  EXPECT_EQ(probe.need(6 * kStep, 40), 40);
  (void)interval(probe, 6, 40);
  EXPECT_EQ(probe.need(7 * kStep, 40), 10);
}

TEST(Predictive, AClockThatIsSetBackTakesWithItWhatHasYetToCome) {
  Probe probe = predictive({{"predictor", 1}, {"keep_current", 0}});
  for (int index = 0; index < 4; ++index) (void)interval(probe, index, 10 * (index + 1));
  (void)probe.need(4 * kStep, 50);
  EXPECT_EQ(probe.need(3 * kStep + 170, 1), 40) << "10, 20, 30 are known; 40 was, and its interval begins anew";
  EXPECT_EQ(probe.need(3 * kStep - 1, 1), 30) << "10, 20";
}

TEST(Predictive, LoadsOfOtherSignalsAreNotThese) {
  Probe probe = predictive({{"predictor", 0}});
  (void)interval(probe, 0, 80);
  probe.policy = policy_with("predictive", {{"predictor", 0}}, 2);
  EXPECT_EQ(probe.need(kStep, 10), 5) << "80 were 80 replicas at one each";
}

TEST(Predictive, AClockThatIsSetBackStartsItAnew) {
  Probe probe = predictive({{"predictor", 0}});
  (void)interval(probe, 100, 80);
  (void)interval(probe, 101, 80);
  EXPECT_EQ(probe.need(0, 5), 5);
}

TEST(Predictive, AMemoryOfAnotherPolicyIsIgnored) {
  Probe probe = predictive({{"predictor", 0}});
  probe.memory = {1, {180'000, 5, 1, 1, 50, 50}};
  EXPECT_EQ(probe.need(0, 5), 5);
}

}  // namespace
}  // namespace ebb::testing
