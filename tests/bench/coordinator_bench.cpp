// Coordination overhead: 200 replicas in 8 deployments, a real ledger and a real clock, engines that answer at once.
// Goals: from a publication to all signals at most 150 ms (p99), from the last replica to `serving` at most one poll.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <numeric>

#include "daemon/ports/spawn.hpp"
#include "daemon/runtime/snapshot_coordinator.hpp"
#include "daemon/runtime/sqlite_ledger.hpp"
#include "daemon/runtime/system_clock.hpp"
#include "policies/registry.hpp"
#include "tests/runtime/temp_dir.hpp"
#include "tests/support/fake_hotload.hpp"

namespace ebb {
namespace {

const JobId kJob("rl");
constexpr int kDeployments = 8;
constexpr int kReplicas = 25;
constexpr int kSnapshots = 100;
constexpr Duration kLoad{100};
constexpr Duration kPoll{50};

/// Notes when its signal came.
class Timed final : public Hotload {
 public:
  explicit Timed(Clock& clock) : clock_(clock), engines(clock) {}
  [[nodiscard]] HotloadCapabilities capabilities() const override { return engines.can; }
  awaitable<Result<HotloadSeen>> look(std::vector<EngineAddress> all, TimePoint deadline) override {
    return engines.look(std::move(all), deadline);
  }
  awaitable<Status> signal(LoadOrder order, std::vector<EngineAddress> all, TimePoint deadline) override {
    signalled = clock_.now();
    return engines.signal(std::move(order), std::move(all), deadline);
  }
  awaitable<Status> stage(LoadOrder, std::vector<EngineAddress>, TimePoint) override { co_return Done(); }
  awaitable<Status> pause(LoadOrder, std::vector<EngineAddress>, TimePoint) override { co_return Done(); }
  awaitable<Status> resume(std::vector<EngineAddress>, TimePoint) override { co_return Done(); }
  awaitable<Status> reset(TimePoint) override { co_return Done(); }

 private:
  Clock& clock_;

 public:
  test::FakeHotload engines;
  TimePoint signalled{};
};

struct Figures {
  std::vector<std::int64_t> signals_ms, serving_ms;
};

awaitable<void> steps(SnapshotCoordinator& coordinator, Clock& clock, std::vector<std::shared_ptr<Timed>>& sites,
                      Figures& figures, boost::asio::io_context& io) {
  std::string parent;
  (void)co_await coordinator.recover();
  coordinator.start();
  co_await clock.sleep_until(clock.now() + 4 * kPoll);
  for (int step = 0; step < kSnapshots; ++step) {
    Publication said;
    said.identity = Identity("s" + std::to_string(step));
    said.kind = step % 25 == 0 ? SnapshotKind::full : SnapshotKind::incremental;
    if (step % 25 != 0) said.parent = Identity(parent);
    parent = said.identity.value;
    Identity name = said.identity;
    const TimePoint began = clock.now();
    const auto taken = co_await coordinator.publish(kJob, std::move(said));
    const TimePoint until = began + Duration{10'000};
    const auto ended = co_await coordinator.ended(kJob, std::move(name), until);
    if (!taken.ok() || !ended.ok() || ended->phase != SnapshotPhase::serving)
      std::cerr << "step " << step << " failed\n";
    TimePoint last{};
    for (const auto& site : sites) last = std::max(last, site->signalled);
    figures.signals_ms.push_back((last - began).count());
    figures.serving_ms.push_back((clock.now() - last - kLoad).count());
  }
  coordinator.stop();
  io.stop();
}

void print(const char* what, std::vector<std::int64_t> ms) {
  std::sort(ms.begin(), ms.end());
  std::printf("%-34s p50 %4lld ms   p99 %4lld ms   worst %4lld ms\n", what, static_cast<long long>(ms[ms.size() / 2]),
              static_cast<long long>(ms[ms.size() * 99 / 100]), static_cast<long long>(ms.back()));
}

int measure() {
  const test::TempDir dir;
  struct Io : boost::asio::io_context {
    void drop() { shutdown(); }  // frames refer to what is below
  } io;
  SystemClock clock(io.get_executor());
  auto config = std::make_shared<Config>();
  config->mode = Mode::act;
  JobConfig job;
  job.name = kJob;
  job.snapshots.enabled = true;
  job.snapshots.cadence = make_cadence("every");
  job.snapshots.poll_interval = kPoll;
  auto wiring = std::make_shared<SnapshotWiring>();
  std::vector<std::shared_ptr<Timed>> sites;
  for (int i = 0; i < kDeployments; ++i) {
    DeploymentConfig site;
    site.id = DeploymentId("rl@" + std::to_string(i));
    auto hotload = std::make_shared<Timed>(clock);
    hotload->engines.answer_time = Duration{0};
    hotload->engines.load_time = kLoad;
    for (int r = 0; r < kReplicas; ++r) hotload->engines.engines[ReplicaId(site.id.value + "-" + std::to_string(r))];
    wiring->hotloads[site.id] = hotload;
    sites.push_back(hotload);
    job.deployments.push_back(site);
  }
  config->jobs.push_back(job);
  auto ledger = SqliteLedger::open(dir / "ebb.db", LedgerConfig(), "bench");
  if (!ledger.ok()) return 1;
  Figures figures;
  SnapshotCoordinator coordinator(io.get_executor(), {clock, **ledger, [&] { return config; }, [&] { return wiring; },
                                                      [](const JobConfig&) { return JobFleet(); }, [] {}});
  spawn(io.get_executor(), steps(coordinator, clock, sites, figures, io));
  io.run();
  (*ledger)->close();
  io.drop();
  print("publication to the last signal", figures.signals_ms);
  print("last replica loaded to serving", figures.serving_ms);
  return figures.signals_ms.size() == kSnapshots ? 0 : 1;
}

}  // namespace
}  // namespace ebb

int main() { return ebb::measure(); }
