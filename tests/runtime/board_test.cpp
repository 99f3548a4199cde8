#include "daemon/runtime/board.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "daemon/runtime/sd_notify.hpp"
#include "daemon/runtime/telemetry.hpp"
#include "tests/support/virtual_clock.hpp"

namespace ebb::test {
namespace {

class BoardTest : public ::testing::Test {
 protected:
  VirtualClock clock_{TimePoint{Duration{1'767'225'600'000}}};
  Telemetry telemetry_{"1.2.3"};
  SdNotify systemd_;
  Board board_{clock_, telemetry_, systemd_};
  std::vector<std::pair<std::string, nlohmann::json>> heard_;
  std::shared_ptr<void> token_ = board_.subscribe([this](const std::string& name, const std::string& data) {
    heard_.emplace_back(name, nlohmann::json::parse(data));
  });
};

// What an engine or a fleet says when it fails comes from anywhere.
TEST_F(BoardTest, WhoListensHearsOfADecisionWithWordsThatAreNoUtf8) {
  Decision decision;
  decision.tick = 7;
  decision.why.push_back({Stage::leases, "leases.failed", "rl-1", {{"detail", std::string("cuda \xff error")}}});
  board_.decided({}, decision, Duration{1});
  ASSERT_EQ(heard_.size(), 1);
  EXPECT_EQ(heard_[0].first, "decision");
  const std::string text = heard_[0].second.at("why").at(0).at("text");
  EXPECT_NE(text.find("cuda \xef\xbf\xbd error"), std::string::npos) << text;
}

TEST_F(BoardTest, WhoListensHearsOfAnOutcomeWithWordsThatAreNoUtf8) {
  Finished finished;
  finished.outcome.kind = OutcomeKind::failed;
  finished.outcome.detail = "exit \xc3 1";
  board_.finished(finished);
  ASSERT_EQ(heard_.size(), 1);
  EXPECT_EQ(heard_[0].first, "outcome");
  EXPECT_EQ(heard_[0].second.at("detail"), "exit \xef\xbf\xbd 1");
}

TEST_F(BoardTest, WhoHasGoneHearsNothing) {
  token_.reset();
  board_.finished({});
  EXPECT_TRUE(heard_.empty());
}

}  // namespace
}  // namespace ebb::test
