#include <gtest/gtest.h>

#include "tests/policies/probe.hpp"

namespace ebb::testing {
namespace {

Probe surge(std::map<std::string, double> numbers = {}) { return {policy_with("surge", std::move(numbers))}; }

/// A reading every second; the last need.
int hold(Probe& probe, double from, double to, double load, int ready) {
  int need = 0;
  for (double second = from; second < to; second += 1) need = probe.need(second, load, ready);
  return need;
}

TEST(Surge, FollowsTheMeanOfTheStableWindow) {
  Probe probe = surge();
  (void)hold(probe, 0, 130, 10, 10);
  EXPECT_EQ(hold(probe, 130, 160, 16, 10), 13) << "half of the window at 10, half at 16";
  EXPECT_TRUE(probe.said("need.calm"));
  EXPECT_EQ(hold(probe, 160, 190, 16, 10), 16);
}

TEST(Surge, PanicsWhenTheShortWindowNeedsTwiceWhatIsReady) {
  Probe probe = surge();
  (void)hold(probe, 0, 130, 10, 10);
  EXPECT_EQ(hold(probe, 130, 136, 20, 10), 20) << "six seconds at 20";
  EXPECT_TRUE(probe.said("need.panic"));
}

TEST(Surge, NeverShrinksInPanicAndLeavesItAfterACalmStableWindow) {
  Probe probe = surge();
  (void)hold(probe, 0, 130, 10, 10);
  (void)hold(probe, 130, 136, 20, 10);
  EXPECT_EQ(hold(probe, 136, 190, 5, 20), 20);
  EXPECT_TRUE(probe.said("need.panic"));
  EXPECT_EQ(hold(probe, 190, 200, 5, 20), 10) << "calm again; at most halves";
  EXPECT_FALSE(probe.said("need.panic"));
}

TEST(Surge, ShrinksNoFasterThanItsRate) {
  Probe probe = surge({{"max_scale_down_rate", 4}});
  (void)hold(probe, 0, 130, 40, 40);
  EXPECT_EQ(hold(probe, 130, 260, 1, 40), 10);
  EXPECT_EQ(hold(probe, 260, 330, 1, 10), 2);
}

TEST(Surge, GrowsNoFasterThanItsRate) {
  Probe probe = surge({{"max_scale_up_rate", 1.1}});
  // One slot more than 1 x 1.1, or one ready replica could never become two.
  EXPECT_EQ(hold(probe, 0, 130, 50, 1), 2);
}

TEST(Surge, StartsInPanicAtWhatIsReady) {
  Probe probe = surge();
  EXPECT_EQ(probe.need(0, 1, 12), 12);
  EXPECT_EQ(hold(probe, 1, 60, 1, 12), 12);
  EXPECT_EQ(hold(probe, 60, 70, 1, 12), 6);
}

TEST(Surge, DelaysAFallByScaleDownDelay) {
  Probe probe = surge({{"scale_down_delay", 100}});
  (void)hold(probe, 0, 130, 10, 10);
  EXPECT_EQ(hold(probe, 130, 230, 6, 10), 10);
  EXPECT_TRUE(probe.said("need.stabilised"));
  EXPECT_EQ(hold(probe, 230, 288, 6, 10), 7);
  EXPECT_EQ(hold(probe, 288, 289, 6, 10), 6) << "100 s after the last mean above 6";
}

TEST(Surge, AMissingReadingIsNoZero) {
  Probe probe = surge();
  (void)hold(probe, 0, 130, 10, 10);
  const PolicyMemory before = probe.memory;
  EXPECT_EQ(probe.need_of(130, missing(130), 10), 0);
  EXPECT_FALSE(probe.last.known);
  EXPECT_EQ(probe.memory, before);
  EXPECT_EQ(probe.need(160, 10, 10), 10) << "the mean of what was read";
}

TEST(Surge, APartialSumIsALowerBound) {
  Probe probe = surge();
  EXPECT_EQ(probe.need_of(0, at_least(0, 7), 3), 7);
  EXPECT_FALSE(probe.last.known);
}

TEST(Surge, SurvivesAClockThatIsSetBack) {
  Probe probe = surge();
  (void)hold(probe, 10'000, 10'130, 50, 10);
  EXPECT_EQ(hold(probe, 0, 130, 10, 10), 10);
}

TEST(Surge, HeadroomMultipliesTheLoad) {
  Probe probe = surge({{"headroom", 0.5}});
  EXPECT_EQ(hold(probe, 0, 130, 10, 12), 15);
}

TEST(Surge, AnHourLongWindowFitsIntoItsMemory) {
  Probe probe = surge({{"stable_window", 3'600}, {"scale_down_delay", 3'600}});
  EXPECT_EQ(hold(probe, 0, 8'000, 10, 10), 10);
}

}  // namespace
}  // namespace ebb::testing
