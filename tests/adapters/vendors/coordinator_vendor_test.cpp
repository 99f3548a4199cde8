// The coordinator, the vendors' adapters and their stand-ins together: what a trainer and a ledger see.
#include <gmock/gmock.h>

#include "adapters/coreweave/coreweave_hotload.hpp"
#include "adapters/factory.hpp"
#include "adapters/fireworks/fireworks_hotload.hpp"
#include "config/load.hpp"
#include "daemon/runtime/snapshot_coordinator.hpp"
#include "policies/registry.hpp"
#include "tests/adapters/vendors/rig.hpp"
#include "tests/support/fake_hotload.hpp"

namespace ebb::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const JobId kJob("rl");
const DeploymentId kThere("rl@there");

/// A daemon's coordinator over one deployment of a vendor's.
class VendorRun {
 public:
  explicit VendorRun(HotloadKind kind) : kind_(kind) {
    rig.clock.skip(Duration{10'000});
    config->mode = Mode::act;
    JobConfig job;
    job.name = kJob;
    job.snapshots.enabled = true;
    job.snapshots.cadence = make_cadence("every");
    job.snapshots.load_timeout = Duration{60'000};
    job.snapshots.catch_up_timeout = Duration{20'000};
    ElsewhereConfig there;
    there.name = "there";
    there.id = kThere;
    job.snapshots.elsewhere.push_back(there);
    config->jobs.push_back(job);
    auto made = std::make_shared<SnapshotWiring>();
    if (kind == HotloadKind::fireworks) {
      site = &rig.site();
      FireworksHotload::Options options;
      options.config = rig.fireworks_config();
      made->hotloads[kThere] = std::make_shared<FireworksHotload>(std::move(options), rig.http, rig.clock);
    } else {
      rig.coreweave.create(kUuid, 2);
      rig.clock.skip(Duration{3'000});
      CoreweaveHotload::Options options;
      options.config = rig.coreweave_config();
      made->hotloads[kThere] = std::make_shared<CoreweaveHotload>(std::move(options), rig.http, rig.clock);
    }
    wiring = made;
    restart();
  }
  ~VendorRun() { rig.drop(); }
  VendorRun(const VendorRun&) = delete;
  VendorRun& operator=(const VendorRun&) = delete;

  void restart() {
    coordinator.emplace(
        rig.io.get_executor(),
        SnapshotCoordinator::Parts{rig.clock, ledger, [this] { return config; }, [this] { return wiring; },
                                   [](const JobConfig&) { return JobFleet(); }, [] {}});
    EXPECT_TRUE(rig.ask(coordinator->recover()).ok());
    coordinator->start();
    rig.run(Duration{1'100});
  }
  Status publish(const std::string& name, const std::string& parent = "") {
    Publication said;
    said.identity = Identity(name);
    said.run = "run";
    said.parent = Identity(parent);
    said.kind = parent.empty() ? SnapshotKind::full : SnapshotKind::incremental;
    const auto done = rig.ask(coordinator->publish(kJob, said));
    return done.ok() ? Status(Done()) : Status(done.error());
  }
  Result<SnapshotPlan> plan() { return rig.ask(coordinator->plan(kJob, "run", std::nullopt)); }
  std::string phase(const std::string& name) {
    const auto now = rig.ask(coordinator->ended(kJob, Identity(name), TimePoint{}));
    return now.ok() ? to_string(now->phase) : now.error().what;
  }
  /// Publishes and gives it so much time.
  std::string load(const std::string& name, const std::string& parent = "", Duration span = Duration{5'000}) {
    const Status done = publish(name, parent);
    if (!done.ok()) return done.error().what;
    rig.run(span);
    return phase(name);
  }
  /// Whether a row of the ledger says so of a load or a replica.
  [[nodiscard]] bool noted(const std::string& what, const std::string& detail) const {
    return std::any_of(ledger.notes.begin(), ledger.notes.end(), [&](const LoadNote& note) {
      return note.what == what && note.detail.find(detail) != std::string::npos;
    });
  }
  [[nodiscard]] std::string all_notes() const {
    std::string out;
    for (const LoadNote& note : ledger.notes) {
      out += note.replica.value + " " + note.identity.value + " " + note.what + " \"" + note.detail + "\"\n";
    }
    return out;
  }
  void turn(const char* name, const json& value) {
    json knobs;
    knobs[name] = value;
    const bool one = kind_ == HotloadKind::fireworks;
    ASSERT_TRUE((one ? rig.fireworks.knobs() : rig.coreweave.knobs()).set(knobs).ok()) << name;
  }
  /// The weights that a completion names.
  std::string answering() {
    const auto answer = rig.call("POST", rig.fireworks_url + "/inference/v1/completions",
                                 R"({"model":"accounts/acct/deployments/sampler","prompt":"a b"})");
    if (!answer.ok() || answer->status != 200) return "none";
    const std::string model = json::parse(answer->body)["model"];
    return model.substr(model.find('@') + 1);
  }

  VendorRig rig;
  std::shared_ptr<Config> config = std::make_shared<Config>();
  std::shared_ptr<const SnapshotWiring> wiring;
  MemoryWeightsLedger ledger;
  emulator::fireworks::Site* site = nullptr;
  std::optional<SnapshotCoordinator> coordinator;

 private:
  HotloadKind kind_;
};

class EveryVendor : public testing::TestWithParam<HotloadKind> {};

TEST_P(EveryVendor, TakesSixtyPlannedStepsWithAFullOneEveryTwentyFive) {
  VendorRun run(GetParam());
  std::vector<int> fulls;
  for (int number = 1; number <= 60; ++number) {
    const auto plan = run.plan();
    ASSERT_TRUE(plan.ok()) << plan.error().what;
    if (plan->kind == SnapshotKind::full) fulls.push_back(number);
    // The first one ends later where the replicas show only once it was given.
    const Duration span{number == 1 ? 15'000 : 4'000};
    ASSERT_EQ(run.load(plan->identity.value, plan->parent.value, span), "serving") << number << "\n" << run.all_notes();
    if (run.site != nullptr) {
      ASSERT_EQ(run.answering(), plan->identity.value);
    }
  }
  EXPECT_EQ(fulls, (std::vector<int>{1, 26, 51}));
  if (run.site != nullptr) {
    EXPECT_EQ(run.site->taken().size(), 60u);
    EXPECT_TRUE(run.site->faults().empty()) << run.site->faults().front();
  } else {
    EXPECT_EQ(run.rig.coreweave.hot_loads().size(), 60u);
    EXPECT_EQ(run.rig.coreweave.interlocked(), 0);
  }
}

TEST_P(EveryVendor, AnIncrementThatFailsIsFollowedByAFullSnapshot) {
  VendorRun run(GetParam());
  run.turn("bad", json::array({"b"}));
  ASSERT_EQ(run.load("a", "", Duration{15'000}), "serving");
  EXPECT_EQ(run.load("b", "a"), "failed");
  const char* words = GetParam() == HotloadKind::fireworks ? "Types mismatch" : "checksum mismatch";
  EXPECT_TRUE(run.noted("failed", words)) << run.all_notes();
  EXPECT_EQ(run.plan()->kind, SnapshotKind::full);
  EXPECT_FALSE(run.publish("c", "a").ok());
  EXPECT_EQ(run.load("d"), "serving") << run.all_notes();
  EXPECT_EQ(run.load("e", "d"), "serving");
}

TEST_P(EveryVendor, AReplicaThatReportsAnotherIdentityFailsTheLoad) {
  VendorRun run(GetParam());
  ASSERT_EQ(run.load("a", "", Duration{15'000}), "serving");
  run.turn("wrong_identity", "elsewhere");
  EXPECT_EQ(run.load("b", "a", Duration{70'000}), "failed") << run.all_notes();
  run.turn("wrong_identity", "");
  EXPECT_EQ(run.plan()->kind, SnapshotKind::full);
  // Meanwhile they were to get "a" again, which has to be given up first.
  EXPECT_EQ(run.load("c", "", Duration{80'000}), "serving") << run.all_notes();
}

TEST_P(EveryVendor, ASignalWhoseAnswerIsLostIsFoundAndNotRepeated) {
  VendorRun run(GetParam());
  ASSERT_EQ(run.load("a", "", Duration{15'000}), "serving");
  const char* faults = GetParam() == HotloadKind::fireworks ? "signal_faults" : "create_faults";
  run.turn(faults, json::array({"lost"}));
  EXPECT_EQ(run.load("b", "a", Duration{8'000}), "serving") << run.all_notes();
  run.turn(faults, json::array({"close"}));
  EXPECT_EQ(run.load("c", "b", Duration{20'000}), "serving") << run.all_notes();
  if (run.site != nullptr) {
    EXPECT_EQ(run.site->taken().size(), 3u);
    EXPECT_TRUE(run.site->faults().empty()) << run.site->faults().front();
  } else {
    EXPECT_EQ(run.rig.coreweave.hot_loads().size(), 3u);
  }
}

TEST_P(EveryVendor, AThrottledSignalIsPutOff) {
  VendorRun run(GetParam());
  ASSERT_EQ(run.load("a", "", Duration{15'000}), "serving");
  run.turn(GetParam() == HotloadKind::fireworks ? "signal_faults" : "create_faults", json::array({"429", "429"}));
  EXPECT_EQ(run.load("b", "a", Duration{12'000}), "serving") << run.all_notes();
}

TEST_P(EveryVendor, ADaemonThatWasKilledInALoadSignalsNothingTwice) {
  VendorRun run(GetParam());
  ASSERT_EQ(run.load("a", "", Duration{15'000}), "serving");
  ASSERT_TRUE(run.publish("b", "a").ok());
  run.rig.run(Duration{300});
  run.coordinator->stop();
  run.rig.run(Duration{3'000});
  run.restart();
  run.rig.run(Duration{15'000});
  EXPECT_EQ(run.phase("b"), "serving") << run.all_notes();
  EXPECT_EQ(run.site != nullptr ? run.site->taken().size() : run.rig.coreweave.hot_loads().size(), 2u);
}

INSTANTIATE_TEST_SUITE_P(Vendors, EveryVendor, testing::Values(HotloadKind::fireworks, HotloadKind::coreweave),
                         [](const auto& row) {
                           return row.param == HotloadKind::fireworks ? "Fireworks" : "Coreweave";
                         });

TEST(FireworksRun, ALoadThatNeverEndsIsGivenUpAndAFullOneFollows) {
  VendorRun run(HotloadKind::fireworks);
  ASSERT_EQ(run.load("a"), "serving");
  run.turn("never_ends", 1);
  EXPECT_EQ(run.load("b", "a", Duration{70'000}), "failed");
  EXPECT_TRUE(run.noted("timeout", "no end after")) << run.all_notes();
  EXPECT_EQ(run.load("c", "", Duration{10'000}), "serving") << run.all_notes();
  EXPECT_EQ(run.answering(), "c");
}

TEST(CoreweaveRun, AHotLoadThatNeverEndsHoldsTheLockUntilTheVendorEndsIt) {
  VendorRun run(HotloadKind::coreweave);
  ASSERT_EQ(run.load("a", "", Duration{15'000}), "serving");
  run.turn("never_ends", 1);
  EXPECT_EQ(run.load("b", "a", Duration{70'000}), "failed");
  EXPECT_NE(run.load("c", "", Duration{70'000}), "serving");
  EXPECT_TRUE(run.noted("timeout", "another operation of the deployment is in progress")) << run.all_notes();
  run.turn("end_stuck", true);
  run.rig.run(Duration{60'000});
  EXPECT_EQ(run.load("d", "", Duration{10'000}), "serving") << run.all_notes();
}

TEST(FireworksRun, ADeploymentThatCrashesOnASnapshotShowsItInTheLedgerAndRecovers) {
  VendorRun run(HotloadKind::fireworks);
  ASSERT_EQ(run.load("a"), "serving");
  run.turn("crash_on", json::array({"b"}));
  EXPECT_EQ(run.load("b", "a", Duration{12'000}), "failed") << run.all_notes();
  EXPECT_TRUE(run.noted("failed", "container crash loop")) << run.all_notes();
  EXPECT_EQ(run.plan()->kind, SnapshotKind::full);
  EXPECT_EQ(run.load("c", "", Duration{60'000}), "serving") << run.all_notes();
  EXPECT_EQ(run.answering(), "c");
  EXPECT_EQ(run.site->crashes(), 1);
}

TEST(FireworksRun, AResetForgetsTheChainOnBothSides) {
  VendorRun run(HotloadKind::fireworks);
  ASSERT_EQ(run.load("a"), "serving");
  ASSERT_TRUE(run.rig.ask(run.coordinator->reset(kJob, "ann")).ok());
  EXPECT_TRUE(run.site->ledger_page()["entries"].empty());
  EXPECT_FALSE(run.publish("b", "a").ok());
  EXPECT_EQ(run.load("c"), "serving") << run.all_notes();
}

TEST(FireworksRun, AnErrorAboutAnotherSnapshotIsIgnored) {
  VendorRun run(HotloadKind::fireworks);
  run.turn("stale_error", "of-yesterday");
  ASSERT_EQ(run.load("a"), "serving") << run.all_notes();
  EXPECT_EQ(run.load("b", "a"), "serving") << run.all_notes();
}

TEST(FireworksRun, ASignalIsPutOffWhileTheDeploymentIsInTransition) {
  VendorRun run(HotloadKind::fireworks);
  ASSERT_EQ(run.load("a"), "serving");
  run.turn("signal_faults", json::array({"409", "404", "425"}));
  EXPECT_EQ(run.load("b", "a", Duration{20'000}), "serving") << run.all_notes();
  EXPECT_EQ(run.site->taken().size(), 2u);
}

TEST(FireworksRun, NewcomersCatchUpByThemselvesBeforeTheNextIncrement) {
  VendorRun run(HotloadKind::fireworks);
  ASSERT_EQ(run.load("a"), "serving");
  run.turn("catch_up_s", 6.0);
  ASSERT_TRUE(
      run.rig
          .call("PATCH", run.rig.fireworks_url + "/v1/accounts/acct/deployments/sampler:scale", R"({"replicaCount":4})")
          .ok());
  run.rig.run(Duration{3'000});
  EXPECT_EQ(run.load("b", "a", Duration{18'000}), "serving") << run.all_notes();
  EXPECT_TRUE(run.site->faults().empty()) << run.site->faults().front();
}

TEST(FireworksRun, NewcomersThatNeverCatchUpMakeTheNextSnapshotFull) {
  VendorRun run(HotloadKind::fireworks);
  ASSERT_EQ(run.load("a"), "serving");
  run.turn("newcomers_catch_up", false);
  ASSERT_TRUE(
      run.rig
          .call("PATCH", run.rig.fireworks_url + "/v1/accounts/acct/deployments/sampler:scale", R"({"replicaCount":4})")
          .ok());
  run.rig.run(Duration{3'000});
  EXPECT_EQ(run.load("b", "a", Duration{40'000}), "failed") << run.all_notes();
  EXPECT_EQ(run.plan()->kind, SnapshotKind::full);
  EXPECT_EQ(run.load("c", "", Duration{15'000}), "serving") << run.all_notes();
  EXPECT_EQ(run.coordinator->standing(kJob)->current.size(), 4u);
}

TEST(FireworksRun, PodsThatWereRolledGetTheChainAgainFromItsFullSnapshot) {
  VendorRun run(HotloadKind::fireworks);
  ASSERT_EQ(run.load("a"), "serving");
  ASSERT_EQ(run.load("b", "a"), "serving");
  ASSERT_EQ(
      run.rig
          .call("PATCH",
                run.rig.fireworks_url + "/v1/accounts/acct/deployments/sampler?updateMask=hot_load_transition_type",
                R"({"hotLoadTransitionType":"SYNC"})")
          ->status,
      200);
  run.rig.run(Duration{60'000});
  EXPECT_EQ(run.answering(), "b") << run.all_notes();
  EXPECT_EQ(run.coordinator->standing(kJob)->current.size(), 2u);
  EXPECT_THAT(run.coordinator->weights(kJob)->weights->deployments.at(kThere).condition,
              HasSubstr("set to SYNC although transition is async"));
}

std::string elsewhere_yaml(const VendorRig& rig) {
  const std::string key = ", bearer_token: \"env:EBB_VENDOR_TEST_KEY\"}}\n";
  // The job's own deployment has no engines yet.
  return "mode: act\n"
         "state_dir: " +
         testing::TempDir() +
         "/ebb-vendor-wiring\n"
         "pools: [{name: p, gpus: 8}]\n"
         "fleets: [{name: f, kind: process, pool: p}]\n"
         "jobs:\n"
         "  - name: rl\n"
         "    deployments: [{pool: p, fleet: f, max: 1, command: [engine, \"{port}\"]}]\n"
         "    snapshots:\n"
         "      enabled: true\n"
         "      store: s3://weights/run7\n"
         "      hotload: {kind: vllm, weights_from: ebb_pull, puller: \"http://127.0.0.1:8475\"}\n"
         "      elsewhere:\n"
         "        - name: ohio\n"
         "          hotload: {kind: fireworks, account: acct, deployment: sampler, base_model: " +
         std::string(kModel) + ", endpoint: {url: \"" + rig.fireworks_url + "\"" + key +
         "        - name: east\n"
         "          hotload: {kind: coreweave, deployment: " +
         std::string(kUuid) + ", endpoint: {url: \"" + rig.coreweave_url + "\"" + key;
}

TEST(VendorWiring, DeploymentsElsewhereComeFromTheConfigurationAndBothServe) {
  VendorRig rig;
  rig.site();
  rig.coreweave.create(kUuid, 2);
  rig.clock.skip(Duration{3'000});
  const std::string text = elsewhere_yaml(rig);
  const Loaded loaded = load_config_text(text, "x.yaml");
  ASSERT_TRUE(loaded.config) << to_text(loaded.problems);
  const auto config = std::make_shared<const Config>(*loaded.config);
  const FactoryParts parts{rig.io.get_executor(), rig.http, rig.clock, "/bin/shim", "/bin/host"};
  const auto wiring = make_wiring(*config, nullptr, parts);
  for (const char* id : {"rl@p", "rl@ohio", "rl@east"}) {
    ASSERT_TRUE(wiring->snapshots.hotloads.contains(DeploymentId(id))) << id;
  }
  EXPECT_EQ(make_wiring(*config, wiring.get(), parts)->snapshots.hotloads, wiring->snapshots.hotloads)
      << "a reload that is not about them keeps them";
  // Without verifiers: this is about who loads, and the store is nobody's.
  auto snapshots = std::make_shared<SnapshotWiring>();
  snapshots->hotloads = wiring->snapshots.hotloads;
  MemoryWeightsLedger ledger;
  SnapshotCoordinator coordinator(rig.io.get_executor(),
                                  {rig.clock, ledger, [config] { return config; }, [snapshots] { return snapshots; },
                                   [](const JobConfig&) { return JobFleet(); }, [] {}});
  ASSERT_TRUE(rig.ask(coordinator.recover()).ok());
  coordinator.start();
  rig.run(Duration{1'100});
  std::string parent;
  for (const char* name : {"a", "b", "c"}) {
    Publication said;
    said.identity = Identity(name);
    said.parent = Identity(parent);
    said.kind = parent.empty() ? SnapshotKind::full : SnapshotKind::incremental;
    ASSERT_TRUE(rig.ask(coordinator.publish(kJob, said)).ok());
    rig.run(Duration{15'000});
    EXPECT_STREQ(to_string(rig.ask(coordinator.ended(kJob, Identity(name), TimePoint{}))->phase), "serving") << name;
    parent = name;
  }
  EXPECT_EQ(coordinator.standing(kJob)->current.size(), 4u);
  EXPECT_EQ(rig.coreweave.hot_loads().size(), 3u);
  close_wiring(*wiring);
  rig.drop();
}

}  // namespace
}  // namespace ebb::test
