#include "daemon/backtest/oracle.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "daemon/backtest/random.hpp"

namespace ebb::backtest {
namespace {

OracleInput input(std::vector<int> free, int each = 1) {
  OracleInput in;
  in.tick = Duration{10'000};
  in.gap.assign(free.size(), false);
  in.free = std::move(free);
  in.each = {each};
  in.start = Duration{20'000};
  in.give_back = Duration{10'000};
  return in;
}

double gpu_seconds(const OracleInput& in) { return oracle_of(in).gpu_hours * 3'600; }

TEST(Oracle, AnIntervalYieldsItsLengthWithoutStartAndGivingBack) {
  EXPECT_NEAR(gpu_seconds(input({0, 1, 1, 1, 1, 1, 0})), 20, 1e-9);
  EXPECT_EQ(oracle_of(input({0, 1, 1, 1, 1, 1, 0})).intervals, 1);
}

TEST(Oracle, WhatIsTooShortIsLeftAlone) {
  EXPECT_NEAR(gpu_seconds(input({0, 1, 1, 1, 0})), 0, 1e-9);
  EXPECT_EQ(oracle_of(input({0, 1, 1, 1, 0})).intervals, 0);
}

TEST(Oracle, NothingIsGivenBackAtTheEnd) { EXPECT_NEAR(gpu_seconds(input({0, 1, 1, 1, 1})), 20, 1e-9); }

TEST(Oracle, LevelsAreIndependent) {
  // Level 1: 7 ticks, 40 s of use. Level 2: 4 ticks, 10 s.
  EXPECT_NEAR(gpu_seconds(input({0, 1, 2, 2, 2, 2, 1, 1, 0})), 50, 1e-9);
}

TEST(Oracle, AReplicaOfTwoGpusNeedsBoth) { EXPECT_NEAR(gpu_seconds(input({0, 3, 3, 3, 3, 3, 0}, 2)), 40, 1e-9); }

TEST(Oracle, AGapIsAsIfItHadNotBeen) {
  OracleInput in = input({0, 1, 1, 0, 1, 1, 1, 0});
  in.gap[3] = true;
  EXPECT_NEAR(gpu_seconds(in), 20, 1e-9);
}

TEST(Oracle, WhatRanBeforeTheCountingStartsNothing) {
  OracleInput in = input({1, 1, 1, 1, 1, 0});
  in.first = 2;
  EXPECT_NEAR(gpu_seconds(in), 20, 1e-9) << "three ticks, given back, not started";
}

TEST(Oracle, ShowsWhenItsReplicasServe) {
  EXPECT_EQ(oracle_of(input({0, 1, 1, 1, 1, 1, 0})).serving, (std::vector<int>{0, 0, 0, 1, 1, 0, 0}));
  OracleInput in = input({0, 2, 2, 0, 2, 2, 2, 0}, 2);
  in.gap[3] = true;
  EXPECT_EQ(oracle_of(in).serving, (std::vector<int>{0, 0, 0, 0, 2, 2, 0, 0}));
}

/// The best over all sequences of replica counts, tick by tick: starting one costs `start` and ending one `give_back`.
double by_search(const std::vector<int>& free, double tick_s, double start_s, double back_s) {
  const int most = *std::max_element(free.begin(), free.end());
  std::vector<double> best(static_cast<std::size_t>(most) + 1, -1e18);
  best[0] = 0;
  for (const int room : free) {
    std::vector<double> next(best.size(), -1e18);
    for (int to = 0; to <= room; ++to) {
      for (int from = 0; from <= most; ++from) {
        const double cost = to > from ? (to - from) * start_s : (from - to) * back_s;
        double& value = next[static_cast<std::size_t>(to)];
        value = std::max(value, best[static_cast<std::size_t>(from)] - cost + to * tick_s);
      }
    }
    best = next;
  }
  return *std::max_element(best.begin(), best.end());
}

TEST(Oracle, IsTheBestOfAllSchedules) {
  Random random(20'260'301);
  for (int round = 0; round < 200; ++round) {
    std::vector<int> free;
    int level = 3;
    for (int i = 0; i < 60; ++i) {
      level = std::clamp(level + static_cast<int>(random.next() % 3) - 1, 0, 6);
      free.push_back(level);
    }
    EXPECT_NEAR(gpu_seconds(input(free)), by_search(free, 10, 20, 10), 1e-6) << "round " << round;
  }
}

}  // namespace
}  // namespace ebb::backtest
