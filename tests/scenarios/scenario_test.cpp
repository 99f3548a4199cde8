// Runs every *.yaml of this folder: traffic over minutes against a simulated fleet, faults, and what must be true when.
// After the last expectation the traffic stays as it is and, once settled, five ticks must plan nothing.
//
//   name, pool {gpus, headroom, quiet_window}, service {owner, target, min, max, stabilisation, blind_after},
//   job {gpus, grow_step, grow_cooldown, reclaim_cooldown, guarantee}, fleet {startup, drain}, warm_up
//   traffic: [[time, in flight], ...]       linear in between
//   faults:  [{from, to, kind: metrics_missing | fleet_dark}]
//   overrides: [{at, until, kind, target, replicas}]
//   expect:  [{at, rl|chat|need|target: N, or rl_at_least / rl_at_most / ..., says: rule}]
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/world.hpp"

namespace ebb::testing {
namespace {

double seconds(const YAML::Node& node, double otherwise = 0) {
  if (!node) return otherwise;
  const auto span = duration_from(node.as<std::string>());
  if (!span) throw std::runtime_error("not a duration: " + node.as<std::string>());
  return static_cast<double>(span->count()) / 1000;
}
Duration span(const YAML::Node& node, double otherwise = 0) {
  return Duration{static_cast<std::int64_t>(seconds(node, otherwise) * 1000)};
}
int number(const YAML::Node& node, int otherwise) { return node ? node.as<int>() : otherwise; }

Config config_of(const YAML::Node& s) {
  Config config = small_config();
  config.warm_up = span(s["warm_up"]);
  config.pools[0].gpus = {number(s["pool"]["gpus"], 8)};
  config.pools[0].headroom = {number(s["pool"]["headroom"], 0)};
  config.pools[0].quiet_window = span(s["pool"]["quiet_window"]);
  ServiceConfig& chat = config.services[0];
  const YAML::Node service = s["service"];
  chat.owner = service["owner"] && service["owner"].as<std::string>() == "external" ? Owner::external : Owner::ebb;
  chat.capacity = tracking(number(service["target"], 8), seconds(service["stabilisation"]), 0.1);
  chat.blind_after = span(service["blind_after"], 300);
  chat.deployments[0].min = {number(service["min"], 1)};
  chat.deployments[0].max = {number(service["max"], 8)};
  JobConfig& rl = config.jobs[0];
  const YAML::Node job = s["job"];
  rl.deployments[0].gpus_per_replica = {number(job["gpus"], 1)};
  rl.grow_step = {number(job["grow_step"], 64)};
  rl.guarantee = {number(job["guarantee"], 0)};
  rl.grow_cooldown = span(job["grow_cooldown"]);
  rl.reclaim_cooldown = span(job["reclaim_cooldown"]);
  return config;
}

double traffic_at(const YAML::Node& traffic, double t) {
  double before_t = 0, before = traffic[0][1].as<double>();
  for (const YAML::Node& point : traffic) {
    const double at = seconds(point[0]), value = point[1].as<double>();
    if (t <= at) return at == before_t ? value : before + (value - before) * (t - before_t) / (at - before_t);
    before_t = at;
    before = value;
  }
  return before;
}

bool active(const YAML::Node& faults, const std::string& kind, double t) {
  for (const YAML::Node& fault : faults) {
    if (fault["kind"].as<std::string>() == kind && t >= seconds(fault["from"]) && t < seconds(fault["to"])) return true;
  }
  return false;
}

class Scenario {
 public:
  explicit Scenario(const YAML::Node& node) : node_(node), config_(config_of(node)) {
    world_.startup = span(node["fleet"]["startup"], 10);
    world_.drain = span(node["fleet"]["drain"], 5);
    state_.started_at = kStart;
  }

  void run() {
    double t = 0;
    for (const YAML::Node& expected : node_["expect"]) {
      for (const double until = seconds(expected["at"]); t < until; t += 5) tick(t + 5);
      expect(expected, t);
    }
    for (int i = 0; i < 240; ++i) tick(t += 5);
    for (int i = 0; i < 5; ++i) {
      tick(t += 5);
      EXPECT_TRUE(last_.plan.actions.empty()) << "does not settle\n" << story(last_);
    }
  }

 private:
  void tick(double t) {
    const TimePoint now = at_second(t);
    world_.advance(now);
    for (const YAML::Node& entry : node_["overrides"]) apply_override(entry, t);
    const bool metrics = !active(node_["faults"], "metrics_missing", t);
    Observation seen = observe(world_, traffic_at(node_["traffic"], t), now, metrics);
    if (active(node_["faults"], "fleet_dark", t)) seen.fleets[kFleet] = Missing{"unreadable", now};
    last_ = decide(seen, state_, config_, now);
    state_ = last_.next;
    world_.apply(last_.plan, now);
    world_.forget_gone(state_);
    ASSERT_LE(world_.held().count, config_.pools[0].gpus.count) << story(last_);
  }

  void apply_override(const YAML::Node& entry, double t) {
    if (t < seconds(entry["at"]) || t >= seconds(entry["at"]) + 5) return;
    Override value;
    value.id = OverrideId("o-" + entry["at"].as<std::string>());
    const auto kind = entry["kind"].as<std::string>();
    value.kind = kind == "pin" ? OverrideKind::pin : kind == "freeze" ? OverrideKind::freeze : OverrideKind::drain_all;
    value.target = entry["target"] ? entry["target"].as<std::string>() : "";
    value.replicas = {number(entry["replicas"], 0)};
    value.expires_at = at_second(seconds(entry["until"]));
    state_.overrides[value.id] = value;
  }

  void expect(const YAML::Node& expected, double t) {
    const std::map<std::string, int> values{{"rl", world_.count(kRl, true)},
                                            {"rl_held", world_.count(kRl, false)},
                                            {"chat", world_.count(kChat, true)},
                                            {"need", last_.deployments.at(kChat).need.count},
                                            {"target", last_.deployments.at(kRl).target.count}};
    for (const auto& entry : expected) {
      const auto key = entry.first.as<std::string>();
      if (key == "at") continue;
      const std::string where =
          "at " + std::to_string(t) + " s, line " + std::to_string(entry.first.Mark().line + 1) + "\n";
      if (key == "says") {
        EXPECT_TRUE(says(last_, entry.second.as<std::string>())) << where << story(last_);
        continue;
      }
      const auto at = key.find("_at_");
      const int value = values.at(key.substr(0, at));
      const int wanted = entry.second.as<int>();
      if (at == std::string::npos) {
        EXPECT_EQ(value, wanted) << key << ' ' << where << story(last_);
      } else if (key.substr(at) == "_at_least") {
        EXPECT_GE(value, wanted) << key << ' ' << where << story(last_);
      } else {
        EXPECT_LE(value, wanted) << key << ' ' << where << story(last_);
      }
    }
  }

  YAML::Node node_;
  Config config_;
  State state_;
  World world_;
  Decision last_;
};

std::vector<std::string> files() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(EBB_SOURCE_DIR) + "/tests/scenarios")) {
    if (entry.path().extension() == ".yaml") out.push_back(entry.path().stem().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

class Scenarios : public ::testing::TestWithParam<std::string> {};

TEST_P(Scenarios, ComesTrue) {
  Scenario(YAML::LoadFile(std::string(EBB_SOURCE_DIR) + "/tests/scenarios/" + GetParam() + ".yaml")).run();
}

INSTANTIATE_TEST_SUITE_P(Files, Scenarios, ::testing::ValuesIn(files()), [](const auto& file) { return file.param; });

}  // namespace
}  // namespace ebb::testing
