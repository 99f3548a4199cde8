#include <gtest/gtest.h>

#include "policies/capacity/fixed.hpp"
#include "policies/capacity/target_tracking.hpp"
#include "tests/policies/probe.hpp"

namespace ebb::testing {
namespace {

struct Row {
  int line;
  double in_flight;
  double target;
  int need;
};
constexpr Row kRows[] = {
    {__LINE__, 0, 8, 0},
    {__LINE__, 0.001, 8, 1},
    {__LINE__, 8, 8, 1},
    {__LINE__, 8.001, 8, 2},
    {__LINE__, 0.3, 0.1, 3},
    {__LINE__, 64, 8, 8},
    {__LINE__, 1e300, 1, 1'000'000},
    {__LINE__, -5, 8, 0},
};

TEST(TargetTracking, IsTheCeilingOfSignalOverTarget) {
  for (const Row& row : kRows) {
    Probe probe{tracking(row.target)};
    EXPECT_EQ(probe.need(100, row.in_flight), row.need) << "row at line " << row.line;
  }
}

TEST(TargetTracking, KeepsTheReadyReplicasWithinItsTolerance) {
  Probe probe{tracking(10, 0, 0.1)};
  EXPECT_EQ(probe.need(1, 109, 10), 10) << "9% above target";
  EXPECT_EQ(probe.need(2, 111, 10), 12);
  EXPECT_EQ(probe.need(3, 91, 10), 10) << "9% below target";
  EXPECT_EQ(probe.need(4, 89, 10), 9);
}

TEST(TargetTracking, FallsOnlyAfterTheStabilisation) {
  Probe probe{tracking(8, 60)};
  EXPECT_EQ(probe.need(0, 80), 10);
  EXPECT_EQ(probe.need(30, 40), 10);
  EXPECT_EQ(probe.need(59, 8), 10);
  EXPECT_EQ(probe.need(60, 8), 5) << "the 10 has left the window, the 5 of second 30 has not";
  EXPECT_EQ(probe.need(90, 8), 1);
}

TEST(TargetTracking, RisesAtOnce) {
  Probe probe{tracking(8, 60)};
  EXPECT_EQ(probe.need(0, 8), 1);
  EXPECT_EQ(probe.need(1, 80), 10);
}

TEST(TargetTracking, ItsMemoryStaysSmall) {
  Probe probe{tracking(8, 3600)};
  for (int i = 0; i < 20'000; ++i) (void)probe.need(i, (i * 37) % 800);
  EXPECT_LE(probe.memory.numbers.size(), 8'192u);
}

TEST(TargetTracking, AMemoryFromTheFutureIsIgnored) {
  Probe probe{tracking(8, 60)};
  EXPECT_EQ(probe.need(1000, 80), 10);
  EXPECT_EQ(probe.need(10, 8), 1) << "the clock was set back";
}

TEST(TargetTracking, AMemoryOfAnotherVersionIsIgnored) {
  Probe probe{tracking(8, 60)};
  probe.memory = {99, {1.0, 50.0, 3.0}};
  EXPECT_EQ(probe.need(0, 8), 1);
}

TEST(TargetTracking, TheLargestOfSeveralSignalsDecides) {
  auto policy = std::make_shared<TargetTracking>();
  OptionWriter writer;
  writer.set("stabilisation", 0).set("tolerance", 0).signals({{"in_flight", 8}, {"kv_usage", 0.5}});
  policy->options(writer);
  Probe probe{policy};
  std::map<std::string, SignalSeen> signals;
  signals["in_flight"].value = Sample<double>{16, at_second(0)};
  signals["kv_usage"].value = Sample<double>{2.1, at_second(0)};
  EXPECT_EQ(probe.need_of(0, signals), 5);
  EXPECT_EQ(policy->needs(), (std::vector<std::string>{"in_flight", "kv_usage"}));
}

TEST(TargetTracking, OneUnknownSignalMakesTheNeedALowerBound) {
  auto policy = std::make_shared<TargetTracking>();
  OptionWriter writer;
  writer.set("stabilisation", 0).set("tolerance", 0).signals({{"in_flight", 8}, {"kv_usage", 0.5}});
  policy->options(writer);
  Probe probe{policy};
  std::map<std::string, SignalSeen> signals;
  signals["in_flight"].value = Sample<double>{16, at_second(0)};
  signals["kv_usage"].value = Missing{"NaN", at_second(0)};
  EXPECT_EQ(probe.need_of(0, signals), 2);
  EXPECT_FALSE(probe.last.known);
}

TEST(TargetTracking, APartialSumIsALowerBound) {
  Probe probe{tracking(8)};
  std::map<std::string, SignalSeen> signals;
  signals["in_flight"] = {Missing{"2 of 3 replicas reported", at_second(0)}, 24.0};
  EXPECT_EQ(probe.need_of(0, signals), 3);
  EXPECT_FALSE(probe.last.known);
}

TEST(TargetTracking, HeadroomMultipliesTheLoad) {
  Probe probe{policy_with("target_tracking", {{"headroom", 0.25}, {"stabilisation", 0}, {"tolerance", 0}}, 8)};
  EXPECT_EQ(probe.need(0, 64), 10);
  EXPECT_EQ(probe.need(1, 0), 0) << "a share of nothing is nothing";
  EXPECT_TRUE(probe.said("need.headroom"));
}

TEST(TargetTracking, AVeryLongStaircaseKeepsTooMuchRatherThanTooLittle) {
  Probe probe{policy_with("target_tracking", {{"stabilisation", 86'400}, {"tolerance", 0}})};
  for (int i = 0; i < 3'000; ++i) EXPECT_EQ(probe.need(i, 5'000 - i), 5'000) << i;
  EXPECT_EQ(probe.memory.numbers.size(), 1'024u);
}

TEST(Fixed, IsWhatItSays) {
  auto policy = std::make_shared<FixedCapacity>();
  OptionWriter writer;
  writer.set("replicas", 4);
  policy->options(writer);
  Probe probe{policy};
  EXPECT_EQ(probe.need_of(0, {}), 4);
  EXPECT_TRUE(probe.last.known);
}

}  // namespace
}  // namespace ebb::testing
