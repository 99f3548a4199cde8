// The real coordinator over the adapters, stand-in engines and HTTP; time is real.
#include <gmock/gmock.h>

#include <cstdlib>
#include <random>

#include "daemon/runtime/snapshot_coordinator.hpp"
#include "policies/registry.hpp"
#include "tests/adapters/engines/rig.hpp"
#include "tests/support/fake_hotload.hpp"

namespace ebb::test {
namespace {

const JobId kJob("rl");
const DeploymentId kSite("rl@pool");

/// A rig whose daemon has a coordinator; the ledger outlives it.
struct Site : EngineRig {
  explicit Site(HotloadKind kind, int count) : EngineRig(kind) {
    config->mode = Mode::act;
    JobConfig job;
    job.name = kJob;
    job.snapshots.enabled = true;
    job.snapshots.cadence = make_cadence("every");
    job.snapshots.poll_interval = Duration{20};
    job.snapshots.settle = Duration{300};
    job.snapshots.retry_first = Duration{50};
    job.snapshots.retry_max = Duration{200};
    job.snapshots.signal_timeout = Duration{5'000};
    job.snapshots.load_timeout = Duration{15'000};
    DeploymentConfig site;
    site.id = kSite;
    job.deployments.push_back(site);
    config->jobs.push_back(job);
    for (int i = 0; i < count; ++i) add();
  }
  ~Site() { kill(); }

  void live() {
    auto made_wiring = std::make_shared<SnapshotWiring>();
    life->adapter = made();
    made_wiring->hotloads[kSite] = life->adapter;
    wiring = made_wiring;
    SnapshotCoordinator::Parts parts{life->clock,
                                     ledger,
                                     [this] { return config; },
                                     [this] { return wiring; },
                                     [this](const JobConfig&) { return fleet(); },
                                     [] {}};
    coordinator = std::make_unique<SnapshotCoordinator>(life->io.get_executor(), std::move(parts));
    ASSERT_TRUE(run(coordinator->recover()).ok());
    coordinator->start();
  }
  void kill() {
    // Its frames go first, since they refer to it, and its timers before the loop that they belong to.
    life->adapter.reset();
    life->http.stop();
    life->io.drop();
    coordinator.reset();
    wiring.reset();
    life.reset();
    life = std::make_unique<Life>();
  }
  [[nodiscard]] JobFleet fleet() const {
    JobFleet out;
    out.engines[kSite] = addresses();
    return out;
  }
  bool publish(const std::string& name) {
    Publication said;
    said.identity = Identity(name);
    const auto answer = run(coordinator->publish(kJob, said));
    EXPECT_TRUE(answer.ok()) << (answer.ok() ? "" : answer.error().what);
    return answer.ok();
  }
  std::string phase(const std::string& name) {
    const Result<Snapshot> now = run(coordinator->ended(kJob, Identity(name), TimePoint{}));
    return now.ok() ? to_string(now->phase) : now.error().what;
  }
  bool reaches(const std::string& name, const std::string& wanted) {
    const bool there = until([&] { return phase(name) == wanted; });
    EXPECT_TRUE(there) << name << " is " << phase(name);
    return there;
  }
  bool nobody_stands_still() {
    return until([&] {
      for (auto& one : engines) {
        if (one->is_up() && one->service().engine().is_paused()) return false;
      }
      return true;
    });
  }

  std::shared_ptr<Config> config = std::make_shared<Config>();
  std::shared_ptr<const SnapshotWiring> wiring;
  MemoryWeightsLedger ledger;
  std::unique_ptr<SnapshotCoordinator> coordinator;
};

class Coordinated : public ::testing::TestWithParam<HotloadKind> {};
INSTANTIATE_TEST_SUITE_P(Engines, Coordinated, ::testing::Values(HotloadKind::vllm, HotloadKind::sglang),
                         [](const auto& one) { return one.param == HotloadKind::vllm ? "vllm" : "sglang"; });

TEST_P(Coordinated, SnapshotsReachEveryReplicaAndOneThatJoinsLater) {
  Site site(GetParam(), 2);
  site.live();
  for (int step = 1; step <= 3; ++step) {
    const std::string name = "s" + std::to_string(step);
    const std::string digest = site.write(name, static_cast<std::uint64_t>(step));
    ASSERT_TRUE(site.publish(name));
    ASSERT_TRUE(site.reaches(name, "serving"));
    for (auto& one : site.engines) EXPECT_EQ(one->weights().weights().digest, digest);
  }
  StandIn& late = site.add();
  ASSERT_TRUE(site.until([&] { return site.coordinator->standing(kJob)->current.size() == 3; }));
  EXPECT_EQ(site.complete(late, "x").at("system_fingerprint"), "s3");
  EXPECT_TRUE(site.nobody_stands_still());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(site.engines[static_cast<std::size_t>(i)]->weights().loads_begun(), 3);
}

TEST_P(Coordinated, TheEndOfAnUpdateIsHeardOfBeforeThePollIsDue) {
  Site site(GetParam(), 2);
  site.config->jobs[0].snapshots.poll_interval = Duration{3'600'000};
  site.live();
  for (int step = 1; step <= 2; ++step) {
    const std::string name = "s" + std::to_string(step);
    site.write(name, static_cast<std::uint64_t>(step));
    ASSERT_TRUE(site.publish(name));
    ASSERT_TRUE(site.reaches(name, "serving"));
  }
  EXPECT_TRUE(site.nobody_stands_still());
}

TEST_P(Coordinated, AReplicaThatRestartsWithItsBaseWeightsIsBroughtUpToDate) {
  Site site(GetParam(), 2);
  site.live();
  site.write("s1", 1);
  ASSERT_TRUE(site.publish("s1"));
  ASSERT_TRUE(site.reaches("s1", "serving"));
  ASSERT_TRUE(site.nobody_stands_still());
  site.engines[0]->end();
  site.engines[0]->begin();
  ASSERT_TRUE(site.until([&] { return site.engines[0]->weights().version() == "s1"; }));
  ASSERT_TRUE(site.until([&] { return site.coordinator->standing(kJob)->current.size() == 2; }));
  EXPECT_TRUE(site.nobody_stands_still());
  EXPECT_EQ(site.engines[1]->weights().loads_begun(), 1) << "the other one has it already";
}

TEST_P(Coordinated, AReplicaThatReportsAnotherVersionFailsTheSnapshotAndAFullOneMendsIt) {
  Site site(GetParam(), 2);
  site.live();
  site.write("s1", 1);
  site.write("s2", 2);
  site.engines[1]->fault("update-wrong-version");
  ASSERT_TRUE(site.publish("s1"));
  ASSERT_TRUE(site.reaches("s1", "failed"));
  ASSERT_TRUE(site.nobody_stands_still());
  site.engines[1]->service().clear_faults();
  ASSERT_TRUE(site.publish("s2"));
  ASSERT_TRUE(site.reaches("s2", "serving"));
  ASSERT_TRUE(site.nobody_stands_still());
}

TEST_P(Coordinated, KilledDuringALoadItLosesNothingRepeatsNoWholeLoadAndLeavesNobodyPaused) {
  const char* given = std::getenv("EBB_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed) + " (EBB_SEED repeats it)");
  std::mt19937_64 random(seed);
  Site site(GetParam(), 2);
  site.engine.updates.load_time_s = 0.3;
  for (auto& one : site.engines) {
    one->end();
    one->config().updates.load_time_s = 0.3;
    one->begin();
  }
  site.live();
  for (int step = 1; step <= 4; ++step) {
    const std::string name = "s" + std::to_string(step);
    const int before = site.engines[0]->weights().loads_begun();
    site.write(name, static_cast<std::uint64_t>(step));
    ASSERT_TRUE(site.publish(name));
    const auto loads_everywhere = [&] {
      return site.engines[0]->weights().is_loading() && site.engines[1]->weights().is_loading();
    };
    ASSERT_TRUE(site.until(loads_everywhere));
    site.until([] { return false; }, Duration{static_cast<std::int64_t>(random() % 350)});
    site.kill();
    site.live();
    ASSERT_TRUE(site.reaches(name, "serving"));
    ASSERT_TRUE(site.nobody_stands_still());
    EXPECT_EQ(site.complete(*site.engines[0], "x").at("system_fingerprint"), name);
    const int loads = site.engines[0]->weights().loads_begun() - before;
    // vLLM is told the version after the load: one that was cut off from its daemon has to be loaded again.
    EXPECT_LE(loads, GetParam() == HotloadKind::vllm ? 2 : 1);
  }
}

TEST(CoordinatedVllm, ADrainThatTakesTooLongIsTakenBackAndTriedAgain) {
  Site site(HotloadKind::vllm, 1);
  SnapshotsConfig& snapshots = site.config->jobs[0].snapshots;
  snapshots.transition = LoadTransitionMode::sync;
  snapshots.signal_timeout = Duration{300};
  site.live();
  site.write("s1", 1);
  StandIn& one = *site.engines[0];
  const auto call = site.stream(one, 800);
  ASSERT_TRUE(site.publish("s1"));
  ASSERT_TRUE(site.until([&] { return one.asked("POST /resume") > 0; }));
  EXPECT_FALSE(call->has_value()) << "requests do not stand still for a drain that was given up";
  ASSERT_TRUE(site.reaches("s1", "serving"));
  ASSERT_TRUE(site.until([&] { return call->has_value(); }));
  EXPECT_EQ((*call)->tokens, 800);
  EXPECT_EQ((*call)->uses.size(), 1u) << "it ended on the old weights";
  EXPECT_TRUE(site.nobody_stands_still());
}

TEST_P(Coordinated, EnginesWithoutTheirWeightEndpointsFailASnapshotWithTheReason) {
  Site site(GetParam(), 1);
  site.config->jobs[0].snapshots.load_timeout = Duration{1'000};
  site.config->jobs[0].snapshots.signal_timeout = Duration{500};
  site.engines[0]->fault("no-dev-mode");
  site.live();
  site.write("s1", 1);
  ASSERT_TRUE(site.publish("s1"));
  ASSERT_TRUE(site.reaches("s1", "failed"));
  const Result<Snapshot> ended = site.run(site.coordinator->ended(kJob, Identity("s1"), TimePoint{}));
  EXPECT_THAT(ended->reason, ::testing::HasSubstr("answers 404"));
}

}  // namespace
}  // namespace ebb::test
