#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "policies/growth/always.hpp"
#include "policies/growth/survival.hpp"
#include "policies/registry.hpp"
#include "tests/support/builders.hpp"

namespace ebb::testing {
namespace {

constexpr Duration kTick{5'000};

/// A pool whose slack a test moves, as the daemon asks: once a tick, with what was remembered.
struct Pool {
  Survival policy;
  PolicyMemory memory;
  TimePoint now = kStart;
  Duration start_up{90'000};
  GrowthProposal last{};

  int at(int slack) {
    last = policy.propose({kPool, Gpus{slack}, start_up, Duration{60'000}, memory, now});
    memory = last.memory;
    now += kTick;
    return last.lendable.count;
  }
  int hold(int slack, Duration span) {
    int lent = 0;
    for (Duration done{0}; done < span; done += kTick) lent = at(slack);
    return lent;
  }
  /// Four GPUs of slack, and now and then two more for a minute.
  void flicker() {
    for (int i = 0; i < 20; ++i) {
      hold(4, Duration{600'000});
      hold(6, Duration{60'000});
    }
  }
};

TEST(AlwaysGrow, LendsAllTheSlack) {
  const PolicyMemory none;
  EXPECT_EQ(AlwaysGrow{}.propose(GrowthInput{kPool, Gpus{7}, Duration{0}, Duration{0}, none, kStart}).lendable.count,
            7);
}

TEST(Survival, LendsEverythingWhileNothingIsLearnt) {
  Pool pool;
  EXPECT_EQ(pool.at(6), 6);
  EXPECT_TRUE(pool.last.why.empty());
}

TEST(Survival, WhatNobodyWatchedHasNotBeenFreeSoLong) {
  Pool pool;
  pool.flicker();
  EXPECT_EQ(pool.hold(6, Duration{300'000}), 6);
  pool.now += std::chrono::minutes(5);
  EXPECT_EQ(pool.at(6), 6) << "a restart forgets nothing";
  pool.now += std::chrono::hours(63);
  EXPECT_EQ(pool.at(6), 0);
  EXPECT_EQ(pool.hold(6, Duration{90'000}), 6);
}

TEST(Survival, HoldsBackWhatHasNeverLastedAsLongAsAStartAndADrain) {
  Pool pool;
  pool.flicker();
  pool.hold(4, Duration{600'000});
  EXPECT_EQ(pool.at(6), 4);
  ASSERT_EQ(pool.last.why.size(), 1U);
  EXPECT_EQ(pool.last.why[0].rule, "growth.survival");
  EXPECT_NE(to_sentence(pool.last.why[0]).find("of 6 GPUs of slack 4 may be lent"), std::string::npos)
      << to_sentence(pool.last.why[0]);
}

TEST(Survival, LendsThatSlackOnceItHasOutlivedTheShortIntervals) {
  Pool pool;
  pool.flicker();
  EXPECT_EQ(pool.hold(6, Duration{300'000}), 6);
}

TEST(Survival, IntervalsUnderWayThatHaveNotShownYetWhetherTheyLastDoNotCountAgainstIt) {
  Pool pool;
  // A morning: slack climbs by one every 30 s, so each level's neighbour is always younger by less than the cost.
  for (int slack = 1; slack <= 40; ++slack) pool.hold(slack, Duration{30'000});
  EXPECT_EQ(pool.at(40), 40);
}

TEST(Survival, AFasterStartMakesShorterSlackWorthwhile) {
  Pool slow, fast;
  slow.start_up = Duration{600'000};
  fast.start_up = Duration{5'000};
  for (Pool* pool : {&slow, &fast}) {
    for (int i = 0; i < 20; ++i) {
      pool->hold(4, Duration{600'000});
      pool->hold(6, Duration{400'000});
    }
    pool->hold(4, Duration{600'000});
  }
  EXPECT_EQ(fast.at(6), 6);
  EXPECT_EQ(slow.at(6), 4);
}

/// What docs/policies.md says is lent, from what the policy remembers: time, start-up, the weight of ended intervals in
/// 64 bins, and the slack under way as pairs of its top and the time since when it is free.
int lent_by_the_formula(const std::vector<double>& numbers, double drain_s, double confidence) {
  constexpr std::size_t kBins = 64, kFirst = 2 + kBins;
  const double now_s = numbers[0], cost_s = numbers[1] + drain_s;
  const auto begins = [](std::size_t bin) { return bin == 0 ? 0 : 5 * std::exp2(static_cast<double>(bin - 1) / 4); };
  const auto ended_after = [&](double age_s) {
    double longer = 0;
    for (std::size_t bin = kBins - 1; bin > 0 && begins(bin) > age_s; --bin) longer += numbers[2 + bin];
    for (std::size_t bin = 0; bin + 1 < kBins; ++bin) {
      if (begins(bin + 1) <= age_s || (bin > 0 && begins(bin) > age_s)) continue;
      longer += numbers[2 + bin] * (begins(bin + 1) - age_s) / (begins(bin + 1) - begins(bin));
    }
    return longer;
  };
  double lent = 0;
  for (std::size_t i = kFirst; i < numbers.size(); i += 2) {
    const double age_s = now_s - numbers[i + 1];
    double under_way = 0;
    for (std::size_t j = kFirst; j < numbers.size(); j += 2)
      under_way += now_s - numbers[j + 1] > age_s + cost_s ? 1 : 0;
    const double chance = (ended_after(age_s + cost_s) + under_way + 1) / (ended_after(age_s) + under_way + 1);
    if (chance < confidence) break;
    lent = numbers[i];
  }
  return static_cast<int>(lent);
}

TEST(Survival, LendsWhatTheFormulaSaysWhateverTheSlackDoes) {
  constexpr unsigned kSeed = 3;
  std::minstd_rand random(kSeed);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same walk every time
  Pool pool;
  int slack = 20, held_back = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (random() % 4 == 0) slack = std::clamp(slack + static_cast<int>(random() % 13) - 6, 0, 60);
    if (random() % 500 == 0) pool.now += Duration{static_cast<std::int64_t>(random() % 8'000'000) - 4'000'000};
    if (random() % 100 == 0) pool.start_up = Duration{static_cast<std::int64_t>(random() % 400) * 1'000};
    const int lent = pool.at(slack);
    ASSERT_EQ(lent, lent_by_the_formula(pool.memory.numbers, 60, 0.85)) << "seed " << kSeed << ", tick " << i;
    held_back += lent < slack ? 1 : 0;
  }
  EXPECT_GT(held_back, 1'000) << "or the walk asks for nothing";
}

TEST(Survival, MemoryWhoseTimesDoNotAscendIsBegunAnew) {
  Pool pool;
  pool.hold(4, Duration{600'000});
  pool.at(6);
  std::vector<double>& numbers = pool.memory.numbers;
  ASSERT_EQ(numbers.size(), 2U + 64 + 4);
  std::swap(numbers[67], numbers[69]);
  pool.at(6);
  EXPECT_EQ(pool.memory.numbers.size(), 2U + 64 + 2) << "one level, free since now";
}

TEST(Survival, RemembersTheStartUpWhileNothingServes) {
  Pool pool;
  pool.at(3);
  pool.start_up = Duration{0};
  const PolicyMemory before = pool.memory;
  pool.at(3);
  EXPECT_EQ(pool.memory.numbers[1], before.numbers[1]);
}

TEST(Survival, AClockThatIsSetBackMakesNothingOld) {
  Pool pool;
  pool.flicker();
  pool.now -= Duration{86'400'000};
  EXPECT_LE(pool.at(8), 6) << "what was free before counts as free since now";
  EXPECT_EQ(pool.hold(8, Duration{7'200'000}), 8);
}

TEST(Survival, AnotherPolicysMemoryIsIgnored) {
  Pool pool;
  pool.memory = {1, {1, 2, 3}};
  EXPECT_EQ(pool.at(5), 5);
}

TEST(Survival, MemoryStaysWithinItsBound) {
  Pool pool;
  for (int slack = 1; slack <= 2'000; ++slack) pool.at(slack);
  EXPECT_LE(pool.memory.numbers.size(), kMostMemory);
  EXPECT_EQ(pool.at(2'000), 2'000);
}

}  // namespace
}  // namespace ebb::testing
