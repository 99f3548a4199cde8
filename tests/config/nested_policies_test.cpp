// Policies with lists, zones and policies of their own, out of YAML.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "policies/registry.hpp"

#include "config/describe.hpp"
#include "config/load.hpp"

namespace ebb {
namespace {

std::string with_capacity(const std::string& capacity) {
  return "pools: [{name: p, gpus: 8}]\n"
         "services:\n"
         "  - name: chat\n"
         "    capacity: " +
         capacity +
         "\n"
         "    deployments: [{pool: p, max: 4, sources: [{targets: [\"http://127.0.0.1:8000\"]}]}]\n";
}

Config loaded(const std::string& capacity) {
  const Loaded out = load_config_text(with_capacity(capacity), "x.yaml");
  EXPECT_TRUE(out.config) << to_text(out.problems);
  return out.config.value_or(Config{});
}

constexpr const char* kNested =
    "{policy: max_of, policies: [{policy: fixed, replicas: 3}, {tolerance: 0.2}, "
    "{policy: schedule, time_zone: Europe/Berlin, windows: [{days: [mon-fri], from: \"08:00\", to: \"20:00\", "
    "replicas: 9}]}]}";

int need_at(const Config& config, const char* at) {
  const DeploymentId id("chat@p");
  std::map<std::string, SignalSeen> signals;
  signals["in_flight"].value = Sample<double>{1, from_iso(at).value()};
  const PolicyMemory memory;
  const CapacityInput input{.deployment = id,
                            .signals = signals,
                            .ready = Replicas{1},
                            .min = Replicas{0},
                            .max = Replicas{100},
                            .reclaim = Duration{60'000},
                            .memory = memory,
                            .now = from_iso(at).value()};
  return config.services.at(0).capacity->propose(input).need.count;
}

TEST(NestedPolicies, AreReadWithTheirOptions) {
  const Config config = loaded(kNested);
  EXPECT_EQ(need_at(config, "2026-07-15T06:00:00Z"), 9) << "08:00 in Berlin, on a Wednesday";
  EXPECT_EQ(need_at(config, "2026-07-15T05:59:59Z"), 3);
  EXPECT_EQ(need_at(config, "2026-01-14T06:30:00Z"), 3) << "07:30 in winter";
}

TEST(NestedPolicies, DescribeReadsBackAsItself) {
  for (const char* capacity :
       {kNested, "{policy: schedule}", "{policy: surge}", "{policy: threshold}", "{policy: predictive}",
        "{policy: seasonal, time_zone: Asia/Kolkata}",
        "{policy: exec, command: [python3, advise.py, \"a b\"], deadline: 100ms, fallback: {policy: seasonal, bin: "
        "1h}}",
        "{policy: plugin, path: /opt/plugin.so}", "{policy: plugin, path: /opt/plugin.so, fallback: {tolerance: 0.2}}",
        "{policy: max_of, policies: [{policy: seasonal, bin: 1h}]}"}) {
    const Config config = loaded(capacity);
    const std::string text = describe(config);
    const Loaded again = load_config_text(text, "again.yaml");
    ASSERT_TRUE(again.config) << to_text(again.problems) << text;
    EXPECT_EQ(describe(*again.config), text);
    EXPECT_EQ(again.config->hash, config.hash);
  }
}

TEST(NestedPolicies, AskForSignalsTheSourcesMustGive) {
  const Loaded out = load_config_text(
      with_capacity("{policy: max_of, policies: [{policy: surge, signals: [{signal: in_flght}]}]}"), "x.yaml");
  ASSERT_FALSE(out.config);
  EXPECT_NE(to_text(out.problems).find("did you mean 'in_flight'?"), std::string::npos) << to_text(out.problems);
}

TEST(NestedPolicies, StandInTheSchemaOneLevelDeep) {
  const auto schema = nlohmann::json::parse(config_schema());
  const auto& choices = schema.at("properties").at("services").at("items").at("properties").at("capacity").at("oneOf");
  for (const auto& choice : choices) {
    if (choice.at("properties").at("policy").at("const") != "max_of") continue;
    std::vector<std::string> inner;
    for (const auto& one : choice.at("properties").at("policies").at("items").at("oneOf")) {
      inner.push_back(one.at("properties").at("policy").at("const"));
    }
    const auto expected = inner_capacity_policies();
    EXPECT_EQ(inner, std::vector<std::string>(expected.begin(), expected.end()));
    return;
  }
  FAIL() << "no max_of";
}

TEST(Seasonal, AProfileOfAnotherZoneIsNotUsed) {
  const auto in_zone = [](const std::string& zone) {
    return loaded("{policy: seasonal, period: day, bin: 1h, lead: 0s, time_zone: " + zone + "}").services[0].capacity;
  };
  const auto tokyo = in_zone("Asia/Tokyo"), utc = in_zone("UTC");
  const DeploymentId chat("chat@p");
  PolicyMemory memory;
  const auto says = [&](const CapacityPolicy& policy, int hour) {
    const TimePoint now{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + std::chrono::hours{hour}};
    std::map<std::string, SignalSeen> signals;
    signals["in_flight"].value = Sample<double>{160, now};
    const CapacityProposal proposal =
        policy.propose({chat, signals, Replicas{1}, Replicas{0}, Replicas{99}, Duration{0}, memory, now, {}});
    memory = proposal.memory;
    return proposal.why.back().rule;
  };
  for (int hour = 0; hour < 30; ++hour) (void)says(*utc, hour);
  EXPECT_EQ(says(*utc, 30), "need.seasonal");
  EXPECT_EQ(says(*tokyo, 31), "need.unlearnt");
}

}  // namespace
}  // namespace ebb
