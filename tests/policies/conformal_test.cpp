#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <random>

#include "policies/capacity/conformal.hpp"
#include "tests/policies/misses.hpp"

namespace ebb::testing {
namespace {

constexpr double kTick = 5;

class Chance {
 public:
  explicit Chance(unsigned seed) : random_(seed) {}
  double draw() { return uniform_(random_); }
  /// Whether something that comes once in `seconds` on average comes in this tick.
  bool comes(double seconds) { return draw() < kTick / seconds; }

 private:
  std::mt19937 random_;
  std::uniform_real_distribution<double> uniform_{0, 1};
};

/// Traffic around `level` replicas that wanders by `roughness` of itself in ten minutes, with a day in it.
class Traffic {
 public:
  Traffic(double level, double roughness, unsigned seed) : level_(level), roughness_(roughness), random_(seed) {}
  double next() {
    second_ += kTick;
    const double pull = std::exp(-kTick / 3'600);
    wander_ = wander_ * pull + roughness_ * std::sqrt(kTick / 600) * normal_(random_);
    return level_ * (1 + 0.5 * std::sin(2 * std::numbers::pi * second_ / 86'400)) * std::exp(wander_);
  }
  void shift(double factor) { level_ *= factor; }

 private:
  double level_, roughness_, second_ = 0, wander_ = 0;
  std::mt19937 random_;
  std::normal_distribution<double> normal_{0, 1};
};

/// Up or down by 0.8 a minute between 20 and 116, with another thought about it once in an hour on average.
class Slopes {
 public:
  explicit Slopes(unsigned seed) : chance_(seed) {}
  double next() {
    lasts_ += kTick;
    if (load_ < 20 || load_ > 116 || chance_.comes(3'600)) {
      step_ = load_ < 20 ? std::abs(step_) : load_ > 116 ? -std::abs(step_) : -step_;
      lasts_ = 0;
    }
    return load_ += step_;
  }
  [[nodiscard]] bool climb() const { return step_ > 0; }
  [[nodiscard]] double lasts() const { return lasts_; }

 private:
  Chance chance_;
  double load_ = 40, step_ = 0.8 / 60 * kTick, lasts_ = 0;
};

struct Scene {
  const char* name;
  double roughness;
  double shift;      ///< of the level, half-way
  double gap_hours;  ///< half-way
};

double miss_rate(const Scene& scene, double budget) {
  Probe probe{policy_with("conformal", {{"shortfall_budget", budget}})};
  Traffic traffic(20, scene.roughness, 11);  // the seed is part of the test
  Judge judge;
  constexpr double kDays = 14;
  double gap_from = kDays / 2 * 86'400, gap_to = gap_from + scene.gap_hours * 3'600;
  for (int tick = 0; tick * kTick < kDays * 86'400; ++tick) {
    const double second = tick * kTick;
    if (second == gap_from) traffic.shift(scene.shift);
    const double load = traffic.next();
    if (second >= gap_from && second < gap_to) {
      (void)probe.need_of(second, missing(second));
      judge.until = -1;
      continue;
    }
    (void)probe.need(second, load);
    judge.see(second, load, argument(probe.last, "location") + argument(probe.last, "margin"), 60);
  }
  return judge.rate();
}

TEST(Conformal, HoldsTheMissRateToItsBudgetWhateverTheTrafficDoes) {
  constexpr Scene kScenes[] = {{"smooth", 0.02, 1, 0},
                               {"rough", 0.2, 1, 0},
                               {"three times the level half-way", 0.05, 3, 0},
                               {"a gap of six hours", 0.05, 1, 6}};
  for (const Scene& scene : kScenes) {
    const double rate = miss_rate(scene, 0.01);
    EXPECT_GE(rate, 0.005) << scene.name << ": keeps more than was asked for";
    EXPECT_LE(rate, 0.02) << scene.name;
  }
}

TEST(Conformal, ASmallerBudgetKeepsMore) {
  double before = 0;
  for (const double budget : {0.1, 0.01, 0.001}) {
    Probe probe{policy_with("conformal", {{"shortfall_budget", budget}})};
    Traffic traffic(20, 0.1, 3);
    double margin = 0;
    for (int i = 0; i < 50'000; ++i) {
      (void)probe.need(i * kTick, traffic.next());
      margin += argument(probe.last, "margin");
    }
    EXPECT_GT(margin, before) << budget;
    before = margin;
  }
}

TEST(Conformal, ReportsTheMissRateThatSomebodyElseCounts) {
  Probe probe{policy_with("conformal", {{"shortfall_budget", 0.05}})};
  Traffic traffic(20, 0.1, 5);
  for (int i = 0; i < 100'000; ++i) (void)probe.need(i * kTick, traffic.next());
  EXPECT_NEAR(argument(probe.last, "missed_percent"), 5, 2);
}

TEST(Conformal, LoadThatNeverMovesNeedsHardlyMore) {
  Probe probe{policy_with("conformal", {})};
  for (int i = 0; i < 20'000; ++i) (void)probe.need(i * kTick, 10);
  EXPECT_LE(probe.last.need.count, 11);
  EXPECT_GE(probe.last.need.count, 10);
}

TEST(Conformal, StartsFromTheLargestLoadOfItsWindow) {
  Probe probe{policy_with("conformal", {})};
  for (int i = 0; i < 1'000; ++i) (void)probe.need(i * kTick, 10);
  (void)probe.need(5'000, 30);
  for (int second = 5'005; second <= 5'145; second += 5) (void)probe.need(second, 10);
  EXPECT_EQ(argument(probe.last, "location"), 30) << "145 s ago, in a window of 150 s";
  for (int second = 5'150; second <= 5'160; second += 5) (void)probe.need(second, 10);
  EXPECT_EQ(argument(probe.last, "location"), 10);
}

TEST(Conformal, WhatNobodyWatchedTeachesNothing) {
  Probe probe{policy_with("conformal", {})};
  Traffic traffic(20, 0.05, 9);
  for (int i = 0; i < 5'000; ++i) (void)probe.need(i * kTick, traffic.next());
  const double margin = argument(probe.last, "margin");
  const PolicyMemory before = probe.memory;
  for (int i = 5'000; i < 6'000; ++i) (void)probe.need_of(i * kTick, missing(i * kTick));
  EXPECT_EQ(probe.memory, before);
  (void)probe.need(30'000, 60);
  EXPECT_EQ(argument(probe.last, "location"), 60) << "the window begins anew";
  EXPECT_LT(argument(probe.last, "margin"), 4 * margin) << "the jump across the silence was not learnt";
}

TEST(Conformal, WhatRisesWhileTheFirstWindowFillsTeachesNothing) {
  // A collector that comes up in the middle of an interval shows a fraction first.
  Probe probe{policy_with("conformal", {})};
  Traffic traffic(20, 0.05, 9);
  for (int i = 0; i < 720; ++i) (void)probe.need(i * kTick, i < 6 ? 1 : traffic.next());
  EXPECT_LT(argument(probe.last, "margin"), 0.5 * argument(probe.last, "location"));
}

TEST(Conformal, BeginsWithAMarginThatIsAShareOfTheLoad) {
  for (const double load : {1.0, 50.0, 1'000.0}) {
    Probe probe{policy_with("conformal", {})};
    for (int i = 0; i < 31; ++i) (void)probe.need(i * kTick, load);
    EXPECT_NEAR(argument(probe.last, "margin") / load, 0.23, 0.02) << load;
  }
}

TEST(Conformal, KeepsLessWhileLoadFallsThanWhileItClimbs) {
  Probe probe{policy_with("conformal", {{"shortfall_budget", 0.2}})};
  Slopes slopes(7);  // the seed is part of the test
  double falling = 0, falls = 0, climbing = 0, climbs = 0;
  for (int tick = 0; tick * kTick < 6 * 86'400; ++tick) {
    (void)probe.need(tick * kTick, slopes.next());
    if (tick * kTick < 3 * 86'400 || slopes.lasts() < 400) continue;
    (slopes.climb() ? climbing : falling) += argument(probe.last, "margin");
    (slopes.climb() ? climbs : falls) += 1;
  }
  EXPECT_NEAR(climbing / climbs, 0.8, 0.1) << "what 60 s bring at this pace";
  EXPECT_NEAR(falling / falls, 0.4, 0.1) << "without half of the climb";
}

TEST(Conformal, KeepsMoreInTheHourInWhichTrafficClimbsEveryDay) {
  // Four times the load between 9:00 and 9:30, by a third within a horizon; by 18:00 it is gone.
  Probe probe{policy_with("conformal", {{"shortfall_budget", 0.05}})};
  probe.reclaim = Duration{360'000};
  Chance chance(7);  // the seed is part of the test
  double climbing = 0, climbs = 0, steady = 0, steadies = 0;
  for (int tick = 0; tick * kTick < 8 * 86'400; ++tick) {
    const double hour = std::fmod(tick * kTick / 3'600, 24);
    const double shape = hour < 9 ? 0 : hour < 9.5 ? (hour - 9) / 0.5 : std::max(0.0, 1 - (hour - 9.5) / 8.5);
    (void)probe.need(tick * kTick, 20 * std::exp(std::log(4) * shape) * (1 + 0.05 * chance.draw()));
    if (tick * kTick < 5 * 86'400) continue;
    const double margin = argument(probe.last, "margin") / argument(probe.last, "location");
    if (hour > 9.02 && hour < 9.4) climbing += margin, climbs += 1;
    if (hour > 20) steady += margin, steadies += 1;
  }
  EXPECT_GT(climbing / climbs, 0.2) << "of the load; 0.12 for who does not know the time of day";
  EXPECT_LT(steady / steadies, 0.02) << "nothing climbs in the evening";
}

TEST(Conformal, ADipOfTheNewestReadingLeavesTheMarginAsItIs) {
  Probe probe{policy_with("conformal", {})};
  Traffic traffic(20, 0.05, 9);
  int tick = 0;
  for (; tick < 5'000; ++tick) (void)probe.need(tick * kTick, traffic.next());
  const double load = traffic.next(), margin = argument(probe.last, "margin"),
               location = argument(probe.last, "location");
  (void)probe.need(tick * kTick, load / 4);
  ASSERT_EQ(argument(probe.last, "location"), location);
  EXPECT_NEAR(argument(probe.last, "margin"), margin, 0.05 * margin);
}

TEST(Conformal, WhatItBeginsWithIsBelievedForAnHourAndNotForTwo) {
  Probe probe{policy_with("conformal", {})};
  Traffic traffic(20, 0.05, 9);
  double share[2] = {};
  for (int tick = 0; tick * kTick < 2 * 3'600; ++tick) {
    (void)probe.need(tick * kTick, traffic.next());
    share[tick / 720] += argument(probe.last, "margin") / argument(probe.last, "location") / 720;
  }
  EXPECT_GT(share[0], 0.1) << "a quiet hour may be luck; 0.05 if all of it were believed";
  EXPECT_LT(share[1], 0.055) << "0.07 if it faded with the scale's half-life alone";
}

TEST(Conformal, KeepsALevelWhereLoadJumpsUnannouncedAndFallsBack) {
  // 4 replicas of load, and for 20 s at random, once in 8 minutes on average, between 8 and 16.
  Probe probe{policy_with("conformal", {{"shortfall_budget", 0.03}})};
  Chance chance(7);  // the seed is part of the test
  double until = -1, height = 4, least = 1e9, most = 0;
  for (int tick = 0; tick * kTick < 4 * 86'400; ++tick) {
    const double second = tick * kTick;
    if (second >= until && chance.comes(480)) {
      until = second + 20;
      height = 8 + 8 * chance.draw();
    }
    const int need = probe.need(second, second < until ? height : 4);
    if (second < 3 * 86'400) continue;
    least = std::min<double>(least, need);
    most = std::max<double>(most, need);
  }
  EXPECT_GE(least, 12) << "a jump is worth as much a moment before it";
  EXPECT_LE(most, 19) << "none is followed by more than was kept before it";
}

TEST(Conformal, CountsWhatTakingBackCosts) {
  // Every minute another load around 7, that has half of its logarithm from the minute before.
  Probe probe{policy_with("conformal", {{"shortfall_budget", 0.03}})};
  Chance chance(7);  // the seed is part of the test
  double load = 0, wander = 0, taken_back = 0;
  int before = 0;
  for (int tick = 0; tick * kTick < 5 * 86'400; ++tick) {
    if (tick % 12 == 0) {
      const double draw = chance.draw();
      wander = 0.5 * wander + std::sqrt(0.75) * std::log(draw / (1 - draw));
      load = 7 * std::exp(0.3 * wander);
    }
    const int need = probe.need(tick * kTick, load);
    if (tick * kTick >= 2 * 86'400) taken_back += std::max(0, need - before);
    before = need;
  }
  EXPECT_LT(taken_back / 3, 500) << "replicas a day; 2,300 with the pinball loss alone";
}

TEST(Conformal, SeesNoClimbInWhatItDidNotSee) {
  Probe probe{policy_with("conformal", {{"shortfall_budget", 0.2}})};
  Slopes slopes(7);
  int tick = 0;
  for (; tick * kTick < 3 * 86'400; ++tick) (void)probe.need(tick * kTick, slopes.next());
  tick += 120;  // nobody watches; a collector that comes up again shows a fraction first
  for (const int begin = tick; tick < begin + 60; ++tick) {
    (void)probe.need(tick * kTick, tick < begin + 6 ? 1 : 20);
    if (tick <= begin + 40) continue;
    EXPECT_LT(argument(probe.last, "margin"), 1) << (tick - begin) * kTick << " s after it";
  }
}

TEST(Conformal, SaysNothingOfItsMissesBeforeAHorizonIsOver) {
  Probe probe{policy_with("conformal", {})};
  int tick = 0;
  for (; tick < 30; ++tick) (void)probe.need(tick * kTick, 10);
  EXPECT_FALSE(probe.said("need.missed")) << "the first window is not full";
  for (; tick < 60; ++tick) (void)probe.need(tick * kTick, 10);
  EXPECT_EQ(argument(probe.last, "missed_percent"), 0);
}

TEST(Conformal, TheSameReadingTwiceIsSeenOnce) {
  Probe probe{policy_with("conformal", {})};
  Traffic traffic(20, 0.05, 9);
  for (int i = 0; i < 500; ++i) (void)probe.need(i * kTick, traffic.next());
  const auto signals = in_flight(2'500, 20);
  (void)probe.need_of(2'500, signals);
  const PolicyMemory once = probe.memory;
  (void)probe.need_of(2'500, signals);
  EXPECT_EQ(probe.memory, once);
}

TEST(Conformal, AMomentThatIsSaidSomeMillisecondsApartIsTheSameMoment) {
  // A time that is the difference of two others: between two samples of its Prometheus it goes back and forth.
  Probe probe{policy_with("conformal", {})};
  Chance chance(3);
  double load = 0;
  for (int i = 0; i < 200; ++i) {
    if (i % 3 == 0) load = i == 150 ? 30 : 10;
    const double sampled = (i - i % 3) * kTick;
    (void)probe.need_of(i * kTick + 1, in_flight(sampled - 0.01 * chance.draw(), load));
    EXPECT_EQ(argument(probe.last, "location"), i >= 150 && i < 183 ? 30 : 10) << i;
  }
  EXPECT_TRUE(probe.said("need.missed")) << "it learns";
}

TEST(Conformal, LearnsFromReadingsThatAreAMinuteApartAndFromTicksThatAre) {
  for (const double apart : {61.0, 300.0}) {
    Probe probe{policy_with("conformal", {})};
    probe.tick = Duration{static_cast<std::int64_t>(apart * 1'000)};
    for (int i = 0; i < 100; ++i) (void)probe.need(i * apart + 0.005 * (i % 2), 10);
    EXPECT_EQ(argument(probe.last, "missed_percent"), 0) << apart;
    EXPECT_LT(argument(probe.last, "margin"), 2) << apart;
  }
}

TEST(Conformal, WhatAnotherTargetMakesOfTheSignalsIsAnotherLoad) {
  Probe probe{policy_with("conformal", {}, 16)};
  Traffic traffic(200, 0.05, 9);
  for (int i = 0; i < 5'000; ++i) (void)probe.need(i * kTick, traffic.next());
  Probe fresh{policy_with("conformal", {}, 4)};
  probe.policy = fresh.policy;
  const double load = traffic.next();
  EXPECT_EQ(probe.need(5'000 * kTick, load), fresh.need(5'000 * kTick, load));
  EXPECT_EQ(probe.memory, fresh.memory);
}

TEST(Conformal, AnotherBudgetCountsItsMissesAnewAndKeepsWhatIsKnownOfTheLoad) {
  Probe probe{policy_with("conformal", {{"shortfall_budget", 0.001}})};
  Traffic traffic(20, 0.05, 9);
  int tick = 0;
  for (; tick < 20'000; ++tick) (void)probe.need(tick * kTick, traffic.next());
  const double careful = argument(probe.last, "margin");
  probe.policy = policy_with("conformal", {{"shortfall_budget", 0.2}});
  (void)probe.need(tick++ * kTick, traffic.next());
  EXPECT_FALSE(probe.said("need.missed"));
  EXPECT_LT(argument(probe.last, "margin"), careful / 2);
  for (int more = 0; more < 60; ++more) (void)probe.need(tick++ * kTick, traffic.next());
  EXPECT_TRUE(probe.said("need.missed"));
}

/// A memory of some time that was meddled with is worth as much as none.
void expect_begun_anew(const std::function<void(PolicyMemory&)>& meddle, const std::string& what) {
  Probe probe{policy_with("conformal", {})};
  Traffic traffic(20, 0.05, 9);
  int tick = 0;
  for (; tick < 500; ++tick) (void)probe.need(tick * kTick, traffic.next());
  meddle(probe.memory);
  Probe fresh{policy_with("conformal", {})};
  const double load = traffic.next();
  EXPECT_EQ(probe.need(tick * kTick, load), fresh.need(tick * kTick, load)) << what;
  EXPECT_EQ(probe.memory, fresh.memory) << what;
}

TEST(Conformal, AMemoryOfAnotherShapeIsBegunAnew) {
  expect_begun_anew([](PolicyMemory& memory) { memory.numbers.pop_back(); }, "a number less");
  expect_begun_anew([](PolicyMemory& memory) { memory.version = 9'001; }, "an earlier version");
}

TEST(Conformal, AMemoryThatNoRunLeavesBehindIsBegunAnew) {
  struct Meddled {
    std::size_t place;
    double number;
    const char* what;
  };
  constexpr Meddled kMeddled[] = {{2, 1e300, "the newest reading's time"},
                                  {6, -401, "lessons"},
                                  {74, 1e300, "a prediction's time"},
                                  {75, 1e300, "the end of its horizon"},
                                  {149, 710, "the season"},
                                  {245, -1, "a scale"},
                                  {248, -1, "a count of scores"},
                                  {10, 1e300, "a load of the window"},
                                  {77, 1e300, "a prediction's load"}};
  for (const Meddled& meddled : kMeddled) {
    expect_begun_anew([&](PolicyMemory& memory) { memory.numbers.at(meddled.place) = meddled.number; }, meddled.what);
  }
}

}  // namespace
}  // namespace ebb::testing
