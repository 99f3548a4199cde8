#include "tests/emulators/load/trace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ebb::emulator {
namespace {

constexpr const char* kHeader = "time_s,requests_per_s,prompt_tokens_per_request,output_tokens_per_request\n";

std::string with(const std::string& rows) { return kHeader + rows; }

TEST(Trace, IsScaledToItsPeakAndItsMeanLengths) {
  const auto day = day_from_trace(with("0,1,100,10\n600,4,100,10\r\n1200,2,100,10\n"));
  ASSERT_TRUE(day) << day.error().what;
  EXPECT_DOUBLE_EQ(day->at(0).rate, 0.25);
  EXPECT_DOUBLE_EQ(day->at(0.5).rate, 1);
  EXPECT_DOUBLE_EQ(day->at(0.25).rate, 0.625) << "interpolated";
  EXPECT_DOUBLE_EQ(day->at(7).rate, 0.5) << "the last row holds";
  EXPECT_DOUBLE_EQ(day->at(0.3).output_scale, 1);
}

TEST(Trace, RefusesBadRowsByLine) {
  const struct {
    const char* rows;
    const char* reason;
    int line;
  } rows[] = {
      {"0,1,1,1\n1,2,3\n", "line 3: 3 columns", __LINE__},
      {"0,1,1,1\nx,1,1,1\n", "line 3: the time", __LINE__},
      {"0,1,1,1\n1,-1,1,1\n", "line 3: the rate", __LINE__},
      {"0,1,1,1\n1,nan,1,1\n", "line 3: the rate", __LINE__},
      {"0,1,1,1\n1,inf,1,1\n", "line 3: the rate", __LINE__},
      {"0,1,1,1\n1,1,1,\n", "line 3: a token count", __LINE__},
      {"0,1,1,1\n5,1,1,1\n5,1,1,1\n", "line 4: time goes back", __LINE__},
      {"0,1,1,1\n", "two rows", __LINE__},
      {"0,0,1,1\n1,0,1,1\n", "no request", __LINE__},
  };
  for (const auto& row : rows) {
    const auto day = day_from_trace(with(row.rows));
    ASSERT_FALSE(day) << "line " << row.line;
    EXPECT_THAT(day.error().what, ::testing::HasSubstr(row.reason)) << "line " << row.line;
  }
  EXPECT_FALSE(day_from_trace("a,b\n0,1\n"));
  EXPECT_FALSE(day_from_trace(""));
}

TEST(Trace, CountsSingleRequestsIntoBins) {
  std::string text = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
  for (int i = 0; i < 60; ++i) {
    const std::string second = (i < 10 ? "0" : "") + std::to_string(i);
    for (int n = 0; n < (i < 30 ? 1 : 3); ++n) text += "2023-11-16 18:15:" + second + ".5000000,100,50\n";
  }
  const auto day = day_from_trace(text);
  ASSERT_TRUE(day) << day.error().what;
  EXPECT_DOUBLE_EQ(day->peak(), 1);
  double early = 0;
  double late = 0;
  for (const DayPoint& point : day->points()) (point.at < 0.5 ? early : late) += point.rate;
  EXPECT_NEAR(late / early, 3, 0.3);
}

TEST(BuiltInDay, HasANightAPeakAndBursts) {
  const Day day = built_in_day();
  EXPECT_DOUBLE_EQ(day.peak(), 1);
  EXPECT_LT(day.at(0).rate, 0.15);
  EXPECT_LT(day.at(1).rate, 0.15);
  EXPECT_GT(day.at(0.255).rate, day.at(0.23).rate + 0.1) << "a burst within seconds";
}

}  // namespace
}  // namespace ebb::emulator
