#include "policies/capacity/day_curve.hpp"

#include <gtest/gtest.h>

namespace ebb::testing {
namespace {

constexpr double kMinuteMs = 60'000;
constexpr double kDayMs = 24 * 60 * kMinuteMs;

TEST(DayCurve, GoesStraightFromTheMiddleOfAQuarterToThatOfTheNext) {
  DayCurve curve;
  curve.see(3 * kDayMs + 9 * 60 * kMinuteMs, 10, 1);     // 9:00 to 9:15
  curve.see(3 * kDayMs + 9.25 * 60 * kMinuteMs, 20, 1);  // 9:15 to 9:30
  const auto at = [&](double minutes_after_nine) {
    return curve.at(kDayMs + (9 * 60 + minutes_after_nine) * kMinuteMs);
  };
  EXPECT_DOUBLE_EQ(at(7.5), 10);
  EXPECT_DOUBLE_EQ(at(15), 15);
  EXPECT_DOUBLE_EQ(at(22.5), 20);
  EXPECT_DOUBLE_EQ(at(0), 5) << "nothing is known of the quarter before";
}

TEST(DayCurve, MidnightLiesBetweenTheLastQuarterAndTheFirst) {
  DayCurve curve;
  curve.see(kDayMs - 1, 10, 1);
  curve.see(kDayMs, 20, 1);
  EXPECT_DOUBLE_EQ(curve.at(5 * kDayMs), 15);
  EXPECT_DOUBLE_EQ(curve.at(-2 * kDayMs), 15) << "a time before the epoch has its place too";
}

TEST(DayCurve, AMeanMovesByItsWeight) {
  DayCurve curve;
  for (int day = 0; day < 2; ++day) curve.see(day * kDayMs, 8, 0.5);
  EXPECT_DOUBLE_EQ(curve.means[0], 6);
}

}  // namespace
}  // namespace ebb::testing
