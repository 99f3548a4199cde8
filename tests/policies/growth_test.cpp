#include <gtest/gtest.h>

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

TEST(Survival, HoldsBackWhatHasNeverLastedAsLongAsAStartAndADrain) {
  Pool pool;
  for (int i = 0; i < 20; ++i) {
    pool.hold(4, Duration{600'000});
    pool.hold(6, Duration{60'000});  // two more GPUs, each time for a minute
  }
  pool.hold(4, Duration{600'000});
  EXPECT_EQ(pool.at(6), 4);
  ASSERT_EQ(pool.last.why.size(), 1U);
  EXPECT_EQ(pool.last.why[0].rule, "growth.survival");
  EXPECT_NE(to_sentence(pool.last.why[0]).find("of 6 GPUs of slack 4 may be lent"), std::string::npos)
      << to_sentence(pool.last.why[0]);
}

TEST(Survival, LendsThatSlackOnceItHasOutlivedTheShortIntervals) {
  Pool pool;
  for (int i = 0; i < 20; ++i) {
    pool.hold(4, Duration{600'000});
    pool.hold(6, Duration{60'000});
  }
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
  for (int i = 0; i < 20; ++i) {
    pool.hold(4, Duration{600'000});
    pool.hold(6, Duration{60'000});
  }
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
