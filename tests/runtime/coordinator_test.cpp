// The coordinator with engines, a store and a ledger of its own, under a virtual clock.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "daemon/runtime/job_fleet.hpp"
#include "daemon/runtime/snapshot_coordinator.hpp"
#include "policies/registry.hpp"
#include "tests/support/fake_hotload.hpp"
#include "tests/support/run.hpp"
#include "tests/support/virtual_clock.hpp"

namespace ebb::test {
namespace {

const JobId kJob("rl");
const DeploymentId kSite("rl@pool");

/// What outlives the daemon: the engines, the ledger's file, the store, time.
struct World {
  World() {
    config->mode = Mode::act;
    JobConfig job;
    job.name = kJob;
    job.snapshots.enabled = true;
    job.snapshots.cadence = make_cadence("every");
    DeploymentConfig site;
    site.id = kSite;
    job.deployments.push_back(site);
    config->jobs.push_back(job);
    auto made = std::make_shared<SnapshotWiring>();
    made->hotloads[kSite] = hotload;
    made->verifiers[kJob] = verifier;
    wiring = made;
  }
  void replicas(int count) {
    for (int i = 0; i < count; ++i) hotload->engines[ReplicaId("r" + std::to_string(i))];
  }
  [[nodiscard]] JobFleet fleet() const {
    JobFleet out;
    for (const auto& [name, engine] : hotload->engines) out.engines[kSite].push_back({name, "http://" + name.value});
    out.leaving = leaving;
    out.growing = growing;
    return out;
  }
  SnapshotsConfig& snapshots() { return config->jobs[0].snapshots; }

  VirtualClock clock{TimePoint{Duration{1'767'225'600'000}}};
  std::shared_ptr<FakeHotload> hotload = std::make_shared<FakeHotload>(clock);
  std::shared_ptr<FakeVerifier> verifier = std::make_shared<FakeVerifier>(clock);
  std::shared_ptr<Config> config = std::make_shared<Config>();
  std::shared_ptr<const SnapshotWiring> wiring;
  std::set<ReplicaId> leaving;
  std::set<DeploymentId> growing;
  MemoryWeightsLedger ledger;
};

/// One life of the daemon: destroyed, it ends as if killed.
class Life {
 public:
  explicit Life(World& world) : world_(world) {
    const auto ready = test::start(io_, coordinator_.recover());
    run(Duration{0});
    EXPECT_TRUE(ready->has_value() && (*ready)->ok());
    coordinator_.start();
    run(Duration{0});
  }
  ~Life() { io_.drop(); }

  void run(Duration span) { world_.clock.run_for(io_, span); }
  template <class T>
  T ask(awaitable<T> task, Duration span = Duration{0}) {
    const auto answer = test::start(io_, std::move(task));
    run(span);
    if (!answer->has_value()) throw std::logic_error("no answer yet");
    return **answer;
  }
  Result<Snapshots::Published> publish(const std::string& name, const std::string& parent = "") {
    Publication said;
    said.identity = Identity(name);
    said.parent = Identity(parent);
    said.kind = parent.empty() ? SnapshotKind::full : SnapshotKind::incremental;
    return ask(coordinator_.publish(kJob, said));
  }
  Result<SnapshotPlan> plan() { return ask(coordinator_.plan(kJob, "run", std::nullopt)); }
  std::string phase(const std::string& name) {
    const Result<Snapshot> now = ask(coordinator_.ended(kJob, Identity(name), TimePoint{}));
    return now.ok() ? to_string(now->phase) : now.error().what;
  }
  SnapshotCoordinator& coordinator() { return coordinator_; }
  boost::asio::io_context& io() { return io_; }

 private:
  struct Io : boost::asio::io_context {
    void drop() { shutdown(); }
  };
  World& world_;
  Io io_;
  SnapshotCoordinator coordinator_{
      io_.get_executor(),
      {world_.clock, world_.ledger, [this] { return world_.config; }, [this] { return world_.wiring; },
       [this](const JobConfig&) { return world_.fleet(); }, [] {}}};
};

TEST(Coordinator, SixtyPlannedStepsReachEveryReplica) {
  World world;
  world.replicas(4);
  Life life(world);
  std::vector<int> fulls;
  for (int number = 1; number <= 60; ++number) {
    const auto plan = life.plan();
    ASSERT_TRUE(plan.ok()) << plan.error().what;
    if (plan->kind == SnapshotKind::full) fulls.push_back(number);
    Publication said;
    said.identity = plan->identity;
    said.kind = plan->kind;
    said.parent = plan->parent;
    said.run = plan->run;
    said.step = plan->step;
    ASSERT_TRUE(life.ask(life.coordinator().publish(kJob, said)).ok());
    life.run(Duration{6'000});
    ASSERT_EQ(life.phase(plan->identity.value), "serving");
  }
  EXPECT_EQ(fulls, (std::vector<int>{1, 26, 51}));
  EXPECT_EQ(world.hotload->arrived.size(), 60u);
  EXPECT_TRUE(world.hotload->faults.empty()) << world.hotload->faults.front();
  EXPECT_EQ(world.hotload->engines.begin()->second.weights.size(), 10u);
}

TEST(Coordinator, UntilTheLedgerWasReadAJobIsNotUnknown) {
  World world;
  boost::asio::io_context io;
  SnapshotCoordinator starting(io.get_executor(),
                               {world.clock, world.ledger, [&] { return world.config; }, [&] { return world.wiring; },
                                [&](const JobConfig&) { return world.fleet(); }, [] {}});
  EXPECT_EQ(starting.weights(kJob).error().code, ErrorCode::unreachable);
  EXPECT_TRUE(starting.weights(kJob).error().retryable);
  EXPECT_EQ(starting.weights(JobId("other")).error().code, ErrorCode::not_found);
}

TEST(Coordinator, ALongPollWakesWhenItServesAndAnswersWithTheStateSoFarOtherwise) {
  World world;
  world.replicas(1);
  Life life(world);
  life.run(Duration{1'000});
  ASSERT_TRUE(life.publish("a").ok());
  const TimePoint now = world.clock.now();
  const auto early = test::start(life.io(), life.coordinator().ended(kJob, Identity("a"), now + Duration{2'000}));
  const auto late = test::start(life.io(), life.coordinator().ended(kJob, Identity("a"), now + Duration{50'000}));
  life.run(Duration{2'000});
  ASSERT_TRUE(early->has_value());
  EXPECT_EQ((**early)->phase, SnapshotPhase::loading);
  life.run(Duration{2'500});
  ASSERT_TRUE(late->has_value()) << "one polling interval after the last replica";
  EXPECT_EQ((**late)->phase, SnapshotPhase::serving);
}

TEST(Coordinator, AFailedLoadWakesTheLongPollAndTheNextPlanIsFull) {
  World world;
  world.replicas(2);
  Life life(world);
  ASSERT_TRUE(life.publish("a").ok());
  life.run(Duration{6'000});
  world.hotload->bad.insert(Identity("b"));
  ASSERT_TRUE(life.publish("b", "a").ok());
  const auto poll =
      test::start(life.io(), life.coordinator().ended(kJob, Identity("b"), world.clock.now() + Duration{50'000}));
  life.run(Duration{6'000});
  ASSERT_TRUE(poll->has_value());
  EXPECT_EQ((**poll)->phase, SnapshotPhase::failed);
  EXPECT_NE((**poll)->reason.find("bad weights"), std::string::npos);
  EXPECT_EQ(life.plan()->kind, SnapshotKind::full);
  EXPECT_FALSE(life.publish("c", "a").ok());
  ASSERT_TRUE(life.publish("d").ok());
  life.run(Duration{8'000});
  EXPECT_EQ(life.phase("d"), "serving");
}

TEST(Coordinator, AHalfWrittenSnapshotIsWaitedForAndAMalformedOneNeverSignalled) {
  World world;
  world.replicas(1);
  Life life(world);
  world.verifier->says[Identity("a")] = {Verdict::Kind::waiting, "shard 2 of 3 is missing", 0};
  ASSERT_TRUE(life.publish("a").ok());
  life.run(Duration{10'000});
  EXPECT_EQ(life.phase("a"), "published");
  EXPECT_TRUE(world.hotload->arrived.empty());
  world.verifier->says.clear();
  life.run(Duration{20'000});
  EXPECT_EQ(life.phase("a"), "serving");
  world.verifier->says[Identity("b")] = {Verdict::Kind::malformed, "truncated", 0};
  ASSERT_TRUE(life.publish("b", "a").ok());
  life.run(Duration{5'000});
  EXPECT_EQ(life.phase("b"), "rejected");
  EXPECT_EQ(world.hotload->arrived.size(), 1u);
  ASSERT_TRUE(world.verifier->last_parent.has_value());
  EXPECT_EQ(world.verifier->last_parent->identity().value, "a");
}

TEST(Coordinator, NothingIsSignalledThatWasNotRecorded) {
  World world;
  world.replicas(1);
  Life life(world);
  life.run(Duration{1'000});
  ASSERT_TRUE(life.publish("a").ok());
  world.ledger.down = true;
  life.run(Duration{5'000});
  EXPECT_TRUE(world.hotload->arrived.empty());
  EXPECT_FALSE(life.publish("b", "a").ok());
  world.ledger.down = false;
  life.run(Duration{6'000});
  EXPECT_EQ(life.phase("a"), "serving");
  EXPECT_TRUE(world.ledger.rows.contains(Identity("a")));
}

TEST(Coordinator, WhatEndedBeforeItCouldBeRecordedIsNotTakenTwice) {
  World world;
  world.replicas(1);
  Life life(world);
  life.run(Duration{1'000});
  world.ledger.down = true;
  world.verifier->says[Identity("a")] = {Verdict::Kind::malformed, "truncated", 0};
  EXPECT_FALSE(life.publish("a").ok());
  life.run(Duration{3'000});
  world.ledger.down = false;
  const auto again = life.publish("a");
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->repeated);
  EXPECT_EQ(again->snapshot.phase, SnapshotPhase::rejected);
  EXPECT_TRUE(world.ledger.rows.contains(Identity("a")));
}

TEST(Coordinator, ASignalThatIsPutOffIsSentAgainAndOneWithoutAnAnswerIsLookedFor) {
  World world;
  world.replicas(1);
  Life life(world);
  world.hotload->next_answers = {Error{ErrorCode::unreachable, "refused", true},
                                 Error{ErrorCode::throttled, "429", true}};
  world.hotload->loses_answers = true;
  ASSERT_TRUE(life.publish("a").ok());
  life.run(Duration{20'000});
  EXPECT_EQ(life.phase("a"), "serving");
  EXPECT_EQ(world.hotload->arrived.size(), 1u);
}

TEST(Coordinator, ThePauseIsAlwaysFollowedByAResume) {
  World world;
  world.replicas(3);
  world.hotload->can.pauses = true;
  world.hotload->fail_resumes = 3;
  Life life(world);
  ASSERT_TRUE(life.publish("a").ok());
  life.run(Duration{2'000});
  EXPECT_TRUE(world.hotload->any_paused());
  life.run(Duration{15'000});
  EXPECT_FALSE(world.hotload->any_paused());
  EXPECT_EQ(life.phase("a"), "serving");
  EXPECT_TRUE(world.hotload->faults.empty()) << world.hotload->faults.front();
}

TEST(Coordinator, APauseThatIsRefusedEndsTheOrderAtOnceAndLeavesNobodyPaused) {
  World world;
  world.replicas(2);
  world.hotload->can.pauses = true;
  Life life(world);
  life.run(Duration{1'100});
  world.hotload->next_pauses = {Error{ErrorCode::invalid, "no such route", false}};
  ASSERT_TRUE(life.publish("a").ok());
  life.run(Duration{4'000});
  EXPECT_EQ(life.phase("a"), "failed");
  EXPECT_TRUE(world.hotload->arrived.empty());
  EXPECT_FALSE(world.hotload->any_paused());
  ASSERT_TRUE(life.publish("b").ok());
  life.run(Duration{8'000});
  EXPECT_EQ(life.phase("b"), "serving");
}

TEST(Coordinator, ADrainingReplicaIsResumedWhileTheOthersStillLoad) {
  World world;
  world.replicas(2);
  world.hotload->can.pauses = true;
  world.hotload->load_time = Duration{60'000};
  Life life(world);
  ASSERT_TRUE(life.publish("a").ok());
  life.run(Duration{3'000});
  world.leaving.insert(ReplicaId("r0"));
  life.run(Duration{3'000});
  EXPECT_FALSE(world.hotload->engines[ReplicaId("r0")].paused);
  EXPECT_TRUE(world.hotload->engines[ReplicaId("r1")].paused);
}

TEST(Coordinator, WhoIsToldToLeaveWhileTheEnginesStopIsResumedAndNotSignalled) {
  for (const int leavers : {1, 2}) {
    World world;
    world.replicas(2);
    world.hotload->can.pauses = true;
    world.hotload->pause_time = Duration{5'000};
    Life life(world);
    ASSERT_TRUE(life.publish("a").ok());
    life.run(Duration{3'000});
    ASSERT_TRUE(world.hotload->any_paused());
    world.leaving.insert(ReplicaId("r0"));
    if (leavers == 2) world.leaving.insert(ReplicaId("r1"));
    life.run(Duration{20'000});
    ASSERT_EQ(world.hotload->arrived.size(), leavers == 2 ? 0u : 1u);
    for (const LoadOrder& order : world.hotload->arrived)
      EXPECT_EQ(order.replicas, std::vector<ReplicaId>{ReplicaId("r1")});
    EXPECT_TRUE(world.hotload->engines[ReplicaId("r0")].weights.empty());
    EXPECT_FALSE(world.hotload->any_paused());
    EXPECT_TRUE(world.hotload->faults.empty()) << world.hotload->faults.front();
  }
}

TEST(Coordinator, AStartThatGoesOutWhileTheEnginesAreAskedHoldsTheNextOrder) {
  World world;
  world.replicas(2);
  Life life(world);
  life.run(Duration{1'100});
  world.hotload->look_time = Duration{2'000};
  ASSERT_TRUE(life.publish("a").ok());
  life.run(Duration{1'000});
  world.growing.insert(kSite);
  world.leaving.insert(ReplicaId("r0"));
  life.run(Duration{10'000});
  EXPECT_TRUE(world.hotload->arrived.empty()) << "growth and loads never overlap";
  world.growing.clear();
  life.run(Duration{10'000});
  ASSERT_EQ(world.hotload->arrived.size(), 1u);
  EXPECT_EQ(world.hotload->arrived[0].replicas, std::vector<ReplicaId>{ReplicaId("r1")});
}

TEST(JobFleet, AStartThatIsNotAnsweredShowsThoughItsFleetIsDark) {
  JobConfig job;
  job.deployments.emplace_back();
  job.deployments[0].id = DeploymentId("rl@main");
  job.deployments[0].fleet = FleetId("main");
  Observation seen;
  seen.fleets[FleetId("main")] = Missing{"no answer in time", {}};
  const State state;
  const JobFleet fleet = job_fleet(job, &seen, &state, {DeploymentId("rl@main")});
  EXPECT_TRUE(fleet.growing.contains(DeploymentId("rl@main")));
  EXPECT_TRUE(fleet.dark.contains(DeploymentId("rl@main")));
}

TEST(Coordinator, AResetReachesTheVendorAndTheNextSnapshotMustBeFull) {
  World world;
  world.replicas(1);
  Life life(world);
  ASSERT_TRUE(life.publish("a").ok());
  life.run(Duration{6'000});
  ASSERT_TRUE(life.ask(life.coordinator().reset(kJob, "ann")).ok());
  EXPECT_EQ(world.hotload->resets, 1);
  ASSERT_EQ(world.ledger.resets.size(), 1u);
  EXPECT_EQ(world.ledger.resets[0].by, "ann");
  EXPECT_FALSE(life.publish("b", "a").ok());
  EXPECT_TRUE(life.publish("c").ok());
}

TEST(Coordinator, TheSamePublicationTwiceIsLoadedOnce) {
  World world;
  world.replicas(1);
  Life life(world);
  ASSERT_TRUE(life.publish("a").ok());
  EXPECT_TRUE(life.publish("a")->repeated);
  life.run(Duration{6'000});
  EXPECT_TRUE(life.publish("a")->repeated);
  EXPECT_FALSE(life.publish("a", "z").ok());
  life.run(Duration{6'000});
  EXPECT_EQ(world.hotload->arrived.size(), 1u);
}

TEST(Coordinator, ADaemonThatOnlyAdvisesTakesNoSnapshots) {
  World world;
  world.config->mode = Mode::advise;
  Life life(world);
  EXPECT_FALSE(life.publish("a").ok());
}

TEST(Coordinator, AnAdapterThatHangsHoldsNothingUpForLongerThanItsDeadline) {
  World world;
  world.replicas(2);
  world.hotload->can.pauses = true;
  world.snapshots().signal_timeout = Duration{5'000};
  Life life(world);
  life.run(Duration{1'100});
  world.hotload->hangs = true;
  ASSERT_TRUE(life.publish("a").ok());
  life.run(Duration{10'000});
  EXPECT_EQ(life.phase("a"), "serving") << "seen on the replicas, answer or not";
  world.hotload->hangs = false;
  life.run(Duration{10'000});
  EXPECT_FALSE(world.hotload->any_paused());
  ASSERT_TRUE(life.publish("b", "a").ok());
  life.run(Duration{6'000});
  EXPECT_EQ(life.phase("b"), "serving");
  EXPECT_EQ(world.hotload->arrived.size(), 2u);
}

TEST(Coordinator, SwitchedToAdviseItSignalsNothingAndStillResumes) {
  World world;
  world.replicas(1);
  world.hotload->can.pauses = true;
  auto life = std::make_unique<Life>(world);
  life->run(Duration{1'100});
  ASSERT_TRUE(life->publish("a").ok());
  life->run(Duration{1'000});
  ASSERT_TRUE(world.hotload->any_paused());
  life.reset();
  world.config->mode = Mode::advise;
  world.hotload->engines[ReplicaId("late")];
  life = std::make_unique<Life>(world);
  life->run(Duration{30'000});
  EXPECT_FALSE(world.hotload->any_paused());
  EXPECT_EQ(world.hotload->arrived.size(), 1u);
}

TEST(Coordinator, ADarkFleetIsNeitherToldAnythingNorTakenForGone) {
  World world;
  world.replicas(2);
  Life life(world);
  ASSERT_TRUE(life.publish("a").ok());
  life.run(Duration{6'000});
  world.hotload->dark = true;
  ASSERT_TRUE(life.publish("b", "a").ok());
  life.run(Duration{60'000});
  EXPECT_EQ(life.phase("b"), "verified");
  EXPECT_EQ(life.coordinator().weights(kJob)->weights->deployments.at(kSite).replicas.size(), 2u);
  world.hotload->dark = false;
  life.run(Duration{6'000});
  EXPECT_EQ(life.phase("b"), "serving");
}

TEST(Coordinator, SaysWhoMayServeAndWhereGrowthWaits) {
  World world;
  world.replicas(2);
  Life life(world);
  ASSERT_TRUE(life.publish("a").ok());
  life.run(Duration{2'000});
  EXPECT_TRUE(life.coordinator().standing(kJob)->loading.contains(kSite));
  EXPECT_TRUE(life.coordinator().standing(kJob)->current.empty());
  life.run(Duration{4'000});
  EXPECT_TRUE(life.coordinator().standing(kJob)->loading.empty());
  EXPECT_EQ(life.coordinator().standing(kJob)->current.size(), 2u);
  EXPECT_FALSE(life.coordinator().standing(JobId("nobody")).has_value());
}

TEST(Coordinator, KilledAtAnyMomentItSignalsNothingTwiceLosesNothingAndLeavesNoEnginePaused) {
  const char* given = std::getenv("EBB_SEED");
  const std::uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const std::uint64_t count = given != nullptr ? 1 : 40;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " (EBB_SEED repeats it)");
    std::mt19937_64 random(seed);
    World world;
    world.replicas(3);
    world.hotload->can.pauses = random() % 2 == 0;
    world.hotload->loses_answers = random() % 4 == 0;
    std::string parent;
    auto life = std::make_unique<Life>(world);
    life->run(Duration{1'100});
    for (int step = 1; step <= 6; ++step) {
      const std::string name = "s" + std::to_string(step);
      ASSERT_TRUE(life->publish(name, parent).ok());
      for (int kills = 0; kills < 2; ++kills) {
        life->run(Duration{static_cast<std::int64_t>(random() % 200)});
        if (random() % 2 == 0) life->run(Duration{static_cast<std::int64_t>(random() % 5'000)});
        life.reset();
        life = std::make_unique<Life>(world);
      }
      life->run(Duration{40'000});
      ASSERT_EQ(life->phase(name), "serving");
      ASSERT_FALSE(world.hotload->any_paused()) << name;
      parent = name;
    }
    EXPECT_EQ(world.hotload->arrived.size(), 6u) << "an order was lost or given twice";
    ASSERT_TRUE(world.hotload->faults.empty()) << world.hotload->faults.front();
  }
}

}  // namespace
}  // namespace ebb::test
