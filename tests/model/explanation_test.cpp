#include "daemon/model/explanation.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "tests/support/builders.hpp"

namespace ebb::testing {
namespace {

TEST(Explanation, FillsInItsArguments) {
  const Step step{Stage::need,
                  "need.target_tracking",
                  "chat@p",
                  {{"signal", std::string("in_flight")}, {"value", 23.5}, {"target", 8.0}, {"need", std::int64_t{3}}}};
  EXPECT_EQ(to_sentence(step), "chat@p: in_flight is 23.5, at 8 per replica that needs 3 replicas");
}

TEST(Explanation, ARuleFromElsewhereIsStillReadable) {
  const Step step{Stage::need, "need.somebody_elses", "chat@p", {{"level", 1.5}, {"span", Duration{90'000}}}};
  EXPECT_EQ(to_sentence(step), "chat@p: need.somebody_elses: level=1.5 span=1m30s");
}

TEST(Explanation, EveryStepOfABusyTickHasASentenceWithoutHoles) {
  Config config = small_config();
  config.warm_up = Duration{60'000};
  Seen seen(30);
  seen.chat(24).replica("c1", kChat).replicas("r", kRl, 7).unusable(1).replica("x", DeploymentId("old@p"));
  const Decision d = decide_on(seen, config);
  for (const Step& step : d.why) EXPECT_EQ(to_sentence(step).find('{'), std::string::npos) << to_sentence(step);
}

/// Every rule id that the core and the policies write has a sentence.
TEST(Explanation, EveryRuleInTheSourceHasASentence) {
  const std::regex rule(
      "\"((freshness|need|reserve|allocate|guardrails|leases|snapshots|admission|diff|check)\\.[a-z_]+)\"");
  int found = 0;
  for (const char* file : {"freshness", "reconcile", "need", "reserve", "allocate", "guardrails", "leases", "snapshots",
                           "admission", "diff", "check"}) {
    std::ifstream in(std::string(EBB_SOURCE_DIR) + "/daemon/core/" + file + ".cpp");
    ASSERT_TRUE(in) << file;
    std::stringstream text;
    text << in.rdbuf();
    const std::string source = text.str();
    for (auto it = std::sregex_iterator(source.begin(), source.end(), rule); it != std::sregex_iterator(); ++it) {
      const Step step{Stage::need, (*it)[1], "", {}};
      EXPECT_NE(to_sentence(step).rfind(step.rule + ":", 0), 0u) << "no sentence for " << step.rule;
      ++found;
    }
  }
  EXPECT_GT(found, 40);
}

}  // namespace
}  // namespace ebb::testing
