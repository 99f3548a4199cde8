#include "tests/emulators/load/arrivals.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace ebb::emulator {
namespace {

std::vector<double> all(ArrivalConfig config) {
  Arrivals arrivals(built_in_day(), config);
  std::vector<double> times;
  while (const auto at = arrivals.next()) times.push_back(*at);
  return times;
}

ArrivalConfig config_with_seed(std::uint64_t seed) {
  ArrivalConfig config;
  config.peak_rps = 200;
  config.day_s = 100;
  config.seed = seed;
  return config;
}

TEST(Arrivals, AreTheSameForTheSameSeed) {
  EXPECT_EQ(all(config_with_seed(1)), all(config_with_seed(1)));
  EXPECT_NE(all(config_with_seed(1)), all(config_with_seed(2)));
}

TEST(Arrivals, FollowTheRateOfTheDay) {
  const auto times = all(config_with_seed(42));
  const Arrivals expected(built_in_day(), config_with_seed(42));
  for (int tenth = 0; tenth < 10; ++tenth) {
    double area = 0;
    for (int i = 0; i < 1000; ++i) area += expected.rate(tenth * 10 + i * 0.01) * 0.01;
    double count = 0;
    for (const double at : times) count += at >= tenth * 10 && at < tenth * 10 + 10 ? 1 : 0;
    // Poisson: the standard deviation is the root of the mean; four of them are exceeded once in 16,000.
    EXPECT_NEAR(count, area, 4 * std::sqrt(area)) << "tenth " << tenth;
  }
}

TEST(Arrivals, VaryAsAPoissonProcessDoes) {
  // Mean and variance of counts per second are equal where the rate is constant: the lead-in.
  ArrivalConfig config = config_with_seed(5);
  config.peak_rps = 1000;
  config.lead_in_s = 400;
  std::vector<double> counts(400);
  for (const double at : all(config)) {
    if (at < 0) ++counts[static_cast<std::size_t>(at + 400)];
  }
  double mean = 0;
  for (const double n : counts) mean += n / 400;
  double variance = 0;
  for (const double n : counts) variance += (n - mean) * (n - mean) / 399;
  EXPECT_NEAR(mean, 1000 * built_in_day().at(0).rate, 5);
  EXPECT_NEAR(variance / mean, 1, 0.3);
}

TEST(Arrivals, AreAscendingAndEndWithTheDay) {
  ArrivalConfig config = config_with_seed(3);
  config.lead_in_s = 5;
  const auto times = all(config);
  ASSERT_FALSE(times.empty());
  EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
  EXPECT_LT(times.front(), 0);
  EXPECT_GE(times.front(), -5);
  EXPECT_LT(times.back(), 100);
}

TEST(Arrivals, NoTrafficIsNoArrival) {
  ArrivalConfig config;
  config.peak_rps = 0;
  EXPECT_TRUE(all(config).empty());
}

}  // namespace
}  // namespace ebb::emulator
