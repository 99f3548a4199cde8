#include <gtest/gtest.h>

#include <cmath>

#include "policies/cadence/adaptive.hpp"
#include "policies/registry.hpp"

namespace ebb {
namespace {

double cost(double n, double full, double incremental, double joins) {
  return (full + (n - 1) * incremental) / n + joins * (full + incremental * (n - 1) / 2);
}

CadenceInput measured(double full, double incremental, double joins) {
  CadenceInput input;
  input.measures.full_load_s = full;
  input.measures.incremental_load_s = incremental;
  input.measures.joins_per_snapshot = joins;
  return input;
}

TEST(Cadence, EveryNamesItsDistance) { EXPECT_EQ(make_cadence("every")->choose({}).full_every, 25); }

TEST(Cadence, AlwaysFullMakesEverySnapshotFull) { EXPECT_EQ(make_cadence("always_full")->choose({}).full_every, 1); }

TEST(Cadence, AdaptiveFindsTheLeastCostOfItsFormula) {
  const AdaptiveCadence policy;
  for (const double full : {20.0, 60.0, 90.0, 600.0}) {
    for (const double incremental : {0.5, 2.0, 4.0, 19.0}) {
      for (const double joins : {0.001, 0.02, 0.056, 0.1, 0.5, 3.0}) {
        int best = kFullEveryMin;
        for (int n = kFullEveryMin; n <= kFullEveryMax; ++n) {
          if (cost(n, full, incremental, joins) < cost(best, full, incremental, joins)) best = n;
        }
        const int chosen = policy.choose(measured(full, incremental, joins)).full_every;
        EXPECT_LE(std::abs(chosen - best), 1) << "F=" << full << " I=" << incremental << " j=" << joins;
      }
    }
  }
}

TEST(Cadence, AdaptiveStaysWithinTwentyAndThirty) {
  const AdaptiveCadence policy;
  EXPECT_EQ(policy.choose(measured(90, 4, 1.0 / 18)).full_every, 28);
  EXPECT_EQ(policy.choose(measured(90, 4, 0)).full_every, kFullEveryMax);
  EXPECT_EQ(policy.choose(measured(90, 4, 50)).full_every, kFullEveryMin);
  EXPECT_EQ(policy.choose(measured(4, 4, 0.1)).full_every, kFullEveryMin);
  EXPECT_EQ(policy.choose({}).full_every, 25);
}

TEST(Cadence, AdaptiveTakesSizesForTimesThatNobodyMeasured) {
  CadenceInput input;
  input.measures.full_bytes = 90e9;
  input.measures.incremental_bytes = 4e9;
  input.measures.joins_per_snapshot = 1.0 / 18;
  EXPECT_EQ(AdaptiveCadence().choose(input).full_every, 28);
}

TEST(Cadence, AVendorsLimitLowersTheDistance) {
  for (const auto name : cadence_policies()) {
    CadenceInput input = measured(90, 4, 0);
    input.full_every_max = 9;
    EXPECT_LE(make_cadence(name)->choose(input).full_every, 9) << name;
  }
}

}  // namespace
}  // namespace ebb
