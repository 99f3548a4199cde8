#include "tests/emulators/load/stats.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace ebb::emulator {
namespace {

TEST(Latencies, PercentilesAreWithinOnePercent) {
  Latencies latencies;
  for (int i = 1; i <= 1000; ++i) latencies.add(i / 1000.0);
  EXPECT_NEAR(latencies.percentile(50), 0.500, 0.0051);
  EXPECT_NEAR(latencies.percentile(95), 0.950, 0.0096);
  EXPECT_NEAR(latencies.percentile(99), 0.990, 0.0100);
  EXPECT_DOUBLE_EQ(latencies.percentile(100), 1.0);
  EXPECT_NEAR(latencies.mean(), 0.5005, 1e-9);
  EXPECT_GE(latencies.percentile(50), 0.5) << "never better than it was";
}

TEST(Latencies, OneSampleIsEveryPercentile) {
  Latencies latencies;
  latencies.add(0.25);
  EXPECT_DOUBLE_EQ(latencies.percentile(1), 0.25);
  EXPECT_DOUBLE_EQ(latencies.percentile(99), 0.25);
}

TEST(Latencies, NothingIsZeroAndNonsenseIsIgnored) {
  Latencies latencies;
  EXPECT_EQ(latencies.percentile(95), 0);
  latencies.add(std::nan(""));
  EXPECT_EQ(latencies.count(), 0u);
  latencies.add(0);
  latencies.add(1e9);
  EXPECT_EQ(latencies.count(), 2u);
}

TEST(Random, ExponentialAndLogNormalHaveTheirMeans) {
  Random random(7);
  double exponential = 0;
  double log_normal = 0;
  constexpr int kDraws = 200'000;
  for (int i = 0; i < kDraws; ++i) {
    exponential += random.exponential(2);
    log_normal += random.log_normal(100, 0.6);
  }
  EXPECT_NEAR(exponential / kDraws, 2, 0.02);
  EXPECT_NEAR(log_normal / kDraws, 100, 1);
}

TEST(Random, LengthsStayInTheirBounds) {
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    const int length = draw_length(random, 50, 2, 10, 60);
    ASSERT_GE(length, 10);
    ASSERT_LE(length, 60);
  }
  EXPECT_EQ(draw_length(random, 50, 0, 1, 100), 50);
}

}  // namespace
}  // namespace ebb::emulator
