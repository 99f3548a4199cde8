// The pure parts: slots, command lines, environment, phases, nvidia-smi's tables.
#include "adapters/process/launch.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "adapters/process/judge.hpp"
#include "adapters/process/run_command.hpp"

namespace ebb::process {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

const std::vector<std::string> kEight{"0", "1", "2", "3", "4", "5", "6", "7"};

TEST(PickSlots, TakesAnAlignedBlockWhereOneIsFree) {
  EXPECT_THAT(*pick_slots(kEight, {"1", "2", "3", "4", "5"}, 2), ElementsAre("2", "3"));
  EXPECT_THAT(*pick_slots(kEight, {"0", "4", "5", "6", "7"}, 4), ElementsAre("4", "5", "6", "7"));
}

TEST(PickSlots, TakesAnySlotsWhenNoBlockIsFree) {
  EXPECT_THAT(*pick_slots(kEight, {"1", "2", "7"}, 2), ElementsAre("1", "2"));
  EXPECT_FALSE(pick_slots(kEight, {"1", "2", "7"}, 4).has_value());
  EXPECT_FALSE(pick_slots({}, {}, 1).has_value());
}

ProcessDeployment deployment(std::vector<std::string> command) {
  ProcessDeployment out;
  out.config.id = DeploymentId("rollouts@main");
  out.config.command = std::move(command);
  out.model = "org/model";
  out.is_rl = true;
  return out;
}

Launch launch() { return Launch{ReplicaId("rollouts@main-3-0"), {"2", "3"}, 18001}; }

TEST(EngineCommand, FillsInWhatItKnowsAndLeavesOtherBracesAlone) {
  const auto command = deployment({"vllm", "serve", "{model}", "--port={port}", "{gpus}", "{deployment}/{replica}",
                                   "{\"method\": \"ngram\"}", "{", "{}", "{unknown}", "x}{port}"});
  EXPECT_THAT(engine_command(command, launch()),
              ElementsAre("vllm", "serve", "org/model", "--port=18001", "2,3", "rollouts@main/rollouts@main-3-0",
                          "{\"method\": \"ngram\"}", "{", "{}", "{unknown}", "x}18001"));
}

TEST(ShimCommand, PutsTheReplicaIntoAScopeOfItsOwnWhereSystemdIsAsked) {
  FleetConfig fleet;
  const auto plain = shim_command(deployment({"engine"}), launch(), fleet, "/bin/shim", "/d", "/l", "");
  EXPECT_EQ(plain.front(), "/bin/shim");
  const auto scoped =
      shim_command(deployment({"engine"}), launch(), fleet, "/bin/shim", "/d", "/l", "/bin/systemd-run");
  EXPECT_EQ(scoped.front(), "/bin/systemd-run");
  EXPECT_THAT(scoped, Contains("--scope"));
  EXPECT_THAT(scoped, Contains("--collect"));
  EXPECT_THAT(scoped, Contains("/bin/shim"));
}

TEST(EngineEnvironment, IsTheDaemonsWithoutItsOwnAffairs) {
  ProcessDeployment configured = deployment({"engine"});
  configured.config.environment = {{"EBB_WANTED", "yes"}, {"PATH", "/opt"}};
  const auto environment = engine_environment({"PATH=/bin", "NOTIFY_SOCKET=/x", "WATCHDOG_PID=1", "LISTEN_FDS=1",
                                               "EBB_TOKEN=t", "PROM_PASSWORD=p", "A=1=2", "nonsense"},
                                              {"PROM_PASSWORD"}, configured, launch());
  EXPECT_THAT(environment, ElementsAre("A=1=2", "CUDA_DEVICE_ORDER=PCI_BUS_ID", "CUDA_VISIBLE_DEVICES=2,3",
                                       "EBB_WANTED=yes", "PATH=/opt"));
}

TEST(GpusFrom, ReadsNvidiaSmisTables) {
  const auto gpus = gpus_from("0, GPU-aaaa, 4\n1, GPU-bbbb, 70123\n2, GPU-cccc, [N/A]\n",
                              "GPU-cccc, 4711\nNo running processes found\n");
  ASSERT_TRUE(gpus.ok());
  GpuSample sample;
  sample.gpus = *gpus;
  EXPECT_EQ(use_of(sample, "0"), GpuUse::free);
  EXPECT_EQ(use_of(sample, "1"), GpuUse::busy);
  EXPECT_EQ(use_of(sample, "GPU-bb"), GpuUse::busy) << "CUDA takes shortened names";
  EXPECT_EQ(use_of(sample, "2"), GpuUse::busy) << "by its process, where memory is not told";
  EXPECT_EQ(use_of(sample, "MIG-1"), GpuUse::free);
  sample.problem = "hung";
  EXPECT_EQ(use_of(sample, "0"), GpuUse::unknown);
}

TEST(GpusFrom, RefusesWhatIsNoTable) {
  EXPECT_FALSE(gpus_from("Failed to initialize NVML: Driver/library version mismatch\n", "").ok());
}

TEST(RunCommand, GivesOutputAndExitCodeAndEndsWhatHangs) {
  const auto said = run_command({"sh", "-c", "echo hello; exit 3"}, Duration{20'000});
  ASSERT_TRUE(said.ok());
  EXPECT_EQ(said->out, "hello\n");
  EXPECT_EQ(said->exit_code, 3);
  const auto hung = run_command({"sleep", "100"}, Duration{50});
  ASSERT_FALSE(hung.ok());
  EXPECT_EQ(hung.error().code, ErrorCode::timeout);
  EXPECT_FALSE(run_command({"/no/such/program"}, Duration{1'000}).ok());
  const auto killed = run_command({"sh", "-c", "kill -9 $$"}, Duration{20'000});
  EXPECT_FALSE(killed.ok());
}

TEST(RunCommand, AChildHoldsNothingThatIsOpenHere) {
  const int left_open = ::open("/dev/null", O_RDONLY);  // as a library opens it: without O_CLOEXEC
  ASSERT_GE(left_open, 0);
  const std::string there = "/proc/self/fd/" + std::to_string(left_open);
  const auto looked = run_command({"sh", "-c", "test -e " + there}, Duration{20'000});
  ::close(left_open);
  ASSERT_TRUE(looked.ok());
  EXPECT_EQ(looked->exit_code, 1);
}

TEST(EndingText, SaysHowAndWhy) {
  Exit exit;
  exit.reason = "exited";
  exit.signal = 11;
  EXPECT_EQ(ending_text(exit, ""), "killed by signal 11");
  exit.reason = "lease lapsed";
  exit.forced = true;
  EXPECT_EQ(ending_text(exit, "last words"), "lease lapsed, killed at the deadline");
}

}  // namespace
}  // namespace ebb::process
