// ebb-shim as a program, with real engines.
#include <sys/file.h>

#include "tests/shim/harness.hpp"

namespace ebb::test {
namespace {

using shim::LockState;

class Shim : public WithProcesses {
 protected:
  Shim() {
    std::filesystem::create_directory(dir());
    std::filesystem::create_directory(slots());
  }

  std::string dir(const std::string& name = "r") const { return base_ + "/" + name; }
  std::string slots() const { return base_ + "/slots"; }
  std::string path(const char* file) const { return dir() + "/" + file; }

  std::vector<std::string> command(const std::vector<std::string>& options, const std::vector<std::string>& engine,
                                   const std::string& name = "r") const {
    std::vector<std::string> out{kShimProgram, "--dir", dir(name),   "--lock-dir", slots(),
                                 "--slots",    "0,1",   "--replica", name};
    out.insert(out.end(), options.begin(), options.end());
    out.emplace_back("--");
    out.insert(out.end(), engine.begin(), engine.end());
    return out;
  }
  int run(const std::vector<std::string>& options, const std::vector<std::string>& engine,
          const std::string& name = "r") const {
    return exit_code_of(start(command(options, engine, name)));
  }
  static std::vector<std::string> engine(std::vector<std::string> wishes = {}) {
    wishes.insert(wishes.begin(), kEngineProgram);
    return wishes;
  }
  pid_t pid_of(const char* who) const {
    const nlohmann::json record = json_file(path(shim::kRecord));
    return record.contains(who) ? record[who]["pid"].get<pid_t>() : -1;
  }
  bool up() const {
    return shim::read_file(path(shim::kEngineLog)).value_or("").find("engine is up") != std::string::npos;
  }
  nlohmann::json exit_file() const {
    EXPECT_TRUE(eventually([&] { return std::filesystem::exists(path(shim::kExit)); }));
    return json_file(path(shim::kExit));
  }
  LockState lock(const std::string& file) const { return shim::probe_lock(file); }
  bool all_free() const {
    return lock(path(shim::kAliveLock)) == LockState::free && lock(slots() + "/0.lock") == LockState::free &&
           lock(slots() + "/1.lock") == LockState::free;
  }
};

TEST_F(Shim, RecordsTheEngineBeforeItExecutesAnything) {
  const std::string copy = "cp " + path(shim::kRecord) + " " + base_ + "/seen && echo $$ > " + base_ + "/pid";
  ASSERT_EQ(run({"--deployment", "d", "--port", "123"}, {"sh", "-c", copy}), shim::kStarted);
  exit_file();
  const nlohmann::json record = json_file(base_ + "/seen");
  ASSERT_TRUE(record.is_object());
  EXPECT_EQ(record["engine"]["pid"], std::stoi(*shim::read_file(base_ + "/pid")));
  EXPECT_EQ(record["engine"]["group"], record["engine"]["pid"]);
  EXPECT_EQ(record["replica"], "r");
  EXPECT_EQ(record["deployment"], "d");
  EXPECT_EQ(record["port"], 123);
  EXPECT_EQ(record["slots"], (nlohmann::json{"0", "1"}));
  EXPECT_EQ(record["boot_id"], shim::boot_id());
  EXPECT_GT(record["started_at_ms"], 0);
}

TEST_F(Shim, HoldsItsLocksAndSaysWhoseTheyAre) {
  ASSERT_EQ(run({}, engine()), shim::kStarted);
  EXPECT_EQ(lock(path(shim::kAliveLock)), LockState::held);
  EXPECT_EQ(lock(slots() + "/0.lock"), LockState::held);
  EXPECT_EQ(lock(slots() + "/1.lock"), LockState::held);
  EXPECT_EQ(shim::read_file(slots() + "/1.lock"), "r " + std::to_string(pid_of("shim")) + "\n");
}

TEST_F(Shim, LeavesTheSessionAndTheGroupOfItsStarter) {
  ASSERT_EQ(run({}, engine()), shim::kStarted);
  const auto shim_stat = shim::read_stat(pid_of("shim"));
  const auto engine_stat = shim::read_stat(pid_of("engine"));
  ASSERT_TRUE(shim_stat && engine_stat);
  EXPECT_EQ(shim_stat->session, shim_stat->pid);
  EXPECT_EQ(shim_stat->parent, ::getpid()) << "orphaned at once: the subreaper's, here the test's";
  EXPECT_EQ(engine_stat->session, shim_stat->pid);
  EXPECT_EQ(engine_stat->group, engine_stat->pid);
  EXPECT_EQ(json_file(path(shim::kRecord))["engine"]["start_ticks"], engine_stat->start_ticks);
}

TEST_F(Shim, RefusesASlotThatIsTakenAndSaysSo) {
  const auto taken = shim::take_lock(slots() + "/1.lock");
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(run({}, engine()), shim::kRefusedSlot);
  EXPECT_NE(json_file(path(shim::kRefused))["why"].get<std::string>().find("slot 1"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path(shim::kRecord)));
  // The process that took it may still be on its way out when its starter hears of the refusal.
  EXPECT_TRUE(eventually([&] { return lock(slots() + "/0.lock") == LockState::free; })) << "all or none";
}

TEST_F(Shim, OfManyRacingForOneSlotExactlyOneWins) {
  std::vector<pid_t> racers;
  for (int i = 0; i < 8; ++i) {
    const std::string name = "racer" + std::to_string(i);
    std::filesystem::create_directory(dir(name));
    racers.push_back(start(command({}, engine(), name)));
  }
  int won = 0;
  for (const pid_t racer : racers) {
    const int code = exit_code_of(racer);
    won += code == shim::kStarted ? 1 : 0;
    EXPECT_TRUE(code == shim::kStarted || code == shim::kRefusedSlot) << code;
  }
  EXPECT_EQ(won, 1);
}

TEST_F(Shim, StartsAReplicaOnceOnly) {
  ASSERT_EQ(run({}, engine({"exit=0"})), shim::kStarted);
  exit_file();
  ASSERT_TRUE(eventually([&] { return all_free(); }));
  EXPECT_EQ(run({}, engine()), shim::kAlready);
}

TEST_F(Shim, ReportsHowTheEngineEnded) {
  ASSERT_EQ(run({}, engine({"exit=3"})), shim::kStarted);
  const nlohmann::json exit = exit_file();
  EXPECT_EQ(exit["reason"], "exited");
  EXPECT_EQ(exit["code"], 3);
  EXPECT_EQ(exit["forced"], false);
  EXPECT_EQ(shim::last_line(path(shim::kEngineLog)), "about to fall over");
  EXPECT_TRUE(eventually([&] { return all_free(); }));
}

TEST_F(Shim, SaysInTheEnginesLogThatTheCommandDoesNotExist) {
  ASSERT_EQ(run({}, {"/no/such/engine"}), shim::kStarted);
  EXPECT_EQ(exit_file()["code"], 127);
  EXPECT_NE(shim::last_line(path(shim::kEngineLog)).find("/no/such/engine"), std::string::npos);
}

TEST_F(Shim, DrainsOnOrder) {
  ASSERT_EQ(run({}, engine()), shim::kStarted);
  ASSERT_TRUE(eventually([&] { return up(); }));
  ASSERT_TRUE(shim::replace_file(dir(), shim::kDrain, "60000 0\n", shim::Sync::no).ok());
  const nlohmann::json exit = exit_file();
  EXPECT_EQ(exit["reason"], "drain");
  EXPECT_EQ(exit["signal"], SIGTERM);
  EXPECT_EQ(exit["forced"], false);
}

TEST_F(Shim, KillsAtTheDeadlineWhatIgnoresTheDrain) {
  ASSERT_EQ(run({}, engine({"ignore_term"})), shim::kStarted);
  ASSERT_TRUE(eventually([&] { return up(); }));
  ASSERT_TRUE(shim::replace_file(dir(), shim::kDrain, "300 0\n", shim::Sync::no).ok());
  const nlohmann::json exit = exit_file();
  EXPECT_EQ(exit["signal"], SIGKILL);
  EXPECT_EQ(exit["reason"], "drain");
  EXPECT_EQ(exit["forced"], true);
  EXPECT_GE(exit["at_ms"].get<long long>() - json_file(path(shim::kLeaving))["at_ms"].get<long long>(), 0);
}

TEST_F(Shim, ALaterOrderBringsTheDeadlineNearerAndNeverPutsItOff) {
  ASSERT_EQ(run({"--drain-timeout", "1h"}, engine({"ignore_term"})), shim::kStarted);
  ASSERT_TRUE(eventually([&] { return up(); }));
  ASSERT_TRUE(shim::replace_file(dir(), shim::kDrain, "nonsense", shim::Sync::no).ok());
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(path(shim::kLeaving)); }));
  EXPECT_TRUE(runs(pid_of("engine")));
  ASSERT_TRUE(shim::replace_file(dir(), shim::kDrain, "200 0\n", shim::Sync::no).ok());
  EXPECT_EQ(exit_file()["signal"], SIGKILL);
}

TEST_F(Shim, DrainsWhenItIsTerminatedItself) {
  ASSERT_EQ(run({}, engine()), shim::kStarted);
  ASSERT_TRUE(eventually([&] { return up(); }));
  ::kill(pid_of("shim"), SIGTERM);
  EXPECT_EQ(exit_file()["reason"], "signal");
}

TEST_F(Shim, EvictsAtOnce) {
  ASSERT_EQ(run({"--drain-timeout", "1h"}, engine({"ignore_term"})), shim::kStarted);
  ASSERT_TRUE(eventually([&] { return up(); }));
  ASSERT_TRUE(shim::replace_file(dir(), shim::kEvict, "0 0\n", shim::Sync::no).ok());
  const nlohmann::json exit = exit_file();
  EXPECT_EQ(exit["reason"], "evict");
  EXPECT_EQ(exit["signal"], SIGKILL);
}

TEST_F(Shim, DrainsAnRlReplicaWhoseLeaseLapses) {
  ASSERT_EQ(run({"--role", "rl", "--ttl", "300ms"}, engine()), shim::kStarted);
  EXPECT_EQ(exit_file()["reason"], "lease lapsed");
}

TEST_F(Shim, ALeaseFarInTheFutureDoesNotOutliveItsTimeToLive) {
  ASSERT_EQ(run({"--role", "rl", "--ttl", "300ms"}, engine()), shim::kStarted);
  ASSERT_TRUE(shim::replace_file(dir(), shim::kLease, "99999999999999 0\n", shim::Sync::no).ok());
  EXPECT_EQ(exit_file()["reason"], "lease lapsed");
}

TEST_F(Shim, KeepsAnRlReplicaWhoseLeaseIsRenewed) {
  ASSERT_EQ(run({"--role", "rl", "--ttl", "3s"}, engine()), shim::kStarted);
  const long long until = json_file(path(shim::kRecord))["started_at_ms"].get<long long>() + 4'000;
  long long now = 0;
  // Longer than one time to live, which is long enough for a machine that stalls; renewed every 50 ms.
  ASSERT_TRUE(eventually([&] {
    now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
              .count();
    ::poll(nullptr, 0, 50);
    EXPECT_TRUE(shim::replace_file(dir(), shim::kLease, shim::to_text({now + 3'000, now}), shim::Sync::no).ok());
    return now > until;
  }));
  EXPECT_TRUE(runs(pid_of("engine")));
  EXPECT_FALSE(std::filesystem::exists(path(shim::kLeaving)));
}

TEST_F(Shim, TakesDownGrandchildrenThatLeftTheGroupAndIgnoreSignals) {
  ASSERT_EQ(run({}, engine({"family=" + base_ + "/child"})), shim::kStarted);
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(base_ + "/child"); }));
  const pid_t child = std::stoi(*shim::read_file(base_ + "/child"));
  ASSERT_TRUE(runs(child));
  ASSERT_TRUE(shim::replace_file(dir(), shim::kDrain, "60000 0\n", shim::Sync::no).ok());
  exit_file();
  EXPECT_FALSE(runs(child)) << "exit.json says that nothing runs any more";
}

TEST_F(Shim, TakesDownWhatAnEngineThatFellOverLeavesBehind) {
  ASSERT_EQ(run({}, {"sh", "-c", "sleep 100 & sleep 100 & echo $! > " + base_ + "/child; exit 4"}), shim::kStarted);
  EXPECT_EQ(exit_file()["code"], 4);
  EXPECT_FALSE(runs(std::stoi(*shim::read_file(base_ + "/child"))));
}

TEST_F(Shim, AKilledShimTakesItsEngineAlong) {
  ASSERT_EQ(run({}, engine({"ignore_term"})), shim::kStarted);
  const pid_t pid = pid_of("engine");
  ASSERT_TRUE(runs(pid));
  ::kill(pid_of("shim"), SIGKILL);
  EXPECT_TRUE(eventually([&] { return !runs(pid); }));
  EXPECT_TRUE(eventually([&] { return all_free(); }));
  EXPECT_FALSE(std::filesystem::exists(path(shim::kExit)));
}

TEST_F(Shim, TheSlotStaysLockedWhileAnythingOfAKilledShimLives) {
  ASSERT_EQ(run({}, engine({"family=" + base_ + "/child"})), shim::kStarted);
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(base_ + "/child"); }));
  const pid_t child = std::stoi(*shim::read_file(base_ + "/child"));
  ::kill(pid_of("shim"), SIGKILL);
  ASSERT_TRUE(eventually([&] { return lock(path(shim::kAliveLock)) == LockState::free; }));
  ASSERT_TRUE(eventually([&] { return !runs(pid_of("engine")); }));
  ASSERT_TRUE(runs(child));
  EXPECT_EQ(lock(slots() + "/0.lock"), LockState::held);
  ::kill(child, SIGKILL);
  EXPECT_TRUE(eventually([&] { return lock(slots() + "/0.lock") == LockState::free; }));
}

TEST_F(Shim, GivesTheEngineNothingOpenButItsLogAndItsLocks) {
  const shim::Fd leaked(::open(base_.c_str(), O_RDONLY | O_DIRECTORY));  // without O_CLOEXEC, as a library might
  ASSERT_TRUE(leaked.open());
  ASSERT_EQ(run({}, engine()), shim::kStarted);
  ASSERT_TRUE(eventually([&] { return up(); }));
  std::vector<std::string> open;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid_of("engine")) + "/fd")) {
    open.push_back(std::filesystem::read_symlink(entry.path()).string());
  }
  std::sort(open.begin(), open.end());
  std::vector<std::string> expected{"/dev/null", path(shim::kEngineLog), path(shim::kEngineLog), slots() + "/0.lock",
                                    slots() + "/1.lock"};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(open, expected);
}

TEST_F(Shim, KeepsTheLogWithinItsBound) {
  ASSERT_EQ(run({"--log-max-bytes", "1000000"}, engine({"chatter"})), shim::kStarted);
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(path(shim::kOldEngineLog)); }));
  ASSERT_TRUE(shim::replace_file(dir(), shim::kEvict, "0 0\n", shim::Sync::no).ok());
  exit_file();
}

TEST_F(Shim, StartsNothingForAStarterThatHasGivenUp) {
  auto held = shim::take_lock(path(shim::kAliveLock));
  ASSERT_TRUE(held.ok());
  const pid_t starter = start(command({}, engine()));
  // The supervisor is there and waits for the lock when the starter has a child.
  ASSERT_TRUE(eventually([&] {
    const auto all = shim::all_processes();
    return std::any_of(all.begin(), all.end(), [&](const shim::ProcessStat& p) { return p.parent == starter; });
  }));
  ::kill(starter, SIGKILL);
  exit_code_of(starter);
  held->reset();
  EXPECT_TRUE(eventually([&] {
    const bool ended = lock(path(shim::kAliveLock)) == LockState::free;
    return ended && (!std::filesystem::exists(path(shim::kRecord)) || std::filesystem::exists(path(shim::kExit)));
  }));
  EXPECT_FALSE(up()) << "the engine was never released from its gate";
}

TEST_F(Shim, RefusesACommandLineItDoesNotUnderstand) {
  EXPECT_EQ(run({"--ttl", "soon"}, engine()), shim::kUsage);
  EXPECT_EQ(run({"--colour", "red"}, engine()), shim::kUsage);
  EXPECT_EQ(exit_code_of(start({kShimProgram, "--dir", dir(), "--lock-dir", slots(), "--slots", "0", "--"})),
            shim::kUsage);
  EXPECT_EQ(exit_code_of(start({kShimProgram, "--dir"})), shim::kUsage);
}

TEST_F(Shim, DoesNotStartWhatItCannotRecord) {
  // No file may grow here, as on a full disk.
  std::string line = "ulimit -f 0; exec";
  for (const std::string& word : command({}, engine())) line += " '" + word + "'";
  EXPECT_EQ(exit_code_of(start({"sh", "-c", line})), shim::kFailed);
  EXPECT_FALSE(std::filesystem::exists(path(shim::kRecord)));
  EXPECT_FALSE(up());
  EXPECT_TRUE(eventually([&] { return all_free(); }));
}

TEST_F(Shim, FailsWithoutADirectory) {
  std::filesystem::remove_all(dir());
  EXPECT_EQ(run({}, engine()), shim::kFailed);
  EXPECT_EQ(lock(slots() + "/0.lock"), LockState::absent);
}

}  // namespace
}  // namespace ebb::test
