#include "daemon/backtest/trace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/runtime/temp_dir.hpp"

namespace ebb::backtest {
namespace {

using ::testing::HasSubstr;

constexpr const char* kHeader = "time_s,requests_per_s,prompt_tokens_per_request,output_tokens_per_request\n";

Result<Trace> loaded(const std::string& text) {
  const test::TempDir dir;
  const std::string path = dir / "day.csv";
  std::ofstream(path) << text;
  return load_trace(path);
}

TEST(LoadTrace, ReadsRatesAndBeginsAtZero) {
  const auto trace = loaded(std::string(kHeader) + "217,1.5,100,20\r\n650,2,110,21\n\n");
  ASSERT_TRUE(trace.ok()) << trace.error().what;
  EXPECT_EQ(trace->name, "day");
  ASSERT_EQ(trace->rows.size(), 2u);
  EXPECT_EQ(trace->rows[0].time_s, 0);
  EXPECT_EQ(trace->rows[1].time_s, 433);
  EXPECT_EQ(trace->rows[1].output_tokens, 21);
}

TEST(LoadTrace, ReadsSingleRequests) {
  const auto trace = loaded(
      "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 23:59:59.5000000,374,44\n2023-11-17 00:00:01.25,396,109\n");
  ASSERT_TRUE(trace.ok()) << trace.error().what;
  ASSERT_EQ(trace->requests.size(), 2u);
  EXPECT_NEAR(trace->requests[1].time_s, 1.75, 1e-6);
  EXPECT_EQ(trace->requests[1].prompt_tokens, 396);
}

struct Bad {
  const char* rows;
  const char* complaint;
};

TEST(LoadTrace, NamesTheLineAndWhatIsWrongWithIt) {
  constexpr Bad kBad[] = {
      {"0,1,1\n1,1,1,1\n", "day.csv:2: four numbers are wanted"},
      {"0,1,1,1,1\n", "day.csv:2: four numbers are wanted"},
      {"0,1,1,1\n5,x,1,1\n", "day.csv:3: 'x' is no number from 0 to 1e12"},
      {"0,1,1,1\n5,nan,1,1\n", "day.csv:3: 'nan' is no number"},
      {"0,1,1,1\n5,inf,1,1\n", "day.csv:3: 'inf' is no number"},
      {"0,1,1,1\n5,1e300,1e300,1\n", "day.csv:3: '1e300' is no number from 0 to 1e12"},
      {"0,1,1,1\n5,-1,1,1\n", "day.csv:3: '-1' is no number from 0 to 1e12"},
      {"0,1,1,1\n5,1 ,1,1\n", "day.csv:3: '1 ' is no number"},
      {"0,1,1,1\n0,1,1,1\n", "day.csv:3: time_s does not ascend"},
      {"0,1,1,1\n", "day.csv:2: at least two rows are needed"},
      {"", "day.csv:1: at least two rows are needed"},
      {"0,1,1,1\n1e9,1,1,1\n", "the trace is longer than 400 days"},
  };
  for (const Bad& bad : kBad) {
    const auto trace = loaded(std::string(kHeader) + bad.rows);
    ASSERT_FALSE(trace.ok()) << bad.rows;
    EXPECT_THAT(trace.error().what, HasSubstr(bad.complaint));
  }
}

TEST(LoadTrace, RefusesWhatIsNoTrace) {
  EXPECT_THAT(loaded("a,b\n1,2\n").error().what, HasSubstr("day.csv:1: the first line must be 'time_s,"));
  EXPECT_THAT(loaded("").error().what, HasSubstr("at least two rows"));
  EXPECT_THAT(load_trace("/no/such/trace.csv").error().what, HasSubstr("/no/such/trace.csv: "));
  EXPECT_THAT(loaded("TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,1\n").error().what,
              HasSubstr("day.csv:2: 'yesterday' is no time"));
  EXPECT_THAT(loaded("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-13-16 18:15:46,1,1\n").error().what,
              HasSubstr("is no time"));
}

TEST(SyntheticWeek, IsTheSameForTheSameSeed) {
  const Trace a = synthetic_week(3), b = synthetic_week(3), c = synthetic_week(4);
  ASSERT_EQ(a.rows.size(), 7u * 24 * 60 + 1);
  bool other = false;
  for (std::size_t i = 0; i < a.rows.size(); ++i) {
    ASSERT_EQ(a.rows[i].requests_per_s, b.rows[i].requests_per_s);
    ASSERT_GT(a.rows[i].requests_per_s, 0);
    other = other || a.rows[i].requests_per_s != c.rows[i].requests_per_s;
  }
  EXPECT_TRUE(other);
}

}  // namespace
}  // namespace ebb::backtest
