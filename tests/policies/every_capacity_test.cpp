// What holds for every capacity policy, whatever it is fed.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "policies/capacity/max_of.hpp"
#include "tests/policies/probe.hpp"

namespace ebb::testing {
namespace {

/// Each with its defaults; max_of, which has none, with all that may stand in it.
std::vector<std::shared_ptr<CapacityPolicy>> one_of_each() {
  std::vector<std::shared_ptr<CapacityPolicy>> out, inner;
  for (const auto name : capacity_policies()) {
    if (name != "max_of") out.push_back(make_capacity(name));
  }
  for (const auto name : inner_capacity_policies()) inner.push_back(make_capacity(name));
  out.push_back(std::make_shared<MaxOf>(inner));
  return out;
}

std::map<std::string, SignalSeen> drawn(std::mt19937& random, double second) {
  const auto of = [&](unsigned sides) { return random() % sides; };
  const double load = of(4) == 0 ? 1e300 : static_cast<double>(of(2'000)) - 10;
  if (of(5) == 0) return missing(second);
  if (of(5) == 0) return at_least(second, load);
  return in_flight(second, load);
}

TEST(EveryCapacityPolicy, StaysFiniteAndWithinItsMemoryWhateverItSees) {
  for (const auto& policy : one_of_each()) {
    EXPECT_LE(policy->memory_size(), kMostMemory) << policy->name();
    std::mt19937 random(7);  // the seed is part of the test
    Probe probe{policy};
    double second = 0;
    for (int i = 0; i < 3'000; ++i) {
      const auto step = random() % 50;
      second += step == 0 ? -5'000 : step == 1 ? 500'000 : static_cast<double>(random() % 60);
      const int need = probe.need_of(second, drawn(random, second), static_cast<int>(random() % 20));
      ASSERT_GE(need, 0) << policy->name();
      ASSERT_LE(need, 1'000'000) << policy->name();
      for (const double number : probe.memory.numbers) ASSERT_TRUE(std::isfinite(number)) << policy->name();
    }
  }
}

TEST(EveryCapacityPolicy, ThatReadsSignalsDoesNotKnowWithoutThem) {
  for (const auto& policy : one_of_each()) {
    if (policy->needs().empty()) continue;
    Probe probe{policy};
    (void)probe.need(0, 100, 5);
    (void)probe.need_of(10, missing(10), 5);
    EXPECT_FALSE(probe.last.known) << policy->name();
    (void)probe.need_of(20, {}, 5);
    EXPECT_FALSE(probe.last.known) << policy->name();
  }
}

TEST(EveryCapacityPolicy, CountsWhatIsPartlyKnown) {
  for (const auto& policy : one_of_each()) {
    if (policy->needs().empty()) continue;
    Probe probe{policy};
    // 16 per replica by default.
    EXPECT_GE(probe.need_of(0, at_least(0, 160), 5), 10) << policy->name();
  }
}

TEST(EveryCapacityPolicy, ProposesTheSameForTheSame) {
  for (const auto& policy : one_of_each()) {
    Probe one{policy}, other{policy};
    for (int second = 0; second < 2'000; second += 5) {
      const double load = (second * 37) % 400;
      EXPECT_EQ(one.need(second, load, 5), other.need(second, load, 5)) << policy->name();
    }
    EXPECT_EQ(one.memory, other.memory) << policy->name();
  }
}

TEST(EveryCapacityPolicy, IgnoresTheMemoryOfEveryOther) {
  for (const auto& before : one_of_each()) {
    Probe left{before};
    for (int second = 0; second < 600; second += 5) (void)left.need(second, 1'600, 5);
    for (const auto& after : one_of_each()) {
      if (after->name() == before->name()) continue;
      Probe taken{after}, fresh{after};
      taken.memory = left.memory;
      EXPECT_EQ(taken.need(600, 32, 5), fresh.need(600, 32, 5)) << before->name() << ", then " << after->name();
    }
  }
}

TEST(EveryCapacityPolicy, SaysWhyInPlainSentences) {
  for (const auto& policy : one_of_each()) {
    Probe probe{policy};
    (void)probe.need(0, 100, 5);
    ASSERT_FALSE(probe.last.why.empty()) << policy->name();
    // A rule without a sentence would be rendered as its id and arguments.
    for (const Step& step : probe.last.why) EXPECT_EQ(to_sentence(step).find(step.rule + ":"), std::string::npos);
  }
}

}  // namespace
}  // namespace ebb::testing
