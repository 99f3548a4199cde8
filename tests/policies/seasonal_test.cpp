#include <gtest/gtest.h>

#include <cmath>

#include "tests/policies/probe.hpp"

namespace ebb::testing {
namespace {

constexpr double kMinute = 60, kHour = 3'600, kDay = 86'400;

/// Bins of an hour over a day, no lead unless told otherwise.
Probe seasonal(std::map<std::string, double> numbers = {}) {
  std::map<std::string, double> all{{"period", 0}, {"bin", kHour}, {"lead", 0}};
  for (const auto& [name, value] : numbers) all[name] = value;
  return {policy_with("seasonal", all)};
}

/// 10 by night, 50 from 08:00 to 20:00.
double usual(double second) {
  const double hour = std::fmod(second, kDay) / kHour;
  return hour >= 8 && hour < 20 ? 50 : 10;
}

void live(Probe& probe, double from, double to, double factor = 1) {
  for (double second = from; second < to; second += 5 * kMinute) (void)probe.need(second, usual(second) * factor);
}

TEST(Seasonal, WithoutAnythingLearntTheLoadOfNowDecides) {
  Probe probe = seasonal({{"lead", kHour}});
  EXPECT_EQ(probe.need(0, 12.5), 13);
  EXPECT_TRUE(probe.said("need.unlearnt"));
}

TEST(Seasonal, SeesTheMorningComing) {
  Probe probe = seasonal({{"lead", 2 * kHour}});
  live(probe, 0, 2 * kDay + 7 * kHour);
  EXPECT_EQ(probe.need(2 * kDay + 7 * kHour, 10), 50) << "07:00, and at 08:30 it is 50";
  EXPECT_EQ(probe.need(2 * kDay + 7 * kHour + 1, 10), 50);
  EXPECT_TRUE(probe.said("need.seasonal"));
}

TEST(Seasonal, LooksNoFurtherThanItsLead) {
  Probe probe = seasonal({{"lead", kHour}});
  live(probe, 0, 2 * kDay + 5 * kHour);
  EXPECT_EQ(probe.need(2 * kDay + 5 * kHour, 10), 10);
}

TEST(Seasonal, ABusierDayRaisesItsForecast) {
  Probe probe = seasonal({{"lead", 2 * kHour}});
  live(probe, 0, 2 * kDay);
  live(probe, 2 * kDay, 2 * kDay + 7 * kHour, 1.5);
  const int need = probe.need(2 * kDay + 7 * kHour, 15);
  EXPECT_GE(need, 70);
  EXPECT_LE(need, 75) << "1.5 x 50";
}

TEST(Seasonal, AFreakDoesNotMultiplyBeyondItsBounds) {
  Probe probe = seasonal({{"lead", 2 * kHour}});
  live(probe, 0, 2 * kDay + 7 * kHour);
  live(probe, 2 * kDay + 7 * kHour, 2 * kDay + 7.8 * kHour, 1'000);
  EXPECT_EQ(probe.need(2 * kDay + 7.8 * kHour, 10), 200) << "four times what is usual at most";
}

TEST(Seasonal, NeverBelowTheLoadOfNow) {
  Probe probe = seasonal();
  live(probe, 0, 2 * kDay + kHour);
  EXPECT_EQ(probe.need(2 * kDay + kHour, 90), 90);
}

TEST(Seasonal, MissingTeachesNothing) {
  Probe probe = seasonal({{"lead", 2 * kHour}});
  live(probe, 0, kDay);
  const PolicyMemory learnt = probe.memory;
  for (double second = kDay; second < 2 * kDay; second += 5 * kMinute) (void)probe.need_of(second, missing(second));
  EXPECT_EQ(probe.memory, learnt);
  EXPECT_FALSE(probe.last.known);
  live(probe, 2 * kDay, 2 * kDay + 7 * kHour);
  EXPECT_EQ(probe.need(2 * kDay + 7 * kHour, 10), 50) << "the morning is still known";
}

TEST(Seasonal, ABinChangesByItsLearningRate) {
  Probe probe = seasonal({{"learning_rate", 0.5}, {"lead", 0}});
  for (double second = 0; second < kDay; second += 5 * kMinute) (void)probe.need(second, 10);
  for (double second = kDay; second < 2 * kDay; second += 5 * kMinute) (void)probe.need(second, 20);
  (void)probe.need(2 * kDay, 20);
  // The profile is 15 in every bin now; the header of the memory has seven numbers.
  EXPECT_NEAR(probe.memory.numbers[7 + 3], 15, 1e-9);
}

TEST(Seasonal, AClockThatIsSetBackKeepsWhatWasLearnt) {
  Probe probe = seasonal({{"lead", 2 * kHour}});
  live(probe, 0, 3 * kDay);
  EXPECT_EQ(probe.need(kDay + 7 * kHour, 10), 50);
  const std::vector<double> before = probe.memory.numbers;
  (void)probe.need(kDay + 7 * kHour + 60, 10);
  EXPECT_EQ(std::vector<double>(before.begin() + 8, before.end()),
            std::vector<double>(probe.memory.numbers.begin() + 8, probe.memory.numbers.end()));
}

TEST(Seasonal, OtherBinsStartAnew) {
  Probe probe = seasonal();
  live(probe, 0, 2 * kDay);
  probe.policy = seasonal({{"bin", 2 * kHour}}).policy;
  EXPECT_EQ(probe.need(2 * kDay + 9 * kHour, 3), 3);
  EXPECT_TRUE(probe.said("need.unlearnt"));
}

TEST(Seasonal, OtherSignalsStartAnew) {
  Probe probe = seasonal();
  live(probe, 0, 2 * kDay);
  probe.policy = policy_with("seasonal", {{"period", 0}, {"bin", kHour}, {"lead", 0}}, 2);
  EXPECT_EQ(probe.need(2 * kDay + 9 * kHour, 6), 3);
  EXPECT_TRUE(probe.said("need.unlearnt"));
}

TEST(Seasonal, AWeekTellsSundayFromMonday) {
  // The first of March 2026 is a Sunday.
  Probe probe = seasonal({{"period", 1}, {"lead", kHour}});
  for (double second = 0; second < 8 * kDay - 30 * kMinute; second += 5 * kMinute) {
    (void)probe.need(second, second < kDay || second >= 7 * kDay ? 5 : 40);
  }
  EXPECT_GE(probe.need(8 * kDay - 30 * kMinute, 5), 36) << "Sunday 23:30, and Monday 00:30 is 40";
}

TEST(Seasonal, HeadroomMultipliesTheForecast) {
  Probe probe = seasonal({{"headroom", 0.1}, {"lead", 2 * kHour}});
  live(probe, 0, 2 * kDay + 7 * kHour);
  EXPECT_EQ(probe.need(2 * kDay + 7 * kHour, 10), 55);
}

TEST(Seasonal, RefusesBinsThatDoNotDivideItsPeriod) {
  EXPECT_EQ(seasonal({{"bin", 7 * kMinute}}).policy->problems().size(), 1u);
  EXPECT_TRUE(seasonal({{"bin", kMinute}}).policy->problems().empty()) << "1440 bins";
  EXPECT_EQ(seasonal({{"period", 1}, {"bin", kMinute}}).policy->problems().size(), 1u) << "10080 bins";
}

}  // namespace
}  // namespace ebb::testing
