// A process fleet over real shims, engines, sockets and clocks, in a directory of the test's own.
#pragma once

#include <boost/asio.hpp>
#include <memory>

#include "adapters/http/curl_client.hpp"
#include "adapters/process/process_fleet.hpp"
#include "tests/shim/harness.hpp"
#include "tests/support/ports.hpp"
#include "tests/support/run.hpp"

namespace ebb::test {

class RealClock : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override {
    return std::chrono::floor<Duration>(std::chrono::system_clock::now()) + ahead;
  }
  awaitable<void> sleep_until(TimePoint at) override {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    timer.expires_after(at - now());
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
  Duration ahead{0};  ///< for deadlines that must have passed
};

class ProcessFleetTest : public WithProcesses {
 protected:
  ProcessFleetTest() { ::setenv("EBB_TOKEN", "hush", 1); }
  ~ProcessFleetTest() override {
    fleet_.reset();
    http_.stop();
    io_.restart();
    io_.poll();
  }

  static inline const DeploymentId kRl{"rollouts@main"};
  static inline const DeploymentId kChat{"chat@main"};

  ProcessFleetOptions options(std::vector<std::string> wishes = {"port={port}"}, int gpus = 2) const {
    ProcessFleetOptions out;
    out.fleet.first_port = ports_.first();
    out.fleet.last_port = out.fleet.first_port + Ports::kCount - 1;
    out.fleet.health_interval = Duration{20};
    out.fleet.launcher = Launcher::direct;
    out.gpus = Gpus{gpus};
    out.directory = base_ + "/fleet";
    out.shim_path = kShimProgram;
    out.nvidia_smi = "";
    out.secret_variables = {"MY_SECRET"};
    for (const DeploymentId& id : {kRl, kChat}) {
      ProcessDeployment& deployment = out.deployments[id];
      deployment.config.id = id;
      deployment.config.command = wishes;
      deployment.config.command.insert(deployment.config.command.begin(), kEngineProgram);
      deployment.config.drain_timeout = Duration{60'000};
      deployment.is_rl = id == kRl;
    }
    return out;
  }

  std::shared_ptr<ProcessFleet> made(ProcessFleetOptions wanted) {
    return std::make_shared<ProcessFleet>(std::move(wanted), http_, clock_, io_.get_executor());
  }
  void make(ProcessFleetOptions wanted) { fleet_ = made(std::move(wanted)); }

  FleetSeen view() {
    Result<FleetSeen> seen = run(io_, fleet_->view());
    EXPECT_TRUE(seen.ok()) << (seen.ok() ? "" : seen.error().what);
    return seen.ok() ? *seen : FleetSeen{};
  }
  /// Nothing when the fleet does not show it.
  std::optional<ReplicaSeen> seen(const std::string& id) {
    for (const ReplicaSeen& replica : view().replicas) {
      if (replica.id.value == id) return replica;
    }
    return std::nullopt;
  }
  bool becomes(const std::string& id, ReplicaPhase phase) {
    return eventually([&] {
      const auto replica = seen(id);
      return replica && replica->phase == phase;
    });
  }

  Action action(ActionKind kind, std::vector<std::string> ids, const DeploymentId& deployment = kRl,
                int gpus = 1) const {
    Action out;
    out.kind = kind;
    out.deployment = deployment;
    out.gpus_each = Gpus{gpus};
    out.deadline = clock_.now() + Duration{60'000};
    for (const std::string& id : ids) out.replicas.emplace_back(id);
    return out;
  }
  Result<Fleet::Applied> apply(Action wanted) { return run(io_, fleet_->apply(std::move(wanted))); }
  void start_all(std::vector<std::string> ids, const DeploymentId& deployment = kRl, int gpus = 1) {
    const auto applied = apply(action(ActionKind::start, std::move(ids), deployment, gpus));
    ASSERT_TRUE(applied.ok()) << applied.error().what;
    ASSERT_TRUE(applied->not_started.empty()) << applied->detail;
  }

  std::string dir(const std::string& id) const { return base_ + "/fleet/replicas/" + id; }
  std::string slot(const std::string& name) const { return base_ + "/fleet/slots/" + name + ".lock"; }
  pid_t pid_of(const std::string& id, const char* who) const {
    return json_file(dir(id) + "/replica.json")[who]["pid"];
  }
  bool exists(const std::string& path) const { return std::filesystem::exists(path); }

  Ports ports_;
  boost::asio::io_context io_;
  RealClock clock_;
  CurlClient http_;
  std::shared_ptr<ProcessFleet> fleet_;
};

}  // namespace ebb::test
