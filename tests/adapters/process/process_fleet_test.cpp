// The life of replicas, with real processes.
#include "tests/adapters/process/fleet_harness.hpp"

namespace ebb::test {
namespace {

using shim::LockState;

TEST_F(ProcessFleetTest, AnEmptyDirectoryShowsNothingAndLendsEverything) {
  make(options());
  EXPECT_EQ(view(), FleetSeen{});
}

TEST_F(ProcessFleetTest, AStartedReplicaBecomesReadyAndSaysWhereItIs) {
  make(options());
  start_all({"rollouts@main-1-0"}, kRl, 2);
  ASSERT_TRUE(becomes("rollouts@main-1-0", ReplicaPhase::ready));
  const ReplicaSeen replica = *seen("rollouts@main-1-0");
  EXPECT_EQ(replica.deployment, kRl);
  EXPECT_EQ(replica.gpus, Gpus{2});
  EXPECT_EQ(replica.slots, "0,1");
  EXPECT_EQ(replica.address.rfind("http://127.0.0.1:", 0), 0U) << replica.address;
  EXPECT_LE(replica.started_at, clock_.now());
  EXPECT_GE(replica.since, replica.started_at);
}

TEST_F(ProcessFleetTest, ItStaysStartingUntilItAnswers) {
  make(options({}));  // listens on no port
  start_all({"a"});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(seen("a")->phase, ReplicaPhase::starting);
}

TEST_F(ProcessFleetTest, ItIsUnhealthyAfterThreeFailedChecksAndReadyAgainAfterOneGood) {
  make(options({"port={port}", "sick=" + base_ + "/sick"}));
  start_all({"a"});
  ASSERT_TRUE(becomes("a", ReplicaPhase::ready));
  write_file(base_ + "/sick", "");
  ASSERT_TRUE(becomes("a", ReplicaPhase::unhealthy));
  EXPECT_NE(seen("a")->detail.find("health checks failed"), std::string::npos);
  std::filesystem::remove(base_ + "/sick");
  EXPECT_TRUE(becomes("a", ReplicaPhase::ready));
}

TEST_F(ProcessFleetTest, EightSlotsAreHandedOutAndTheNinthIsExhausted) {
  make(options({}, 8));
  std::vector<std::string> ids;
  for (int i = 0; i < 9; ++i) ids.push_back("r" + std::to_string(i));
  const auto applied = apply(action(ActionKind::start, ids));
  ASSERT_TRUE(applied.ok());
  EXPECT_EQ(applied->not_started, std::vector<ReplicaId>{ReplicaId("r8")});
  EXPECT_NE(applied->detail.find("exhausted"), std::string::npos) << applied->detail;
  std::set<std::string> slots;
  std::set<std::string> addresses;
  const FleetSeen all = view();
  ASSERT_EQ(all.replicas.size(), 8U);
  for (const ReplicaSeen& replica : all.replicas) {
    slots.insert(replica.slots);
    addresses.insert(replica.address);
  }
  EXPECT_EQ(slots.size(), 8U);
  EXPECT_EQ(addresses.size(), 8U);
  EXPECT_EQ(all.unusable, Gpus{0});
  EXPECT_FALSE(exists(dir("r8")));
}

TEST_F(ProcessFleetTest, OverlappingStartsNeverShareASlot) {
  make(options({}, 4));
  const auto one = start(io_, fleet_->apply(action(ActionKind::start, {"a0", "a1", "a2"})));
  const auto two = start(io_, fleet_->apply(action(ActionKind::start, {"b0", "b1", "b2"}, kChat)));
  io_.restart();
  io_.run();
  ASSERT_TRUE(*one && *two && (*one)->ok() && (*two)->ok());
  EXPECT_EQ((**one)->not_started.size() + (**two)->not_started.size(), 2U);
  EXPECT_EQ(view().replicas.size(), 4U);
}

TEST_F(ProcessFleetTest, TwoDaemonsRacingForOneSlotExactlyOneWins) {
  make(options({}, 1));
  const auto other = made(options({}, 1));
  const auto one = start(io_, fleet_->apply(action(ActionKind::start, {"a"})));
  const auto two = start(io_, other->apply(action(ActionKind::start, {"b"})));
  io_.restart();
  io_.run();
  ASSERT_TRUE(*one && *two && (*one)->ok() && (*two)->ok());
  EXPECT_EQ((**one)->not_started.size() + (**two)->not_started.size(), 1U);
  EXPECT_EQ(view().replicas.size(), 1U);
}

TEST_F(ProcessFleetTest, StartingWhatExistsIsASuccessAndStartsNothing) {
  make(options({}));
  start_all({"a"});
  const pid_t shim = pid_of("a", "shim");
  start_all({"a"});
  EXPECT_EQ(pid_of("a", "shim"), shim);
  EXPECT_EQ(view().replicas.size(), 1U);
}

TEST_F(ProcessFleetTest, DrainsInOrderAndIsGoneWithoutBlame) {
  make(options());
  start_all({"a"});
  ASSERT_TRUE(becomes("a", ReplicaPhase::ready));
  ASSERT_TRUE(apply(action(ActionKind::drain, {"a"})).ok());
  ASSERT_TRUE(becomes("a", ReplicaPhase::gone));
  EXPECT_FALSE(seen("a")->failed);
  EXPECT_EQ(seen("a")->detail, "drain, killed by signal 15");
  start_all({"b"}, kRl, 2);
}

TEST_F(ProcessFleetTest, ADrainThatIsIgnoredShowsUntilTheEvictionEndsIt) {
  make(options({"port={port}", "ignore_term"}));
  start_all({"a"});
  ASSERT_TRUE(becomes("a", ReplicaPhase::ready));
  ASSERT_TRUE(apply(action(ActionKind::drain, {"a"})).ok());
  ASSERT_TRUE(becomes("a", ReplicaPhase::draining));
  EXPECT_EQ(seen("a")->gpus, Gpus{1});
  ASSERT_TRUE(apply(action(ActionKind::evict, {"a"})).ok());
  ASSERT_TRUE(becomes("a", ReplicaPhase::gone));
  EXPECT_EQ(seen("a")->detail, "evict, killed at the deadline");
}

TEST_F(ProcessFleetTest, AReplicaStillThereWellPastItsDeadlineIsLostAndKeepsItsSlot) {
  make(options({"ignore_term"}, 1));
  start_all({"a"});
  ASSERT_TRUE(apply(action(ActionKind::drain, {"a"})).ok());
  ASSERT_TRUE(becomes("a", ReplicaPhase::draining));
  clock_.ahead = Duration{60'000 + 30'000 + 1'000};
  EXPECT_EQ(seen("a")->phase, ReplicaPhase::lost);
  const auto applied = apply(action(ActionKind::start, {"b"}));
  ASSERT_TRUE(applied.ok());
  EXPECT_EQ(applied->not_started.size(), 1U);
}

TEST_F(ProcessFleetTest, ToldToLeaveWhatIsGoneOrUnknownIsASuccess) {
  make(options({"exit=0"}));
  start_all({"a"});
  ASSERT_TRUE(becomes("a", ReplicaPhase::gone));
  EXPECT_TRUE(apply(action(ActionKind::drain, {"a", "never-heard-of"})).ok());
  EXPECT_TRUE(apply(action(ActionKind::evict, {"a", "never-heard-of"})).ok());
  EXPECT_FALSE(exists(dir("never-heard-of")));
}

TEST_F(ProcessFleetTest, AReplicaThatEndsUnaskedHasFailedAndSaysHow) {
  make(options({"exit=3"}));
  start_all({"a"});
  ASSERT_TRUE(becomes("a", ReplicaPhase::gone));
  EXPECT_TRUE(seen("a")->failed);
  EXPECT_EQ(seen("a")->detail, "exit status 3; last log line: about to fall over");
}

TEST_F(ProcessFleetTest, ADeadDaemonsRlReplicasDrainAndItsProductionStays) {
  ProcessFleetOptions wanted = options();
  wanted.fleet.lease_ttl = Duration{300};
  make(wanted);
  start_all({"rl"}, kRl);
  start_all({"chat"}, kChat);
  ASSERT_TRUE(becomes("rl", ReplicaPhase::gone));
  EXPECT_EQ(seen("rl")->detail, "lease lapsed, killed by signal 15");
  EXPECT_FALSE(seen("rl")->failed);
  EXPECT_TRUE(becomes("chat", ReplicaPhase::ready));
}

TEST_F(ProcessFleetTest, RenewalKeepsAReplicaAlive) {
  ProcessFleetOptions wanted = options();
  wanted.fleet.lease_ttl = Duration{1'000};
  make(wanted);
  start_all({"rl"});
  const TimePoint until = clock_.now() + Duration{2'500};
  ASSERT_TRUE(eventually([&] {
    EXPECT_TRUE(run(io_, fleet_->renew({ReplicaId("rl"), ReplicaId("unknown")}, clock_.now())).ok());
    return clock_.now() > until;
  }));
  EXPECT_EQ(seen("rl")->phase, ReplicaPhase::ready);
}

TEST_F(ProcessFleetTest, ANewDaemonSeesTheSameReplicas) {
  make(options());
  start_all({"a"});
  start_all({"b"}, kChat);
  ASSERT_TRUE(becomes("a", ReplicaPhase::ready));
  ASSERT_TRUE(becomes("b", ReplicaPhase::ready));
  const FleetSeen before = view();
  make(options());
  const FleetSeen after = view();
  ASSERT_EQ(after.replicas.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(after.replicas[i], before.replicas[i]) << "not even `since` changes";
  const auto third = apply(action(ActionKind::start, {"c"}));
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(third->not_started.size(), 1U) << "their slots are not free";
}

TEST_F(ProcessFleetTest, ForgettingMovesWhatIsGoneAsideAndKeepsTheLastLogs) {
  ProcessFleetOptions wanted = options({"exit=0"}, 4);
  wanted.keep_ended = 2;
  make(wanted);
  start_all({"a", "b", "c", "d"});
  for (const char* id : {"a", "b", "c", "d"}) ASSERT_TRUE(becomes(id, ReplicaPhase::gone));
  ASSERT_TRUE(run(io_, fleet_->forget({ReplicaId("a"), ReplicaId("b"), ReplicaId("c"), ReplicaId("d")})).ok());
  EXPECT_TRUE(view().replicas.empty());
  const auto ended = std::filesystem::directory_iterator(base_ + "/fleet/ended");
  EXPECT_EQ(std::distance(begin(ended), end(ended)), 2);
}

TEST_F(ProcessFleetTest, WhatIsNotGoneCannotBeForgotten) {
  make(options());
  start_all({"a"});
  ASSERT_TRUE(run(io_, fleet_->forget({ReplicaId("a"), ReplicaId("unknown")})).ok());
  EXPECT_TRUE(seen("a").has_value());
}

TEST_F(ProcessFleetTest, TheEngineGetsItsGpusAndNoneOfTheDaemonsSecrets) {
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "INVOCATION_ID", "MY_SECRET", "EBB_X"})
    ::setenv(name, "hush", 1);
  ProcessFleetOptions wanted = options({});
  wanted.deployments[kRl].config.environment = {{"HF_HOME", "/models"}, {"CUDA_VISIBLE_DEVICES", "all"}};
  wanted.fleet.gpu_ids = {"GPU-aaaa", "GPU-bbbb"};
  make(wanted);
  start_all({"a"}, kRl, 2);
  ASSERT_TRUE(eventually([&] { return shim::has_variable(pid_of("a", "engine"), "HF_HOME=/models"); }));
  EXPECT_TRUE(shim::has_variable(pid_of("a", "engine"), "CUDA_VISIBLE_DEVICES=GPU-aaaa,GPU-bbbb"));
  EXPECT_TRUE(shim::has_variable(pid_of("a", "engine"), "CUDA_DEVICE_ORDER=PCI_BUS_ID"));
  for (const char* who : {"engine", "shim"}) {
    const std::string text = *shim::read_file("/proc/" + std::to_string(pid_of("a", who)) + "/environ");
    EXPECT_EQ(text.find("hush"), std::string::npos) << who;
    EXPECT_NE(text.find("PATH="), std::string::npos) << who;
  }
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "INVOCATION_ID", "MY_SECRET", "EBB_X"})
    ::unsetenv(name);
}

TEST_F(ProcessFleetTest, AShimThatCannotBeExecutedIsNamedAndNothingWasStarted) {
  ProcessFleetOptions wanted = options();
  wanted.shim_path = "/no/such/shim";
  make(wanted);
  const auto applied = apply(action(ActionKind::start, {"a"}));
  ASSERT_TRUE(applied.ok());
  EXPECT_EQ(applied->not_started.size(), 1U);
  EXPECT_NE(applied->detail.find("/no/such/shim"), std::string::npos) << applied->detail;
  EXPECT_TRUE(view().replicas.empty());
}

TEST_F(ProcessFleetTest, UnderSystemdReplicasLeaveTheDaemonsUnit) {
  // Stands in for systemd-run: notes how it was called, and executes what follows the "--".
  std::filesystem::create_directory(base_ + "/bin");
  const std::string program = base_ + "/bin/systemd-run";
  write_file(program, "#!/bin/sh\necho \"$@\" > " + base_ +
                          "/called\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  const std::string path = ::getenv("PATH");
  ::setenv("PATH", (base_ + "/bin:" + path).c_str(), 1);
  ProcessFleetOptions wanted = options({});
  wanted.fleet.launcher = Launcher::automatic;
  make(wanted);
  ::unsetenv("INVOCATION_ID");
  start_all({"a"});
  EXPECT_FALSE(exists(base_ + "/called")) << "systemd did not start us";
  ::setenv("INVOCATION_ID", "1", 1);
  start_all({"b"});
  EXPECT_EQ(shim::read_file(base_ + "/called").value_or("").rfind("--scope --collect --quiet", 0), 0U);
  EXPECT_TRUE(runs(pid_of("b", "engine")));
  write_file(program, "#!/bin/sh\necho no bus to talk to >&2\nexit 1\n");
  ASSERT_TRUE(apply(action(ActionKind::evict, {"a"})).ok());
  ASSERT_TRUE(becomes("a", ReplicaPhase::gone));
  const auto applied = apply(action(ActionKind::start, {"c"}));
  ASSERT_TRUE(applied.ok());
  EXPECT_EQ(applied->not_started.size(), 1U);
  EXPECT_NE(applied->detail.find("no bus to talk to"), std::string::npos) << applied->detail;
  ::unsetenv("INVOCATION_ID");
  ::setenv("PATH", path.c_str(), 1);
}

TEST_F(ProcessFleetTest, ADeploymentWithoutACommandIsInvalid) {
  make(options());
  const auto applied = apply(action(ActionKind::start, {"a"}, DeploymentId("unknown@main")));
  ASSERT_FALSE(applied.ok());
  EXPECT_EQ(applied.error().code, ErrorCode::invalid);
}

TEST_F(ProcessFleetTest, AReloadChangesWhatIsStartedNext) {
  make(options({}, 1));
  ProcessFleetOptions wanted = options({"exit=7"}, 2);
  start_all({"a"});
  fleet_->configure(wanted.fleet, wanted.gpus, wanted.deployments);
  start_all({"b"});
  ASSERT_TRUE(becomes("b", ReplicaPhase::gone));
  EXPECT_EQ(seen("b")->slots, "1");
  EXPECT_EQ(seen("b")->detail, "exit status 7; last log line: about to fall over");
}

TEST_F(ProcessFleetTest, AClosedFleetAnswersCancelledAndItsReplicasLiveOn) {
  make(options({}));
  start_all({"a"});
  fleet_->close();
  const auto seen = run(io_, fleet_->view());
  ASSERT_FALSE(seen.ok());
  EXPECT_EQ(seen.error().code, ErrorCode::cancelled);
  EXPECT_TRUE(runs(pid_of("a", "engine")));
}

}  // namespace
}  // namespace ebb::test
