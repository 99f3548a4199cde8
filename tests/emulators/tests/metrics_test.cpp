#include "tests/emulators/engine/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <sstream>

namespace ebb::emulator {
namespace {

using ::testing::HasSubstr;

TEST(EngineHistogram, CountsAtOrBelowEachBound) {
  Histogram histogram({1, 2, 5});
  for (const double value : {0.5, 1.0, 1.5, 5.0, 9.0}) histogram.observe(value);
  EXPECT_EQ(histogram.cumulative(), (std::vector<std::uint64_t>{2, 3, 4, 5}));
  EXPECT_DOUBLE_EQ(histogram.sum(), 17);
}

/// Every line is a comment or `name{labels} number`, and every series was announced by a TYPE of its family.
void expect_well_formed(const std::string& page) {
  std::istringstream lines(page);
  std::string line;
  std::string family;
  while (std::getline(lines, line)) {
    if (line.starts_with("# TYPE ")) {
      std::istringstream words(line.substr(7));
      words >> family;
    }
    if (line.starts_with("#")) continue;
    EXPECT_TRUE(line.starts_with(family)) << line << " under " << family;
    const std::size_t blank = line.rfind(' ');
    ASSERT_NE(blank, std::string::npos) << line;
    const std::string name = line.substr(0, blank);
    EXPECT_EQ(name.find('{') == std::string::npos, name.back() != '}') << line;
    char* end = nullptr;
    const std::string value = line.substr(blank + 1);
    std::strtod(value.c_str(), &end);
    EXPECT_TRUE(!value.empty() && *end == '\0') << line;
  }
  EXPECT_TRUE(page.ends_with("\n"));
}

TEST(EnginePage, SpeaksVllm) {
  EngineMetrics metrics(Dialect::vllm);
  metrics.generation_tokens = 12;
  metrics.time_to_first_token.observe(0.03);
  Gauges gauges;
  gauges.running = 3;
  gauges.waiting = 2;
  gauges.kv_usage = 0.25;
  const std::string page = render_metrics(Dialect::vllm, "m", metrics, gauges);
  expect_well_formed(page);
  EXPECT_THAT(page, HasSubstr("vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 3.0\n"));
  EXPECT_THAT(page, HasSubstr("vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 2.0\n"));
  EXPECT_THAT(page, HasSubstr("waiting_by_reason{engine=\"0\",model_name=\"m\",reason=\"capacity\"} 2.0\n"));
  EXPECT_THAT(page, HasSubstr("vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} 0.25\n"));
  EXPECT_THAT(page, HasSubstr("vllm:generation_tokens_total{engine=\"0\",model_name=\"m\"} 12.0\n"));
  EXPECT_THAT(page, HasSubstr("vllm:generation_tokens_created{"));
  const std::string bucket = "vllm:time_to_first_token_seconds_bucket{engine=\"0\",model_name=\"m\",le=";
  EXPECT_THAT(page, HasSubstr(bucket + "\"0.02\"} 0.0"));
  EXPECT_THAT(page, HasSubstr(bucket + "\"0.04\"} 1.0"));
  EXPECT_THAT(page, HasSubstr("le=\"+Inf\"} 1.0"));
  EXPECT_THAT(page, HasSubstr("vllm:request_success_total{engine=\"0\",model_name=\"m\",finished_reason="));
  EXPECT_THAT(page, HasSubstr("process_start_time_seconds "));
}

TEST(EnginePage, SpeaksSglang) {
  const EngineMetrics metrics(Dialect::sglang);
  Gauges gauges;
  gauges.running = 1;
  const std::string page = render_metrics(Dialect::sglang, "m\"x", metrics, gauges);
  expect_well_formed(page);
  EXPECT_THAT(page, HasSubstr("sglang:num_running_reqs{model_name=\"m\\\"x\",engine_type=\"unified\",tp_rank=\"0\""));
  EXPECT_THAT(page, HasSubstr("sglang:realtime_tokens_total"));
  EXPECT_THAT(page, ::testing::Not(HasSubstr("vllm:")));
}

TEST(EnginePage, CanLieWithNan) {
  const EngineMetrics metrics(Dialect::vllm);
  Gauges gauges;
  gauges.running = std::nan("");
  const std::string page = render_metrics(Dialect::vllm, "m", metrics, gauges);
  EXPECT_THAT(page, HasSubstr("running{engine=\"0\",model_name=\"m\"} NaN"));
}

}  // namespace
}  // namespace ebb::emulator
