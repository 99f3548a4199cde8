#include <gtest/gtest.h>

#include "tests/policies/probe.hpp"

namespace ebb::testing {
namespace {

/// Looks at activity every second and does not stabilise, unless told otherwise.
Probe threshold(std::map<std::string, double> numbers = {}) {
  std::map<std::string, double> all{{"polling_interval", 1}, {"stabilisation", 0}, {"tolerance", 0}};
  for (const auto& [name, value] : numbers) all[name] = value;
  return {policy_with("threshold", all, 10)};
}

TEST(Threshold, IsTheCeilingOfSignalOverTargetWhileActive) {
  Probe probe = threshold();
  EXPECT_EQ(probe.need(0, 1), 1);
  EXPECT_EQ(probe.need(1, 41), 5);
}

TEST(Threshold, KeepsOneThroughTheCooldownAndThenItsMinimum) {
  Probe probe = threshold();
  EXPECT_EQ(probe.need(0, 41), 5);
  EXPECT_EQ(probe.need(1, 0), 1);
  EXPECT_TRUE(probe.said("need.cooldown"));
  EXPECT_EQ(probe.need(299, 0), 1);
  EXPECT_EQ(probe.need(300, 0), 0);
  EXPECT_TRUE(probe.said("need.inactive"));
  EXPECT_EQ(probe.need(301, 5), 1) << "and back at once";
}

TEST(Threshold, IsActiveOnlyAboveItsActivation) {
  Probe probe = threshold({{"activation", 5}, {"cooldown", 60}});
  (void)probe.need(0, 6);
  EXPECT_EQ(probe.need(60, 5), 0);
  EXPECT_TRUE(probe.said("need.inactive"));
  EXPECT_EQ(probe.need(61, 5.1), 1);
}

// keda.sh: with minReplicaCount >= 1 the scaler is always active, and the activation value is ignored.
TEST(Threshold, FromAMinimumOfOneOnItIsAlwaysActive) {
  Probe probe = threshold({{"activation", 1'000}, {"minimum", 3}, {"cooldown", 1}});
  EXPECT_EQ(probe.need(0, 0), 3);
  EXPECT_TRUE(probe.said("need.minimum"));
  EXPECT_EQ(probe.need(60, 0), 3) << "no activity needed";
  EXPECT_EQ(probe.need(61, 1), 3) << "becoming active never lowers the need";
  EXPECT_EQ(probe.need(62, 200), 20) << "far below its activation, and still the HPA's need";
}

TEST(Threshold, LooksForActivityOncePerPollingInterval) {
  Probe probe = threshold({{"polling_interval", 30}, {"cooldown", 10}});
  EXPECT_EQ(probe.need(0, 0), 1) << "the cool-down of a service that is new to us";
  EXPECT_EQ(probe.need(11, 0), 0);
  EXPECT_EQ(probe.need(12, 50), 0) << "the next look is at second 30";
  EXPECT_EQ(probe.need(30, 50), 5);
}

TEST(Threshold, AnUnknownSignalDoesNotEndTheCooldown) {
  Probe probe = threshold({{"minimum", 0}});
  (void)probe.need(0, 41);
  EXPECT_EQ(probe.need_of(400, missing(400)), 1);
  EXPECT_FALSE(probe.last.known);
}

TEST(Threshold, APartialSumSwitchesOn) {
  Probe probe = threshold({{"cooldown", 10}});
  (void)probe.need(0, 0);
  EXPECT_EQ(probe.need(20, 0), 0);
  EXPECT_EQ(probe.need_of(21, at_least(21, 30)), 3);
  EXPECT_EQ(probe.need(22, 0), 1) << "it was active a second ago";
}

TEST(Threshold, FallsOnlyAfterTheStabilisation) {
  Probe probe = threshold({{"stabilisation", 60}});
  EXPECT_EQ(probe.need(0, 80), 8);
  EXPECT_EQ(probe.need(59, 20), 8);
  EXPECT_TRUE(probe.said("need.stabilised"));
  EXPECT_EQ(probe.need(60, 20), 2);
}

TEST(Threshold, SurvivesAClockThatIsSetBack) {
  Probe probe = threshold({{"cooldown", 60}});
  (void)probe.need(10'000, 80);
  EXPECT_EQ(probe.need(0, 0), 1) << "the cool-down begins anew";
  EXPECT_EQ(probe.need(60, 0), 0);
}

TEST(Threshold, HeadroomMultipliesTheLoad) {
  Probe probe = threshold({{"headroom", 1}});
  EXPECT_EQ(probe.need(0, 30), 6);
}

}  // namespace
}  // namespace ebb::testing
