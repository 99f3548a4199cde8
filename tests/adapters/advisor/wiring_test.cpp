// Which advisers and load sources a configuration gets, and what a reload makes of advisers.
#include "adapters/factory.hpp"
#include "config/load.hpp"
#include "tests/adapters/advisor/rig.hpp"
#include "tests/support/fake_http.hpp"

namespace ebb::testing {
namespace {

Config loaded(const std::string& capacity) {
  const Loaded out = load_config_text(
      "pools: [{name: p, gpus: 8}, {name: q, gpus: 8}]\n"
      "services:\n"
      "  - name: chat\n"
      "    capacity: " +
          capacity +
          "\n"
          "    deployments:\n"
          "      - {pool: p, max: 4, sources: [{targets: [\"http://127.0.0.1:8000\"]}]}\n"
          "      - {pool: q, max: 4, sources: [{targets: [\"http://127.0.0.1:8001\"]}]}\n",
      "x.yaml");
  EXPECT_TRUE(out.config) << to_text(out.problems);
  return out.config.value_or(Config{});
}

class AdvisersOfAConfiguration : public ::testing::Test {
 protected:
  std::shared_ptr<const ExecAdvisor> advisor(const Wiring& wiring, const char* id = "chat@p") {
    return std::dynamic_pointer_cast<const ExecAdvisor>(wiring.advisors.at(DeploymentId(id)));
  }
  boost::asio::io_context io;
  SkippingClock clock{io.get_executor()};
  test::FakeHttp http;
  FactoryParts parts{io.get_executor(), http, clock, "/bin/shim", "/bin/host"};
};

TEST_F(AdvisersOfAConfiguration, AreOneForEachServiceThatAsks) {
  EXPECT_TRUE(make_wiring(loaded("{policy: fixed}"), nullptr, parts)->advisors.empty());
  const auto exec = make_wiring(loaded("{policy: exec, command: [advise, now], deadline: 100ms}"), nullptr, parts);
  ASSERT_EQ(exec->advisors.size(), 2u);
  EXPECT_EQ(advisor(*exec), advisor(*exec, "chat@q"));
  EXPECT_EQ(advisor(*exec)->options().command, (std::vector<std::string>{"advise", "now"}));
  EXPECT_EQ(advisor(*exec)->wants(), Duration{100});
  const auto plugin = make_wiring(loaded("{policy: plugin, path: /x.so}"), nullptr, parts);
  EXPECT_EQ(advisor(*plugin)->options().command, (std::vector<std::string>{"/bin/host", "/x.so"}));
}

TEST_F(AdvisersOfAConfiguration, SurviveAReloadThatIsNotAboutThem) {
  const auto before = make_wiring(loaded("{policy: exec, command: [advise]}"), nullptr, parts);
  const auto other =
      make_wiring(loaded("{policy: exec, command: [advise], fallback: {policy: fixed}}"), before.get(), parts);
  EXPECT_EQ(advisor(*other), advisor(*before));
  const auto changed = make_wiring(loaded("{policy: exec, command: [other]}"), before.get(), parts);
  EXPECT_NE(advisor(*changed), advisor(*before));
}

TEST_F(AdvisersOfAConfiguration, ReplicasOfAJobAreAskedWhereItsVictimsDependOnIt) {
  const Loaded out = load_config_text(
      "pools: [{name: p}]\n"
      "fleets: [{name: f, pool: p}]\n"
      "jobs:\n"
      "  - name: one\n"
      "    victim: {policy: least_lost}\n"
      "    deployments: [{pool: p, fleet: f, command: [x, \"{port}\"],\n"
      "                   sources: [{dialect: vllm}]}]\n"
      "  - {name: other, deployments: [{pool: p, fleet: f, command: [x, \"{port}\"]}]}\n",
      "x.yaml");
  ASSERT_TRUE(out.config) << to_text(out.problems);
  const auto wiring = make_wiring(*out.config, nullptr, parts);
  ASSERT_EQ(wiring->loads.size(), 1U);
  http.serve("http://rl-0:1/metrics",
             "vllm:num_requests_running{model_name=\"m\"} 2\nvllm:num_requests_waiting{model_name=\"m\"} 1\n");
  const Reading<ReplicaLoads> loads = test::run(
      wiring->loads.at(DeploymentId("one@p"))->loads({{"rl-0", "http://rl-0:1"}}, clock.now() + Duration{800}));
  ASSERT_TRUE(loads.known()) << loads.missing()->why;
  EXPECT_EQ(loads.value(), (ReplicaLoads{{ReplicaId("rl-0"), 3}}));
}

}  // namespace
}  // namespace ebb::testing
