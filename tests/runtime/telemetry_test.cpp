#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "daemon/runtime/telemetry.hpp"

namespace ebb {
namespace {

const TimePoint kNow{Duration{1'767'225'600'000}};
const DeploymentId kChat{"chat@p"};
const DeploymentId kRl{"rl@p"};

Decision decision() {
  Decision out;
  out.tick = 7;
  out.at = kNow;
  out.pools[PoolId("p")] = {.gpus = {8}, .reserve = {3}, .slack = {5}, .production = {2}, .rl = {4}, .unusable = {1}};
  out.deployments[kChat] = {.need = {2}, .target = {2}, .ready = {2}, .starting = {}, .draining = {}, .held = {2}};
  out.deployments[kRl] = {.need = {}, .target = {5}, .ready = {3}, .starting = {1}, .draining = {}, .held = {5}};
  out.admission[JobId("rl")] = 128;
  return out;
}

Observation seen() {
  Observation out;
  out.at = kNow;
  out.fleets[FleetId("f")] = Sample<FleetSeen>{{}, kNow};
  WorkloadSeen& chat = out.workloads[kChat];
  chat.signals["in_flight"].value = Sample<double>{12.5, kNow};
  chat.signals["kv_usage"].value = Missing{"timed out", kNow};
  chat.reported = 1;
  chat.expected = 2;
  return out;
}

Config config(const std::string& hash) {
  Config out;
  out.hash = hash;
  return out;
}

/// The value of a series as written in the text, or "absent".
std::string value(Telemetry& telemetry, const std::string& series, TimePoint at = kNow) {
  std::istringstream text(telemetry.text(at));
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with(series + " ")) return line.substr(series.size() + 1);
  }
  return "absent";
}

TEST(Telemetry, ShowsThePoolsArithmetic) {
  Telemetry telemetry("1.2.3");
  telemetry.decided(decision(), seen(), Duration{3});
  EXPECT_EQ(value(telemetry, R"(ebb_pool_gpus{pool="p"})"), "8");
  EXPECT_EQ(value(telemetry, R"(ebb_pool_reserve_gpus{pool="p"})"), "3");
  EXPECT_EQ(value(telemetry, R"(ebb_pool_slack_gpus{pool="p"})"), "5");
  EXPECT_EQ(value(telemetry, R"(ebb_deployment_replicas{deployment="rl@p",phase="other"})"), "1")
      << "5 held, 3 ready, 1 starting";
  EXPECT_EQ(value(telemetry, R"(ebb_job_admission_rollouts{job="rl"})"), "128");
  EXPECT_EQ(value(telemetry, "ebb_tick"), "7");
}

TEST(Telemetry, AnUnknownSignalHasNoSeriesRatherThanZero) {
  Telemetry telemetry("1.2.3");
  Observation look = seen();
  telemetry.observed(look, Duration{12});
  EXPECT_EQ(value(telemetry, R"(ebb_signal{deployment="chat@p",signal="in_flight"})"), "12.5");
  EXPECT_EQ(value(telemetry, R"(ebb_signal{deployment="chat@p",signal="kv_usage"})"), "absent");
  EXPECT_EQ(value(telemetry, R"(ebb_fleet_up{fleet="f"})"), "1");
  look.workloads[kChat].signals["in_flight"].value = Missing{"gone", kNow};
  look.fleets[FleetId("f")] = Missing{"no answer", kNow};
  telemetry.observed(look, Duration{12});
  EXPECT_EQ(value(telemetry, R"(ebb_signal{deployment="chat@p",signal="in_flight"})"), "absent");
  EXPECT_EQ(value(telemetry, R"(ebb_fleet_up{fleet="f"})"), "0");
  EXPECT_EQ(value(telemetry, "ebb_observe_seconds_count"), "2");
}

TEST(Telemetry, ADeploymentThatVanishesTakesItsSeriesWithIt) {
  Telemetry telemetry("1.2.3");
  telemetry.decided(decision(), seen(), Duration{3});
  ASSERT_NE(telemetry.text(kNow).find("rl@p"), std::string::npos);
  Decision next = decision();
  next.deployments.erase(kRl);
  telemetry.decided(next, seen(), Duration{3});
  EXPECT_EQ(telemetry.text(kNow).find("rl@p"), std::string::npos);
}

TEST(Telemetry, ShowsHowOftenTheReserveWasTooSmall) {
  Telemetry telemetry("1.2.3");
  Decision learnt = decision();
  learnt.why.push_back({Stage::need, "need.missed", kChat.value, {{"missed_percent", 1.5}}});
  telemetry.decided(learnt, seen(), Duration{3});
  EXPECT_EQ(value(telemetry, R"(ebb_deployment_missed_horizons_ratio{deployment="chat@p"})"), "0.015");
  telemetry.decided(decision(), seen(), Duration{3});
  EXPECT_EQ(value(telemetry, R"(ebb_deployment_missed_horizons_ratio{deployment="chat@p"})"), "absent");
}

TEST(Telemetry, AReasonGoesToZeroWhenItNoLongerHolds) {
  Telemetry telemetry("1.2.3");
  Decision held = decision();
  held.why.push_back({Stage::guardrails, "guardrails.frozen", "rl@p", {}});
  held.why.push_back({Stage::freshness, "freshness.ok", "", {}});
  telemetry.decided(held, seen(), Duration{3});
  EXPECT_EQ(value(telemetry, R"(ebb_held_reason{rule="guardrails.frozen"})"), "1");
  EXPECT_EQ(value(telemetry, R"(ebb_held_reason{rule="freshness.ok"})"), "absent") << "nothing is held back by it";
  telemetry.decided(decision(), seen(), Duration{3});
  EXPECT_EQ(value(telemetry, R"(ebb_held_reason{rule="guardrails.frozen"})"), "0");
}

TEST(Telemetry, NamesThatNobodyConfiguredNeverBecomeLabels) {
  Telemetry telemetry("1.2.3");
  Decision alarming = decision();
  for (int i = 0; i < 100; ++i) alarming.alarms.push_back({"leases.failed", "stranger-" + std::to_string(i)});
  alarming.alarms.push_back({"leases.lost", "rl@p"});
  alarming.alarms.push_back({"freshness.fleet", "f"});
  telemetry.decided(alarming, seen(), Duration{3});
  EXPECT_EQ(value(telemetry, R"(ebb_alarm{rule="leases.failed",subject="other"})"), "1");
  EXPECT_EQ(value(telemetry, R"(ebb_alarm{rule="leases.lost",subject="rl@p"})"), "1");
  EXPECT_EQ(value(telemetry, R"(ebb_alarm{rule="freshness.fleet",subject="f"})"), "1");
  EXPECT_EQ(telemetry.text(kNow).find("stranger"), std::string::npos);
  telemetry.decided(decision(), seen(), Duration{3});
  EXPECT_EQ(telemetry.text(kNow).find("ebb_alarm{"), std::string::npos) << "an alarm that is over is gone";
}

TEST(Telemetry, CountersBeginAtZero) {
  Telemetry telemetry("1.2.3");
  EXPECT_EQ(value(telemetry, R"(ebb_actions_total{kind="drain",outcome="failed"})"), "0");
  EXPECT_EQ(value(telemetry, R"(ebb_decisions_total{early="true"})"), "0");
  Action action;
  Outcome outcome;
  outcome.kind = OutcomeKind::failed;
  telemetry.outcome(action, outcome);
  EXPECT_EQ(value(telemetry, R"(ebb_actions_total{kind="drain",outcome="failed"})"), "1");
}

TEST(Telemetry, ARefusedReloadKeepsWhatIsInForce) {
  Telemetry telemetry("1.2.3");
  telemetry.config_reload(true, kNow, config("aaaa"));
  telemetry.config_reload(false, kNow + Duration{60'000}, config("aaaa"));
  EXPECT_EQ(value(telemetry, "ebb_config_last_reload_successful"), "0");
  EXPECT_EQ(value(telemetry, "ebb_config_last_reload_success_timestamp_seconds"), "1767225600");
  EXPECT_EQ(value(telemetry, R"(ebb_config_info{hash="aaaa"})"), "1");
  telemetry.config_reload(true, kNow + Duration{90'000}, config("bbbb"));
  EXPECT_EQ(value(telemetry, "ebb_config_last_reload_successful"), "1");
  EXPECT_EQ(value(telemetry, R"(ebb_config_info{hash="aaaa"})"), "absent");
  EXPECT_EQ(value(telemetry, R"(ebb_config_info{hash="bbbb"})"), "1");
}

TEST(Telemetry, TheLedgerAndTheLoopAreWatched) {
  Telemetry telemetry("1.2.3");
  EXPECT_EQ(value(telemetry, "ebb_ledger_up"), "1");
  telemetry.ledger(false);
  EXPECT_EQ(value(telemetry, "ebb_ledger_up"), "0");
  EXPECT_EQ(value(telemetry, "ebb_ledger_failures_total"), "1");
  telemetry.ledger(true);
  EXPECT_EQ(value(telemetry, "ebb_ledger_up"), "1");
  telemetry.loop_progress(kNow);
  EXPECT_EQ(value(telemetry, "ebb_loop_since_progress_seconds", kNow + Duration{2'500}), "2.5");
}

/// "name type{label,label}" of every family and series shape, sorted.
std::set<std::string> shapes(const std::string& text) {
  std::set<std::string> out;
  std::string type;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) type = line.substr(line.rfind(' ') + 1);
    if (line.starts_with("#")) continue;
    std::string shape = line.substr(0, line.find_first_of("{ ")) + " " + type + "{";
    if (line.find('{') != std::string::npos) {
      // Every label is name="value"; values of this test hold no quotes.
      const std::string labels = line.substr(line.find('{') + 1, line.rfind('}') - line.find('{') - 1);
      std::istringstream parts(labels);
      for (std::string part; std::getline(parts, part, ',');)
        shape += (shape.back() == '{' ? "" : ",") + part.substr(0, part.find('='));
    }
    out.insert(shape + "}");
  }
  return out;
}

// Names and labels are what dashboards and alerts are built on; EBB_UPDATE_GOLDEN=1 writes the file anew.
TEST(Telemetry, NamesAndLabelsAreAsPublished) {
  Telemetry telemetry("1.2.3");
  Decision full = decision();
  full.why.push_back({Stage::guardrails, "guardrails.frozen", "rl@p", {}});
  full.why.push_back({Stage::need, "need.missed", "chat@p", {{"missed_percent", 1.5}}});
  full.alarms.push_back({"leases.lost", "rl@p"});
  telemetry.observed(seen(), Duration{1});
  telemetry.decided(full, seen(), Duration{1});
  telemetry.config_reload(true, kNow, config("aaaa"));
  std::string now;
  for (const std::string& shape : shapes(telemetry.text(kNow))) now += shape + "\n";
  const std::string path = std::string(EBB_SOURCE_DIR) + "/tests/golden/metrics.txt";
  if (std::getenv("EBB_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << now;
  std::stringstream golden;
  golden << std::ifstream(path).rdbuf();
  EXPECT_EQ(now, golden.str());
}

}  // namespace
}  // namespace ebb
