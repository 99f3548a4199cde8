// What is left when something died that should not have: shims, records, drivers, other people's processes.
#include "tests/adapters/process/fleet_harness.hpp"

namespace ebb::test {
namespace {

using process::Paths;
using shim::LockState;

class Recovery : public ProcessFleetTest {
 protected:
  /// A program that stands in for nvidia-smi: prints the file `gpus`, then `apps`.
  std::string fake_nvidia_smi() const {
    const std::string path = base_ + "/nvidia-smi";
    write_file(path, "#!/bin/sh\ncase \"$1\" in\n*query-gpu*) cat " + base_ + "/gpus;;\n*) cat " + base_ +
                         "/apps;;\nesac\n" + "exit $(cat " + base_ + "/code)\n");
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    write_file(base_ + "/gpus", "0, GPU-aaaa, 4\n1, GPU-bbbb, 4\n");
    write_file(base_ + "/apps", "");
    write_file(base_ + "/code", "0");
    return path;
  }
  /// A record as a shim would have left it.
  void leave_record(const std::string& id, const nlohmann::json& engine, const nlohmann::json& shim,
                    const std::string& boot) {
    std::filesystem::create_directories(dir(id));
    nlohmann::json record;
    record["replica"] = id;
    record["deployment"] = kRl.value;
    record["slots"] = {"0"};
    record["port"] = 1;
    record["boot_id"] = boot;
    record["started_at_ms"] = 1;
    record["engine"] = engine;
    record["shim"] = shim;
    write_file(dir(id) + "/replica.json", record.dump());
  }
};

TEST_F(Recovery, AKilledShimLeavesNoEngineAndItsReplicaHasFailed) {
  make(options({"ignore_term"}));
  start_all({"a"});
  const pid_t engine = pid_of("a", "engine");
  ::kill(pid_of("a", "shim"), SIGKILL);
  ASSERT_TRUE(becomes("a", ReplicaPhase::gone));
  EXPECT_FALSE(runs(engine));
  EXPECT_TRUE(seen("a")->failed);
  EXPECT_EQ(seen("a")->detail, "its shim was killed");
}

TEST_F(Recovery, TheSlotOfAKilledShimIsNotFreeBeforeItsGrandchildrenAreDead) {
  make(options({"family=" + base_ + "/child"}, 1));
  start_all({"a"});
  ASSERT_TRUE(eventually([&] { return exists(base_ + "/child"); }));
  const pid_t child = std::stoi(*shim::read_file(base_ + "/child"));
  ::kill(pid_of("a", "shim"), SIGKILL);
  ASSERT_TRUE(eventually([&] { return shim::probe_lock(dir("a") + "/alive.lock") == LockState::free; }));
  ASSERT_TRUE(runs(child));
  // The view that finds it kills it, and does not call the replica gone yet.
  const ReplicaSeen first = *seen("a");
  EXPECT_EQ(first.phase, ReplicaPhase::draining);
  EXPECT_EQ(first.gpus, Gpus{1});
  ASSERT_TRUE(becomes("a", ReplicaPhase::gone));
  EXPECT_FALSE(runs(child));
}

TEST_F(Recovery, AReusedPidIsNotSignalled) {
  make(options());
  // An innocent that leads its own session and group, under the number the record names, with another start time.
  const pid_t innocent = start({"setsid", kEngineProgram});
  ASSERT_TRUE(eventually([&] {
    const auto stat = shim::read_stat(innocent);
    return stat && stat->session == innocent;
  }));
  const auto start_ticks = shim::read_stat(innocent)->start_ticks;
  nlohmann::json engine{{"pid", innocent}, {"start_ticks", start_ticks - 1}, {"group", innocent}};
  nlohmann::json shim_id{{"pid", innocent}, {"start_ticks", start_ticks - 2}};
  leave_record("a", engine, shim_id, shim::boot_id());
  EXPECT_EQ(seen("a")->phase, ReplicaPhase::gone);
  EXPECT_TRUE(runs(innocent));
  // The same record with the true start time does reach it: the test would notice if nothing was ever signalled.
  engine["start_ticks"] = start_ticks;
  leave_record("b", engine, shim_id, shim::boot_id());
  EXPECT_EQ(seen("b")->phase, ReplicaPhase::draining);
  EXPECT_TRUE(eventually([&] { return !runs(innocent); }));
}

TEST_F(Recovery, NothingOfAnEarlierBootIsSignalledOrBlamed) {
  make(options());
  const pid_t innocent = start({"setsid", kEngineProgram});
  ASSERT_TRUE(eventually([&] { return shim::read_stat(innocent)->session == innocent; }));
  const auto start_ticks = shim::read_stat(innocent)->start_ticks;
  leave_record("a", {{"pid", innocent}, {"start_ticks", start_ticks}, {"group", innocent}},
               {{"pid", innocent}, {"start_ticks", start_ticks}}, "another-boot");
  EXPECT_EQ(seen("a")->phase, ReplicaPhase::gone);
  EXPECT_EQ(seen("a")->detail, "the host was restarted");
  EXPECT_FALSE(seen("a")->failed);
  EXPECT_TRUE(runs(innocent));
}

TEST_F(Recovery, BrokenRecordsAreGoneWithoutACrash) {
  make(options());
  const std::vector<std::string> texts{"",
                                       "{",
                                       "[]",
                                       "null",
                                       "{\"replica\": 3}",
                                       "\xff\xfe",
                                       std::string(3'000'000, '['),
                                       "{\"replica\":\"r\",\"deployment\":\"d\",\"port\":99999,\"started_at_ms\":1}"};
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::filesystem::create_directories(dir("r" + std::to_string(i)));
    write_file(dir("r" + std::to_string(i)) + "/replica.json", texts[i]);
  }
  std::filesystem::create_directories(dir("rollouts@main-7-1"));
  write_file(dir("not-a-directory"), "");
  const FleetSeen all = view();
  ASSERT_EQ(all.replicas.size(), texts.size() + 1);
  for (const ReplicaSeen& replica : all.replicas) {
    EXPECT_EQ(replica.phase, ReplicaPhase::gone) << replica.id.value;
    EXPECT_FALSE(replica.detail.empty());
  }
  EXPECT_EQ(seen("rollouts@main-7-1")->deployment, kRl);
  EXPECT_FALSE(seen("rollouts@main-7-1")->failed) << "never started, so nothing failed";
}

TEST_F(Recovery, ALivingReplicaWithABrokenRecordKeepsItsSlots) {
  make(options({}));
  start_all({"a"}, kRl, 2);
  write_file(dir("a") + "/replica.json", "{ half a rec");
  const ReplicaSeen replica = *seen("a");
  EXPECT_EQ(replica.phase, ReplicaPhase::starting);
  EXPECT_EQ(replica.slots, "0,1");
  const auto applied = apply(action(ActionKind::start, {"b"}));
  ASSERT_TRUE(applied.ok());
  EXPECT_EQ(applied->not_started.size(), 1U);
}

TEST_F(Recovery, ASlotLockedByAStrangerIsUnusableAndNotLent) {
  make(options({}));
  view();
  const auto stranger = shim::take_lock(slot("0"));
  ASSERT_TRUE(stranger.ok());
  EXPECT_EQ(view().unusable, Gpus{1});
  start_all({"a"});
  EXPECT_EQ(seen("a")->slots, "1");
  EXPECT_EQ(view().unusable, Gpus{1});
}

TEST_F(Recovery, ABusyGpuHoldsTheSlotOfWhatHasEnded) {
  ProcessFleetOptions wanted = options({"exit=0"}, 2);
  wanted.nvidia_smi = fake_nvidia_smi();
  make(wanted);
  start_all({"a"});
  write_file(base_ + "/gpus", "0, GPU-aaaa, 70000\n1, GPU-bbbb, 4\n");
  ASSERT_TRUE(eventually([&] { return seen("a")->detail.find("still in use") != std::string::npos; }));
  EXPECT_EQ(seen("a")->phase, ReplicaPhase::draining);
  write_file(base_ + "/gpus", "0, GPU-aaaa, 4\n1, GPU-bbbb, 4\n");
  EXPECT_TRUE(becomes("a", ReplicaPhase::gone));
}

TEST_F(Recovery, AGpuThatIsNeverFreedMakesItsReplicaLost) {
  ProcessFleetOptions wanted = options({"exit=0"}, 1);
  wanted.nvidia_smi = fake_nvidia_smi();
  make(wanted);
  start_all({"a"});
  write_file(base_ + "/gpus", "0, GPU-aaaa, 70000\n");
  ASSERT_TRUE(becomes("a", ReplicaPhase::draining));
  ASSERT_TRUE(eventually([&] { return seen("a")->detail.find("still in use") != std::string::npos; }));
  clock_.ahead = Duration{31'000};
  EXPECT_TRUE(becomes("a", ReplicaPhase::lost));
}

TEST_F(Recovery, AForeignProcessOnAGpuMakesItUnusable) {
  ProcessFleetOptions wanted = options({}, 2);
  wanted.nvidia_smi = fake_nvidia_smi();
  write_file(base_ + "/apps", "GPU-aaaa, 4711\n");
  make(wanted);
  ASSERT_TRUE(eventually([&] { return view().unusable == Gpus{1}; }));
  const auto applied = apply(action(ActionKind::start, {"a", "b"}));
  ASSERT_TRUE(applied.ok());
  EXPECT_EQ(applied->not_started, std::vector<ReplicaId>{ReplicaId("b")});
  EXPECT_EQ(seen("a")->slots, "1");
}

TEST_F(Recovery, NothingIsLentWhileNvidiaSmiCannotAnswer) {
  ProcessFleetOptions wanted = options({}, 2);
  wanted.nvidia_smi = fake_nvidia_smi();
  write_file(base_ + "/code", "15");
  make(wanted);
  const auto applied = apply(action(ActionKind::start, {"a"}));
  ASSERT_TRUE(applied.ok());
  EXPECT_EQ(applied->not_started.size(), 1U);
  EXPECT_NE(applied->detail.find("nvidia-smi exited with 15"), std::string::npos) << applied->detail;
}

TEST_F(Recovery, AHostWithoutADriverHasNoGpuMemoryToWaitFor) {
  ProcessFleetOptions wanted = options({"exit=0"}, 1);
  wanted.nvidia_smi = fake_nvidia_smi();
  write_file(base_ + "/code", "9");
  make(wanted);
  start_all({"a"});
  EXPECT_TRUE(becomes("a", ReplicaPhase::gone));
}

TEST_F(Recovery, ADirectoryThatCannotBeMadeMeansNothingIsKnown) {
  write_file(base_ + "/fleet", "a file where the directory should be");
  make(options());
  const auto seen = run(io_, fleet_->view());
  ASSERT_FALSE(seen.ok());
  EXPECT_TRUE(seen.error().retryable);
  EXPECT_FALSE(apply(action(ActionKind::start, {"a"})).ok());
}

}  // namespace
}  // namespace ebb::test
