#include "policies/capacity/scores.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace ebb::testing {
namespace {

TEST(Scores, SayWhatAShareOfThemExceeds) {
  Scores scores;
  for (int i = 0; i < 10'000; ++i) scores.see(i / 1'000.0);
  // Within a bin they count as spread evenly: the last of these goes from 9.89 to 11.87.
  EXPECT_NEAR(scores.exceeded_by(0.5), 5, 0.05);
  EXPECT_NEAR(scores.exceeded_by(0.3), 7, 0.05);
  EXPECT_NEAR(scores.exceeded_by(0.01), 11.87 - 1.98 * 100 / 110, 0.05);
}

TEST(Scores, OfAnExponentialTailAreItsQuantiles) {
  const Scores scores = Scores::exponential(20);
  for (const double alpha : {0.5, 0.1, 0.01}) EXPECT_NEAR(scores.exceeded_by(alpha), -std::log(alpha), 0.05) << alpha;
}

TEST(Scores, GoToTheEndOfTheLastBinHoweverLargeTheyAre) {
  Scores scores;
  scores.see(1e9);
  EXPECT_NEAR(scores.exceeded_by(0), 61, 1);
}

TEST(Scores, BelowZeroCountAsNone) {
  Scores scores;
  scores.see(-3);
  EXPECT_LE(scores.exceeded_by(0), 0.05);
}

TEST(Scores, CountLessTheLongerAgoTheyWereSeen) {
  Scores scores;
  for (int i = 0; i < 100; ++i) scores.see(10);
  scores.fade(0.001);
  for (int i = 0; i < 10; ++i) scores.see(1);
  EXPECT_GT(scores.exceeded_by(0.005), 8) << "a hundredth of what counts";
  EXPECT_LT(scores.exceeded_by(0.02), 1.2) << "the bin of 1";
}

TEST(Scores, OfNothingAreZero) { EXPECT_EQ(Scores().exceeded_by(0.01), 0); }

}  // namespace
}  // namespace ebb::testing
