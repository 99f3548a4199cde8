// A reload replaces the configuration as a whole, or leaves it as it is and says why.
#include "daemon/runtime/live_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/runtime/temp_dir.hpp"

namespace ebb {
namespace {

using test::TempDir;
using ::testing::HasSubstr;

constexpr TimePoint kNow{Duration{1'000}};

const char* kBefore = R"(state_dir: /s
pools:
  - {name: a, gpus: 4}
  - {name: b, gpus: 2}
fleets:
  - {name: f, pool: a}
  - {name: g, pool: b, first_port: 20000, last_port: 20010, gpu_ids: ["4", "5"]}
)";

class LiveConfigTest : public ::testing::Test {
 protected:
  LiveConfigTest() : path_(dir_ / "ebb.yaml") { write(kBefore); }

  /// Every write looks later than the one before, whatever the file system's clock.
  void write(const std::string& text) {
    std::ofstream(path_) << text;
    age_ += std::chrono::seconds{1};
    std::filesystem::last_write_time(path_, std::filesystem::file_time_type{} + age_);
  }
  std::unique_ptr<LiveConfig> open() {
    Result<std::unique_ptr<LiveConfig>> live = LiveConfig::open(path_);
    EXPECT_TRUE(live.ok()) << live.error().what;
    return std::move(live.value());
  }
  /// What a reload says of the first file with one text replaced by another.
  std::string refusal(const std::string& from, const std::string& to) {
    write(kBefore);
    const auto live = open();
    std::string text = kBefore;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    write(text.replace(at, from.size(), to));
    const auto before = live->current();
    const ReloadStatus status = live->reload(kNow);
    EXPECT_EQ(status.ok, status.problems.empty());
    EXPECT_EQ(live->current() == before, !status.ok) << "kept exactly when refused";
    return status.problems.substr(std::min(status.problems.size(), path_.size()));
  }

  TempDir dir_;
  std::string path_;
  std::chrono::seconds age_{1'000'000};
};

TEST_F(LiveConfigTest, ABadFileDoesNotStart) {
  write("tikc: 5s\n");
  const auto live = LiveConfig::open(path_);
  ASSERT_FALSE(live.ok());
  EXPECT_THAT(live.error().what, HasSubstr(path_ + ":1:1: unknown key 'tikc'; did you mean 'tick'?\n"));
}

TEST_F(LiveConfigTest, AGoodFileReplacesTheWhole) {
  const auto live = open();
  const auto before = live->current();
  write(std::string(kBefore) + "tick: 7s\n");
  const ReloadStatus status = live->reload(kNow);
  EXPECT_TRUE(status.ok) << status.problems;
  EXPECT_EQ(status.at, kNow);
  EXPECT_EQ(live->current()->tick, Duration{7'000});
  EXPECT_EQ(before->tick, Duration{5'000}) << "whoever holds the old one keeps it unchanged";
  EXPECT_NE(live->current()->hash, before->hash);
}

TEST_F(LiveConfigTest, ABadFileKeepsTheOldConfigurationAndSaysWhy) {
  const auto live = open();
  const auto before = live->current();
  write("tick: 90\npools: [{name: a}]\n");
  const ReloadStatus refused = live->reload(kNow);
  EXPECT_FALSE(refused.ok);
  EXPECT_EQ(refused.problems, path_ + ":1:7: 'tick' needs a unit: write 90s for seconds (ms, s, m, h, d)\n");
  EXPECT_EQ(live->current(), before);
  EXPECT_EQ(live->status().problems, refused.problems);
  write(kBefore);
  EXPECT_TRUE(live->reload(kNow).ok);
  EXPECT_TRUE(live->status().problems.empty());
}

TEST_F(LiveConfigTest, AFileThatIsGoneKeepsTheOldConfiguration) {
  const auto live = open();
  std::filesystem::remove(path_);
  EXPECT_EQ(live->reload(kNow).problems, path_ + ": there is no such file\n");
  EXPECT_EQ(live->current()->state_dir, "/s");
}

TEST_F(LiveConfigTest, WhatTheProcessHoldsOnToIsRefusedWhereItStands) {
  EXPECT_EQ(refusal("state_dir: /s", "state_dir: /t"),
            ":1:1: 'state_dir' would change from /s to /t: not while the daemon runs, restart it\n");
  EXPECT_EQ(
      refusal("state_dir", "api: {listen: \"127.0.0.1:9\"}\nstate_dir"),
      ":1:7: 'api.listen' would change from 127.0.0.1:8470 to 127.0.0.1:9: not while the daemon runs, restart it\n");
  EXPECT_THAT(refusal("pools:", "api: {max_body_kib: 9}\npools:"), HasSubstr(":2:7: 'api.max_body_kib' would change"));
  EXPECT_THAT(refusal("pools:", "ledger: {path: /x.db}\npools:"), HasSubstr(":2:10: 'ledger.path' would change"));
  EXPECT_THAT(refusal("pools:", "ledger: {keep: 1d}\npools:"),
              HasSubstr(":2:10: 'ledger.keep' would change from 7d to 1d"));
  EXPECT_THAT(refusal("state_dir: /s\n", ""), HasSubstr(":1:1: 'state_dir' would change from /s to /var/lib/ebb"));
}

TEST_F(LiveConfigTest, AFleetThatIsSimulatedRunsNothing) {
  EXPECT_THAT(refusal("pool: a}", "pool: a, kind: simulated}"),
              HasSubstr(":6:5: fleet 'f' is simulated: it runs nothing, and is for `ebbd backtest`"));
  write("pools: [{name: a, gpus: 4}]\nfleets: [{name: f, kind: simulated, pool: a}]\n");
  const auto opened = LiveConfig::open(path_);
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().what, HasSubstr("is simulated"));
}

TEST_F(LiveConfigTest, AFleetKeepsWhatItsReplicasHold) {
  EXPECT_THAT(refusal("name: f,", "name: h,"), HasSubstr(":5:1: fleet 'f' may still run replicas"));
  EXPECT_THAT(refusal("pool: a}", "pool: a, directory: /d}"),
              HasSubstr(":6:24: 'fleets.f.directory' would change from /s/fleets/f to /d"));
  EXPECT_THAT(refusal("gpus: 4", "gpus: 3"),
              HasSubstr(":3:15: fleet 'f' would lose the GPUs 3, on which replicas may run"));
  EXPECT_THAT(refusal("\"4\", \"5\"", "\"5\", \"6\""), HasSubstr(":7:"));
  EXPECT_THAT(refusal("\"4\", \"5\"", "\"5\", \"6\""), HasSubstr("fleet 'g' would lose the GPUs 4"));
}

TEST_F(LiveConfigTest, TheSameSaidInOtherWordsIsNoChange) {
  EXPECT_EQ(refusal("pool: a}", "pool: a, directory: /s/fleets/f}"), "");
  EXPECT_EQ(refusal("pools:", "ledger: {path: /s/ebb.db}\npools:"), "");
  EXPECT_EQ(refusal("pool: a}", "pool: a, gpu_ids: [\"3\", \"2\", \"1\", \"0\"]}"), "");
}

TEST_F(LiveConfigTest, GrowingIsWelcome) {
  EXPECT_EQ(refusal("{name: a, gpus: 4}", "{name: a, gpus: 4}\n  - {name: c}"), "");
  EXPECT_EQ(refusal("gpus: 4", "gpus: 4, headroom: 1"), "");
  EXPECT_EQ(refusal("  - {name: g, pool: b, first_port: 20000, last_port: 20010, gpu_ids: [\"4\", \"5\"]}\n",
                    "  - {name: g, pool: b, first_port: 20000, last_port: 20020, gpu_ids: [\"5\", \"4\"]}\n"
                    "services: []\n"),
            "");
}

TEST_F(LiveConfigTest, AChangedFileIsNoticedOnce) {
  const auto live = open();
  EXPECT_FALSE(live->file_changed());
  write(std::string(kBefore) + "# a comment\n");
  EXPECT_TRUE(live->file_changed());
  EXPECT_FALSE(live->file_changed());
}

TEST_F(LiveConfigTest, AFileReplacedByRenamingIsNoticedEvenWithTheSameTimeAndSize) {
  const auto live = open();
  const auto written = std::filesystem::last_write_time(path_);
  std::string text = kBefore;
  std::ofstream(path_ + ".new") << text.replace(text.find("gpus: 4"), 7, "gpus: 5");
  std::filesystem::last_write_time(path_ + ".new", written);
  std::filesystem::rename(path_ + ".new", path_);
  EXPECT_TRUE(live->file_changed());
}

TEST_F(LiveConfigTest, AFileThatIsGoneForAMomentIsNoChangeUntilItIsBack) {
  const auto live = open();
  std::filesystem::rename(path_, path_ + "~");
  EXPECT_FALSE(live->file_changed());
  write(kBefore);
  EXPECT_TRUE(live->file_changed());
}

TEST_F(LiveConfigTest, ALinkThatTurnsToAnotherFileIsNoticed) {
  // As Kubernetes updates a mounted ConfigMap.
  const std::string link = dir_ / "link.yaml", other = dir_ / "other.yaml";
  std::filesystem::create_symlink(path_, link);
  auto live = LiveConfig::open(link);
  ASSERT_TRUE(live.ok());
  std::ofstream(other) << kBefore;
  std::filesystem::create_symlink(other, link + ".new");
  std::filesystem::rename(link + ".new", link);
  EXPECT_TRUE(live.value()->file_changed());
}

TEST_F(LiveConfigTest, WhatWasReloadedIsNotReportedAsChangedAgain) {
  const auto live = open();
  write(std::string(kBefore) + "tick: 6s\n");
  live->reload(kNow);
  EXPECT_FALSE(live->file_changed());
}

}  // namespace
}  // namespace ebb
