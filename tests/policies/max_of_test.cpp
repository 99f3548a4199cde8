#include "policies/capacity/max_of.hpp"

#include <gtest/gtest.h>

#include "tests/policies/probe.hpp"

namespace ebb::testing {
namespace {

std::shared_ptr<CapacityPolicy> fixed_at(double replicas) { return policy_with("fixed", {{"replicas", replicas}}); }

std::shared_ptr<CapacityPolicy> calm(double stabilisation, double target = 1) {
  return policy_with("target_tracking", {{"stabilisation", stabilisation}, {"tolerance", 0}}, target);
}

TEST(MaxOf, IsTheLargestNeed) {
  Probe probe{std::make_shared<MaxOf>(std::vector{fixed_at(4), calm(0), fixed_at(3)})};
  EXPECT_EQ(probe.need(0, 2), 4);
  EXPECT_EQ(probe.need(1, 9), 9);
  EXPECT_TRUE(probe.said("need.max_of"));
  EXPECT_TRUE(probe.said("need.fixed")) << "each policy's steps stand as well";
}

TEST(MaxOf, IsKnownOnlyIfAllKnow) {
  Probe probe{std::make_shared<MaxOf>(std::vector{fixed_at(4), calm(0)})};
  EXPECT_EQ(probe.need_of(0, missing(0)), 4);
  EXPECT_FALSE(probe.last.known);
  (void)probe.need(1, 1);
  EXPECT_TRUE(probe.last.known);
}

TEST(MaxOf, EachPolicyKeepsItsOwnMemory) {
  Probe probe{std::make_shared<MaxOf>(std::vector{calm(60), policy_with("surge", {}), calm(600, 2)})};
  EXPECT_EQ(probe.need(0, 20), 20);
  for (double second = 1; second < 100; second += 1) (void)probe.need(second, 2, 2);
  EXPECT_EQ(probe.need(100, 2, 2), 10) << "60 s and the mean have forgotten the 20, 600 s remember half of it";
}

TEST(MaxOf, AChangeOfOnePolicyResetsItsMemoryAlone) {
  Probe probe{std::make_shared<MaxOf>(std::vector{calm(600), calm(600, 2)})};
  (void)probe.need(0, 20);
  probe.policy = std::make_shared<MaxOf>(std::vector{policy_with("seasonal", {}), calm(600, 2)});
  EXPECT_EQ(probe.need(1, 2), 10) << "the second still remembers 20 / 2";
}

TEST(MaxOf, AMemoryThatIsCutShortIsEmptyFromThere) {
  for (const std::vector<double>& numbers :
       {std::vector<double>{}, {1}, {1, 50, 3}, {1, -4, 0, 0}, {1, 2, 0, 50, 1, 1e300}}) {
    Probe probe{std::make_shared<MaxOf>(std::vector{calm(1), calm(1)})};
    probe.memory = {6'001, numbers};
    EXPECT_EQ(probe.need(0, 7), 7);
  }
}

TEST(MaxOf, AsksForTheSignalsOfAllAndWaitsForTheLongestWindow) {
  const MaxOf policy({calm(60), policy_with("surge", {}), calm(600)});
  EXPECT_EQ(policy.needs(), (std::vector<std::string>{"in_flight"}));
  EXPECT_EQ(policy.window(), Duration{600'000});
}

TEST(MaxOf, RefusesMemoriesThatDoNotFitTogether) {
  const auto large = [] { return policy_with("seasonal", {{"bin", 120}}); };
  EXPECT_TRUE(MaxOf({large(), calm(60)}).problems().empty());
  const std::vector<OptionProblem> problems = MaxOf({large(), large()}).problems();
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].option, "policies");
}

TEST(MaxOf, NamesAProblemByItsPolicy) {
  const std::vector<OptionProblem> problems = MaxOf({fixed_at(1), policy_with("seasonal", {{"bin", 61}})}).problems();
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].option, "policies[1].bin");
}

TEST(MaxOf, NeedsAtLeastOnePolicy) { EXPECT_EQ(MaxOf{}.problems().size(), 1u); }

}  // namespace
}  // namespace ebb::testing
