#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "daemon/backtest/backtest.hpp"
#include "policies/registry.hpp"
#include "tests/runtime/temp_dir.hpp"

namespace ebb::backtest {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kExample = std::string(EBB_SOURCE_DIR) + "/config/examples/backtest.yaml";

class CommandTest : public ::testing::Test {
 protected:
  CommandTest() {
    std::ofstream trace(dir_ / "two-hours.csv");
    trace << "time_s,requests_per_s,prompt_tokens_per_request,output_tokens_per_request\n";
    for (int i = 0; i <= 12; ++i) trace << i * 600 << ',' << 10 + (i % 5) << ",800,200\n";
    trace.close();
    options_.config_path = kExample;
    options_.trace = dir_ / "two-hours.csv";
  }
  int run() {
    out_.str("");
    err_.str("");
    return command(options_, out_, err_);
  }
  test::TempDir dir_;
  Options options_;
  std::ostringstream out_, err_;
};

TEST_F(CommandTest, TheExampleRunsOutOfTheBox) {
  options_.trace.clear();
  options_.policies = {"hpa"};
  EXPECT_EQ(run(), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("synthetic-week, 120961 ticks of 5s, seed 1, 64 GPUs, owner external"));
}

TEST_F(CommandTest, ItsJsonHasTheStableKeys) {
  options_.format = "json";
  ASSERT_EQ(run(), 0) << err_.str();
  const auto json = nlohmann::json::parse(out_.str());
  EXPECT_EQ(json.at("trace"), "two-hours");
  EXPECT_EQ(json.at("seed"), 1);
  EXPECT_EQ(json.at("config_hash").get<std::string>().size(), 16u);
  ASSERT_FALSE(json.at("policies").empty());
  for (const auto& policy : json.at("policies")) {
    for (const char* key : {"name", "efficiency", "goodput", "harvested_gpu_hours", "oracle_gpu_hours", "short_minutes",
                            "scale_actions", "flaps", "reclaim_p99_s", "wasted_rollout_gpu_hours"}) {
      EXPECT_TRUE(policy.contains(key)) << key;
    }
    for (const char* key : {"total", "baseline", "attributable"})
      EXPECT_TRUE(policy.at("shortfall").contains(key)) << key;
  }
}

TEST_F(CommandTest, ReadsTheTraceBeforehandWhenAsked) {
  options_.informed = true;
  ASSERT_EQ(run(), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("(rows known, 2.5 sd)"));
  std::ofstream(dir_ / "requests.csv") << "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                                          "2023-11-16 18:00:00.0,100,100\n2023-11-16 18:10:00.0,100,100\n";
  options_.trace = dir_ / "requests.csv";
  ASSERT_EQ(run(), 0) << err_.str();
  EXPECT_THAT(out_.str(), Not(HasSubstr("rows known")));
  EXPECT_THAT(err_.str(), HasSubstr("no rows"));
}

TEST_F(CommandTest, TheSameSeedGivesTheSameBytes) {
  options_.format = "json";
  ASSERT_EQ(run(), 0);
  const std::string first = out_.str();
  ASSERT_EQ(run(), 0);
  EXPECT_EQ(out_.str(), first);
  options_.seed = 2;
  ASSERT_EQ(run(), 0);
  EXPECT_NE(out_.str(), first);
}

TEST_F(CommandTest, ThePageNeedsNothingFromOutside) {
  options_.format = "html";
  options_.out = dir_ / "page.html";
  options_.chart = {"class Dygraph {}", "div {}"};
  ASSERT_EQ(run(), 0) << err_.str();
  std::ifstream file(options_.out);
  const std::string page((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(page, HasSubstr("<title>Ebb back-test: two-hours</title>"));
  EXPECT_THAT(page, HasSubstr("class Dygraph {}"));
  EXPECT_THAT(page, HasSubstr("\"production wants\", \"reserve\", \"RL serving\", \"oracle\""));
  EXPECT_THAT(page, Not(HasSubstr("<script src")));
  EXPECT_THAT(page, Not(HasSubstr("<link")));
}

TEST_F(CommandTest, EveryBuiltInPolicyThatAsksNobodyRunsWithItsDefaults) {
  for (const std::string_view name : capacity_policies()) {
    if (make_capacity(name)->adviser()) continue;
    options_.policies = {std::string(name)};
    const bool whole = make_capacity(name)->problems().empty();  // a max_of of nothing is not
    EXPECT_EQ(run(), whole ? 0 : 2) << name << ": " << err_.str();
    if (!whole) {
      EXPECT_THAT(err_.str(), HasSubstr("'" + std::string(name) + "' does not run without options"));
    }
  }
}

TEST_F(CommandTest, SaysWhatIsWrongAndHowToMendIt) {
  options_.policies = {"conforml"};
  EXPECT_EQ(run(), 2);
  EXPECT_THAT(err_.str(), HasSubstr("there is no policy 'conforml'; did you mean 'conformal'?"));
  options_.policies = {"surge"};  // with default options it reads in_flight, which bench.yaml has no measure of
  options_.config_path = std::string(EBB_SOURCE_DIR) + "/config/examples/bench.yaml";
  EXPECT_EQ(run(), 2);
  EXPECT_THAT(err_.str(), HasSubstr("policy 'surge' needs the signal 'in_flight': say in backtest.signals"));
  options_.policies.clear();
  options_.trace = dir_ / "none.csv";
  EXPECT_EQ(run(), 1);
  EXPECT_THAT(err_.str(), HasSubstr("none.csv: No such file"));
  options_.config_path = dir_ / "none.yaml";
  EXPECT_EQ(run(), 2);
  EXPECT_THAT(err_.str(), HasSubstr("none.yaml: there is no such file"));
}

TEST_F(CommandTest, AFileThatCannotBeWrittenIsAnError) {
  options_.out = dir_ / "no/such/folder/out.json";
  EXPECT_EQ(run(), 1);
  EXPECT_THAT(err_.str(), HasSubstr("could not be written"));
}

TEST_F(CommandTest, APolicyThatAsksSomebodyOutsideIsRefused) {
  for (const char* policy : {"exec", "plugin"}) {
    options_.policies = {policy};
    EXPECT_EQ(run(), 2);
    EXPECT_THAT(err_.str(), HasSubstr("policy '" + std::string(policy) + "' asks somebody outside"));
  }
}

}  // namespace
}  // namespace ebb::backtest
