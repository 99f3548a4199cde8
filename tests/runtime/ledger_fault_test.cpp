// What the disk and the machine do to a ledger: no space, failed writes, SIGKILL, power loss.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "tests/runtime/child.hpp"
#include "tests/runtime/faulty_vfs.hpp"
#include "tests/runtime/ledger_rig.hpp"
#include "tests/runtime/temp_dir.hpp"

namespace ebb {
namespace {

using namespace test;

const std::string kChild = std::string(EBB_BIN_DIR) + "/runtime_child";

class FaultyDisk : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Codes, FaultyDisk, testing::Values(SQLITE_FULL, SQLITE_IOERR_WRITE),
                         [](const auto& code) { return code.param == SQLITE_FULL ? "Full" : "WriteFails"; });

TEST_P(FaultyDisk, IsAnErrorAndWhatWasThereStaysReadable) {
  const TempDir dir;
  FaultyVfs disk;
  LedgerKnobs knobs;
  knobs.vfs = disk.name();
  auto book = open_book(dir / "ebb.db", knobs).value();
  for (std::uint64_t tick = 1; tick <= 5; ++tick) ASSERT_TRUE(book->record(decision_at(tick, 1)).ok());

  disk.fail_after(0, GetParam());
  const Status refused = book->record(decision_at(6, 1));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, GetParam() == SQLITE_FULL ? ErrorCode::exhausted : ErrorCode::internal);
  EXPECT_NE(refused.error().what.find("cannot record tick 6"), std::string::npos) << refused.error().what;
  EXPECT_FALSE(book->record(override_set(freeze("a"), at_tick(6))).ok());
  EXPECT_FALSE(book->record({outcome_of(decision_at(5, 1).plan.actions[0], OutcomeKind::done, at_tick(6))}).ok());
  EXPECT_EQ(book->decisions().size(), 5u);
  EXPECT_EQ(book->recover().state.tick, 5u);
  EXPECT_EQ(book->recover().unfinished.size(), 5u);

  disk.heal();
  EXPECT_TRUE(book->record(decision_at(7, 1)).ok()) << "it goes on as soon as there is room";
  EXPECT_EQ(book->recover().state.tick, 7u);
  EXPECT_TRUE(book->events().empty());
}

// The fault may come at any write of a transaction, of a checkpoint or of a clean-up.
TEST_P(FaultyDisk, AtAnyWriteLosesNothingThatWasAcknowledged) {
  for (long writes = 0; writes < 160; ++writes) {
    const TempDir dir;
    FaultyVfs disk;
    LedgerKnobs knobs;
    knobs.vfs = disk.name();
    knobs.clean_every = 3;
    LedgerConfig config;
    config.max_decisions = 6;
    std::uint64_t acknowledged = 0;
    {
      auto book = open_book(dir / "ebb.db", knobs, config).value();
      disk.fail_after(writes, GetParam());
      for (std::uint64_t tick = 1; tick <= 12; ++tick) {
        if (book->record(decision_at(tick, 2)).ok()) acknowledged = tick;
      }
    }
    disk.heal();
    auto book = open_book(dir / "ebb.db", knobs).value();
    const Recovered recovered = book->recover();
    // A commit that failed after its last page may be found whole all the same: never less than acknowledged.
    ASSERT_GE(recovered.state.tick, acknowledged) << "after " << writes << " writes";
    ASSERT_LE(recovered.state.tick, acknowledged + 1) << "after " << writes << " writes";
    ASSERT_EQ(recovered.unfinished.size(), 2 * recovered.state.tick);
  }
}

// With synchronous=NORMAL, which is SQLite's usual advice for WAL, this fails: a commit would be on its way only.
TEST(PowerCut, AtAnyWriteLosesNothingThatWasAcknowledged) {
  int cuts = 0;
  for (long writes = 0; writes < 200; writes += 1, ++cuts) {
    const TempDir dir;
    const std::string path = dir / "ebb.db";
    FaultyVfs disk;
    disk.watch_syncs();
    LedgerKnobs knobs;
    knobs.vfs = disk.name();
    std::uint64_t acknowledged = 0, event = 0;
    {
      auto book = open_book(path, knobs).value();
      disk.fail_after(writes, SQLITE_IOERR_WRITE);
      for (std::uint64_t tick = 1; tick <= 12; ++tick) {
        if (!book->record(decision_at(tick, 2)).ok()) break;
        acknowledged = tick;
        const auto seq = book->record(override_set(freeze(std::to_string(tick)), at_tick(tick)));
        if (!seq.ok()) break;
        event = *seq;
      }
      disk.fail_after(0, SQLITE_IOERR_WRITE);
    }
    disk.restore_synced(path);
    disk.heal();
    auto book = open_book(path, knobs).value();
    const Recovered recovered = book->recover();
    ASSERT_GE(recovered.state.tick, acknowledged) << "after " << writes << " writes";
    ASSERT_EQ(recovered.unfinished.size(), 2 * recovered.state.tick);
    ASSERT_GE(book->events().size(), event);
  }
  EXPECT_EQ(cuts, 200);
}

TEST(Sigkill, LosesNothingThatWasAcknowledgedAndRepeatsNothing) {
  const TempDir dir;
  const std::string path = dir / "ebb.db";
  std::random_device device;
  const unsigned seed = device();
  std::mt19937 random(seed);
  RecordProperty("seed", std::to_string(seed));
  std::uint64_t tick = 0, event = 0;
  std::set<std::string> outcomes;
  for (int round = 0; round < 20; ++round) {
    Child child({kChild, "ledger", path});
    // So many lines, and then it dies at whatever it does: the kill races with its writes.
    for (auto lines = 1 + random() % 40; lines > 0; --lines) {
      const auto line = child.line();
      ASSERT_TRUE(line.has_value()) << "seed " << seed << " round " << round;
      const std::size_t space = line->find(' ');
      const std::string word = line->substr(0, space), rest = line->substr(space + 1);
      if (word == "tick")
        tick = std::stoull(rest);
      else if (word == "event")
        event = std::stoull(rest);
      else if (word == "outcome")
        outcomes.insert(rest);
      else
        FAIL() << *line;
    }
    const int status = child.end(SIGKILL);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself: " << status;

    auto book = open_book(path).value();
    const Recovered recovered = book->recover();
    ASSERT_GE(recovered.state.tick, tick) << "seed " << seed;
    std::set<std::uint64_t> ticks;
    for (const auto& decision : book->decisions({.before = {}, .since = {}, .limit = 1'000}))
      ticks.insert(decision.at("tick").get<std::uint64_t>());
    ASSERT_EQ(ticks.size(), recovered.state.tick) << "every tick once and none missing, seed " << seed;
    std::set<std::string> ids, ended;
    std::size_t actions = 0;
    for (const ActionRow& row : book->actions()) {
      ++actions;
      ids.insert(row.action.id.value);
      if (row.outcome) ended.insert(row.action.id.value);
    }
    ASSERT_EQ(ids.size(), actions) << "an action is there twice";
    ASSERT_TRUE(std::includes(ended.begin(), ended.end(), outcomes.begin(), outcomes.end())) << "seed " << seed;
    ASSERT_GE(book->events().size(), event);
    tick = recovered.state.tick;
  }
  EXPECT_GT(tick, 20u);
}

}  // namespace
}  // namespace ebb
