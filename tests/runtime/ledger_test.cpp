#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "tests/runtime/faulty_vfs.hpp"
#include "tests/runtime/ledger_rig.hpp"
#include "tests/runtime/temp_dir.hpp"

namespace ebb {
namespace {

using namespace test;

std::int64_t number(const std::string& path, const char* sql) {
  auto db = Database::open(path, SQLITE_OPEN_READWRITE);
  return db.value()->number(sql).value();
}

void change(const std::string& path, const char* sql) {
  auto db = Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  ASSERT_TRUE(db.value()->run(sql).ok()) << sql;
}

std::string bytes_of(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

TEST(Ledger, AnEmptyOneIsFresh) {
  const TempDir dir;
  auto book = open_book(dir / "ebb.db").value();
  const Recovered recovered = book->recover();
  EXPECT_TRUE(recovered.fresh);
  EXPECT_TRUE(recovered.unfinished.empty());
  EXPECT_EQ(run(book->io(), book->ledger().decision(1)).error().code, ErrorCode::not_found);
  EXPECT_EQ(run(book->io(), book->ledger().decision_at(kStart)).error().code, ErrorCode::not_found);
}

TEST(Ledger, GivesBackTheNewestStateAndWhatIsUnfinished) {
  const TempDir dir;
  const Decision second = decision_at(2, 2);
  {
    auto book = open_book(dir / "ebb.db").value();
    ASSERT_TRUE(book->record(decision_at(1)).ok());
    ASSERT_TRUE(book->record(second).ok());
    ASSERT_TRUE(book->record({outcome_of(second.plan.actions[0], OutcomeKind::done, at_tick(2))}).ok());
  }
  const Recovered recovered = open_book(dir / "ebb.db").value()->recover();
  EXPECT_FALSE(recovered.fresh);
  EXPECT_EQ(recovered.state, second.next);
  ASSERT_EQ(recovered.unfinished.size(), 1u);
  EXPECT_EQ(recovered.unfinished[0].action, second.plan.actions[1]);
  EXPECT_EQ(recovered.unfinished[0].tick, 2u);
}

TEST(Ledger, FoldsEventsAfterTheNewestDecisionAlsoWhenTheClockWentBack) {
  const TempDir dir;
  auto book = open_book(dir / "ebb.db").value();
  ASSERT_TRUE(book->record(override_set(freeze("a"), at_tick(1))).ok());
  ASSERT_TRUE(book->record(decision_at(1)).ok());
  ASSERT_TRUE(book->record(decision_at(2)).ok());
  // A day before everything else, as after a reboot without a battery-backed clock.
  const TimePoint yesterday = kStart - std::chrono::days{1};
  ASSERT_TRUE(book->record(override_set(freeze("b"), yesterday)).ok());
  ASSERT_TRUE(book->record(override_set(freeze("c"), yesterday)).ok());
  ASSERT_TRUE(book->record(override_cleared("b", yesterday)).ok());
  Event demand;
  demand.at = yesterday;
  demand.kind = "demand_set";
  demand.subject = "rl";
  demand.demand = Demand{4.0, std::nullopt, yesterday, kStart};
  ASSERT_TRUE(book->record(demand).ok());
  const State state = book->recover().state;
  EXPECT_EQ(state.overrides.size(), 1u) << "a is in no state any more, b was cleared";
  EXPECT_TRUE(state.overrides.contains(OverrideId("c")));
  EXPECT_EQ(state.demand.at(JobId("rl")), *demand.demand);
}

// An event that was recorded while a decision was being made is not in that decision's state.
TEST(Ledger, FoldsAnEventThatADecisionOvertook) {
  const TempDir dir;
  auto book = open_book(dir / "ebb.db").value();
  ASSERT_TRUE(book->record(decision_at(1)).ok());
  ASSERT_TRUE(book->record(override_set(freeze("a"), at_tick(1))).ok());
  ASSERT_TRUE(book->record(decision_at(2)).ok());
  EXPECT_TRUE(book->recover().state.overrides.contains(OverrideId("a")));
  ASSERT_TRUE(book->record(decision_at(3)).ok());
  EXPECT_FALSE(book->recover().state.overrides.contains(OverrideId("a"))) << "decision 3 had the chance to know";
}

TEST(Ledger, FoldsAnOutcomeOnceHoweverItsTimeLies) {
  const TempDir dir;
  auto book = open_book(dir / "ebb.db").value();
  const Decision first = decision_at(1, 2);
  ASSERT_TRUE(book->record(first).ok());
  ASSERT_TRUE(book->record({outcome_of(first.plan.actions[0], OutcomeKind::failed, at_tick(1))}).ok());
  Decision second = decision_at(2);
  second.next.deployments[first.plan.actions[0].deployment].failures = 1;
  ASSERT_TRUE(book->record(second).ok());
  // It ended before decision 2 was made, and was recorded after it.
  ASSERT_TRUE(book->record({outcome_of(first.plan.actions[1], OutcomeKind::failed, at_tick(1))}).ok());
  const State state = book->recover().state;
  EXPECT_EQ(state.deployments.at(first.plan.actions[0].deployment).failures, 1) << "decision 2 held it already";
  EXPECT_EQ(state.deployments.at(first.plan.actions[1].deployment).failures, 1) << "it came after decision 2";
}

TEST(Ledger, TheFirstOutcomeOfAnActionStays) {
  const TempDir dir;
  auto book = open_book(dir / "ebb.db").value();
  const Decision first = decision_at(1, 1);
  ASSERT_TRUE(book->record(first).ok());
  ASSERT_TRUE(book->record({outcome_of(first.plan.actions[0], OutcomeKind::done, at_tick(1))}).ok());
  ASSERT_TRUE(book->record({outcome_of(first.plan.actions[0], OutcomeKind::failed, at_tick(2))}).ok());
  EXPECT_EQ(book->actions()[0].outcome->kind, OutcomeKind::done);
  EXPECT_TRUE(book->events().empty());
}

// With the ledger down reclaims still go out (I9); what became of them must be found all the same.
TEST(Ledger, AnOutcomeOfAnUnrecordedActionBecomesAnEvent) {
  const TempDir dir;
  auto book = open_book(dir / "ebb.db").value();
  Outcome outcome = outcome_of(decision_at(5, 1).plan.actions[0], OutcomeKind::done, at_tick(5));
  outcome.detail = "2 replicas";
  ASSERT_TRUE(book->record({outcome}).ok());
  const std::vector<Event> events = book->events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, "action_unrecorded");
  EXPECT_EQ(events[0].subject, outcome.action.value);
  EXPECT_EQ(events[0].detail, "done: 2 replicas");
}

TEST(Ledger, KeepsTheFirstAndEveryHundredthWholeAndTheOthersAsChanges) {
  const TempDir dir;
  const std::string path = dir / "ebb.db";
  auto book = open_book(path).value();
  for (const std::uint64_t tick : {98u, 99u, 100u}) ASSERT_TRUE(book->record(decision_at(tick)).ok());
  ASSERT_TRUE(book->record(decision_at(101, 1)).ok());
  ASSERT_TRUE(book->record(decision_at(102)).ok());
  EXPECT_EQ(number(path, "SELECT group_concat(tick, '') = '98100' FROM inputs WHERE base IS NULL"), 1);
  EXPECT_EQ(number(path, "SELECT base FROM inputs WHERE tick = 102"), 101);
  EXPECT_EQ(number(path, "SELECT json_extract(state, '$.patch.tick') FROM inputs WHERE tick = 102"), 102);
  EXPECT_EQ(number(path, "SELECT tick FROM state"), 102);
}

TEST(Ledger, PagesNewestFirstWithTheirSentences) {
  const TempDir dir;
  auto book = open_book(dir / "ebb.db").value();
  for (std::uint64_t tick = 1; tick <= 9; ++tick)
    ASSERT_TRUE(book->record(decision_at(tick, tick % 3 == 0 ? 1 : 0)).ok());
  const auto ticks = [&](Ledger::Page page) {
    std::string out;
    for (const auto& decision : book->decisions(page)) out += std::to_string(decision.at("tick").get<int>()) + " ";
    return out;
  };
  EXPECT_EQ(ticks({}), "9 8 7 6 5 4 3 2 1 ");
  EXPECT_EQ(ticks({.before = 4, .since = {}, .limit = 2}), "3 2 ");
  EXPECT_EQ(ticks({.before = {}, .since = at_tick(7)}), "9 8 7 ");
  EXPECT_EQ(ticks({.before = {}, .since = at_tick(4), .changed_only = true}), "9 6 ");
  EXPECT_EQ(ticks({.before = {}, .since = at_tick(10)}), "");
  EXPECT_EQ(ticks({.before = {}, .since = {}, .limit = -1}), "");
  const auto one = book->decisions({.before = {}, .since = {}, .limit = 1}).at(0);
  EXPECT_EQ(one.at("why").at(0).at("text"), to_sentence(decision_at(9).why[0]));
  EXPECT_EQ(run(book->io(), book->ledger().decision_at(at_tick(4) + Duration{1})).value().at("tick"), 4);
  EXPECT_EQ(run(book->io(), book->ledger().decision(5)).value().at("tick"), 5);
}

TEST(Ledger, WordsThatAreNoUtf8AreKeptAsWellAsTheyCan) {
  const TempDir dir;
  auto book = open_book(dir / "ebb.db").value();
  Decision first = decision_at(1, 1);
  first.why.push_back({Stage::freshness, "freshness.fleet", "f", {{"why", std::string("engine said \xff\xfe")}}});
  ASSERT_TRUE(book->record(first).ok());
  Outcome outcome = outcome_of(first.plan.actions[0], OutcomeKind::failed, at_tick(1));
  outcome.detail = "curl: \xc3\x28";
  ASSERT_TRUE(book->record({outcome}).ok());
  EXPECT_EQ(book->actions()[0].outcome->detail, "curl: \xef\xbf\xbd(");
  EXPECT_EQ(book->decisions().size(), 1u);
}

TEST(Ledger, ForgetsByAgeAndCountButNothingUnfinished) {
  const TempDir dir;
  const std::string path = dir / "ebb.db";
  LedgerConfig config;
  config.max_decisions = 10;
  FaultyVfs disk;  // it does not sync, which makes this fast
  LedgerKnobs knobs;
  knobs.vfs = disk.name();
  knobs.clean_every = 1;
  auto book = open_book(path, knobs, config).value();
  const Decision open = decision_at(3, 2);
  for (std::uint64_t tick = 1; tick <= 500; ++tick) {
    const Decision next = tick == 3 ? open : decision_at(tick, 1);
    ASSERT_TRUE(book->record(next).ok());
    if (tick != 3) {
      ASSERT_TRUE(book->record({outcome_of(next.plan.actions[0], OutcomeKind::done, next.at)}).ok());
    }
    ASSERT_TRUE(book->record(override_set(freeze("a"), next.at)).ok());
  }
  EXPECT_EQ(number(path, "SELECT count(*) FROM decisions WHERE tick <= 489"), 1) << "the one with unfinished actions";
  EXPECT_EQ(number(path, "SELECT count(*) FROM decisions"), 11);
  EXPECT_EQ(number(path, "SELECT count(*) FROM actions WHERE outcome IS NULL"), 2);
  EXPECT_EQ(book->recover().unfinished.size(), 2u);

  // Eight days later everything but the newest and the unfinished is too old.
  Decision later = decision_at(501);
  later.at = at_tick(500) + std::chrono::days{8};
  ASSERT_TRUE(book->record(later).ok());
  later.tick = later.next.tick = 502;
  ASSERT_TRUE(book->record(later).ok());
  EXPECT_EQ(number(path, "SELECT count(*) FROM decisions WHERE tick <= 500"), 1);
  EXPECT_EQ(number(path, "SELECT count(*) FROM actions"), 2);
  EXPECT_EQ(number(path, "SELECT count(*) FROM events WHERE seq <= (SELECT events_before FROM state)"), 0);
  EXPECT_EQ(book->recover().state.tick, 502u);
}

TEST(Ledger, KeepsAQuarterOfTheFileForTheNextRowsAndGivesTheRestBack) {
  const TempDir dir;
  const std::string path = dir / "ebb.db";
  LedgerConfig config;
  config.max_decisions = 200;
  FaultyVfs disk;  // it does not sync, which makes this fast
  LedgerKnobs knobs;
  knobs.vfs = disk.name();
  knobs.clean_every = 20;
  auto book = open_book(path, knobs, config).value();
  const auto pages = [&] { return number(path, "SELECT page_count FROM pragma_page_count"); };
  const auto free_pages = [&] { return number(path, "SELECT freelist_count FROM pragma_freelist_count"); };
  std::int64_t most_free = 0;
  for (std::uint64_t tick = 1; tick <= 600; ++tick) {
    Decision wordy = decision_at(tick);
    wordy.why.push_back({Stage::diff, "a.rule.nobody.renders", std::string(3'000, 'x'), {}});
    ASSERT_TRUE(book->record(wordy).ok());
    most_free = std::max(most_free, free_pages());
  }
  EXPECT_GT(most_free, 10) << "what a step frees the next rows take";
  EXPECT_LE(most_free * 4, pages());
  const std::int64_t before = pages();
  for (std::uint64_t tick = 601; tick <= 700; ++tick) {
    Decision later = decision_at(tick);
    later.at = at_tick(tick) + std::chrono::days{8};
    ASSERT_TRUE(book->record(later).ok());
  }
  EXPECT_LT(pages() * 2, before) << "all that was wordy is too old";
  EXPECT_LE(free_pages() * 4, pages());
}

TEST(Ledger, GivesSpaceBackWhenItGrowsTooLarge) {
  const TempDir dir;
  const std::string path = dir / "ebb.db";
  FaultyVfs disk;  // it does not sync, which makes this fast
  LedgerKnobs knobs;
  knobs.vfs = disk.name();
  knobs.clean_every = 10;
  knobs.bytes_max = 1'400'000;  // all decisions, and what the last hundred were made from
  auto book = open_book(path, knobs).value();
  std::mt19937_64 random(1);
  for (std::uint64_t tick = 1; tick <= 600; ++tick) {
    Decision large = decision_at(tick, 1);
    for (int i = 0; i < 20; ++i) {
      // Names that do not repeat: packing cannot shrink them.
      const std::string name = std::to_string(random()) + std::to_string(random());
      large.next.leases[ReplicaId(name)].since = large.at + Duration{static_cast<std::int64_t>(random() % 1'000'000)};
    }
    ASSERT_TRUE(book->record(large).ok());
    ASSERT_TRUE(book->record({outcome_of(large.plan.actions[0], OutcomeKind::done, large.at)}).ok());
  }
  EXPECT_EQ(number(path, "SELECT count(*) FROM decisions"), 600) << "the decisions themselves fit";
  EXPECT_LT(number(path, "SELECT count(*) FROM inputs"), 400);
  EXPECT_GT(number(path, "SELECT count(*) FROM inputs"), 0);
  EXPECT_LT(number(path, "SELECT (SELECT page_count FROM pragma_page_count) * 4096"), 2'000'000);
}

TEST(Ledger, LargeTextsArePackedAndReadAsTheyWere) {
  const TempDir dir;
  const std::string path = dir / "ebb.db";
  auto book = open_book(path).value();
  Decision large = decision_at(1, 1);
  for (int i = 0; i < 200; ++i) {
    large.next.leases[ReplicaId("a-replica-" + std::to_string(i))].since = large.at;
    large.why.push_back({Stage::diff, "a.rule.nobody.renders", "job-" + std::to_string(i), {}});
  }
  ASSERT_TRUE(book->record(large).ok());
  ASSERT_TRUE(book->record(decision_at(2)).ok());
  EXPECT_EQ(number(path, "SELECT typeof(decision) = 'blob' AND length(decision) < 3000 FROM decisions WHERE tick = 1"),
            1);
  EXPECT_EQ(number(path, "SELECT typeof(decision) = 'text' FROM decisions WHERE tick = 2"), 1) << "a shell can read it";
  EXPECT_EQ(number(path, "SELECT typeof(state) = 'blob' AND length(state) < 10000 FROM inputs WHERE tick = 1"), 1);
  const auto decisions = book->decisions();
  ASSERT_EQ(decisions.size(), 2u);
  EXPECT_EQ(decisions[1].at("why").size(), large.why.size());
  EXPECT_EQ(book->recover().state, decision_at(2).next);
}

TEST(Ledger, ADamagedFrameIsAnErrorThatSaysWhere) {
  const TempDir dir;
  const std::string path = dir / "ebb.db";
  auto book = open_book(path).value();
  Decision large = decision_at(1, 1);
  for (int i = 0; i < 200; ++i) large.why.push_back({Stage::diff, "a.rule", "job-" + std::to_string(i), {}});
  ASSERT_TRUE(book->record(large).ok());
  for (const char* damage : {"substr(decision, 1, 40)", "x'00'", "x'28b52ffda00000ffffffff'"}) {
    auto db = Database::open(path, SQLITE_OPEN_READWRITE).value();
    ASSERT_TRUE(db->run(("UPDATE decisions SET decision = " + std::string(damage)).c_str()).ok());
    const auto read = run(book->io(), book->ledger().decisions(Ledger::Page{}));
    ASSERT_FALSE(read.ok()) << damage;
    EXPECT_EQ(read.error().what, "the ledger cannot be read: a decision is not JSON") << damage;
  }
}

TEST(Ledger, ASecondProcessIsKeptOut) {
  const TempDir dir;
  const auto book = open_book(dir / "ebb.db").value();
  const auto other = open_book(dir / "ebb.db");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, ErrorCode::conflict);
  EXPECT_NE(other.error().what.find("process " + std::to_string(::getpid())), std::string::npos) << other.error().what;
}

/// Opens a file that must be refused, and checks that it was not touched.
Error refusal(const std::string& path) {
  const std::string before = bytes_of(path);
  const std::string log_before = bytes_of(path + "-wal");
  const auto book = open_book(path);
  EXPECT_FALSE(book.ok());
  EXPECT_TRUE(bytes_of(path) == before) << "a refused file was changed";
  EXPECT_TRUE(bytes_of(path + "-wal") == log_before) << "a refused file's log was changed";
  return book.ok() ? Error{} : book.error();
}

/// A closed ledger of some size.
void fill(const std::string& path, std::uint64_t ticks = 60) {
  auto book = open_book(path).value();
  for (std::uint64_t tick = 1; tick <= ticks; ++tick) ASSERT_TRUE(book->record(decision_at(tick, 2)).ok());
}

TEST(Ledger, RefusesASchemaNewerThanItself) {
  const TempDir dir;
  const std::string path = dir / "ebb.db";
  fill(path, 1);
  change(path, "PRAGMA user_version = 99");
  const Error error = refusal(path);
  EXPECT_EQ(error.code, ErrorCode::conflict);
  EXPECT_NE(error.what.find("has schema 99, this build knows up to 3"), std::string::npos) << error.what;
}

TEST(Ledger, RefusesAnotherProgramsDatabase) {
  const TempDir dir;
  const std::string path = dir / "other.db";
  change(path, "CREATE TABLE decisions(x); INSERT INTO decisions VALUES(1)");
  const Error error = refusal(path);
  EXPECT_EQ(error.code, ErrorCode::malformed);
  EXPECT_NE(error.what.find("another program"), std::string::npos) << error.what;
}

TEST(Ledger, RefusesGarbageAndSaysWhatToDo) {
  const TempDir dir;
  const std::string path = dir / "ebb.db";
  std::ofstream(path) << std::string(8'192, '#');
  const Error error = refusal(path);
  EXPECT_EQ(error.code, ErrorCode::malformed);
  EXPECT_NE(error.what.find(path), std::string::npos) << error.what;
  EXPECT_NE(error.what.find("move it aside"), std::string::npos) << error.what;
}

TEST(Ledger, RefusesATruncatedFileWhereverItWasCut) {
  const TempDir dir;
  const std::string path = dir / "ebb.db";
  fill(path);
  const std::string whole = bytes_of(path);
  ASSERT_GT(whole.size(), 40'000u);
  for (std::size_t size = 100; size < whole.size(); size += 3'001) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << whole.substr(0, size);
    EXPECT_EQ(refusal(path).code, ErrorCode::malformed) << "cut at " << size << " of " << whole.size();
  }
}

TEST(Ledger, RefusesAPageOfNonsense) {
  const TempDir dir;
  const std::string path = dir / "ebb.db";
  fill(path);
  const std::string whole = bytes_of(path);
  // Page 3 onwards: roots and leaves of tables; the pointer map (page 2) is part of the check as well.
  for (std::size_t page = 2; page < 8; ++page) {
    std::string damaged = whole;
    damaged.replace(page * 4'096, 64, std::string(64, '\x5a'));
    std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
    EXPECT_EQ(refusal(path).code, ErrorCode::malformed) << "page " << page + 1;
  }
}

TEST(Ledger, RefusesALogWhoseDatabaseIsGone) {
  const TempDir dir;
  const std::string path = dir / "ebb.db";
  auto book = open_book(path).value();
  ASSERT_TRUE(book->record(decision_at(1)).ok());
  std::filesystem::copy(path + "-wal", dir / "copy.db-wal");
  EXPECT_EQ(refusal(dir / "copy.db").code, ErrorCode::malformed) << "no file";
  std::ofstream(dir / "copy.db") << "";
  EXPECT_EQ(refusal(dir / "copy.db").code, ErrorCode::malformed) << "an empty file";
}

TEST(Ledger, ATornLogKeepsEveryWholeCommitBeforeTheTear) {
  const TempDir dir;
  const std::string path = dir / "ebb.db";
  FaultyVfs disk;  // it does not sync, which makes this fast
  LedgerKnobs knobs;
  knobs.vfs = disk.name();
  auto book = open_book(path, knobs).value();
  std::vector<std::uintmax_t> ends;  // of the log after each commit
  for (std::uint64_t tick = 1; tick <= 8; ++tick) {
    ASSERT_TRUE(book->record(decision_at(tick, 1)).ok());
    ends.push_back(std::filesystem::file_size(path + "-wal"));
  }
  const std::string body = bytes_of(path);
  const std::string log = bytes_of(path + "-wal");
  const std::string copy = dir / "copy.db";
  for (std::size_t size = ends[0]; size <= log.size(); size += 517) {
    for (const bool garbage : {false, true}) {
      std::ofstream(copy, std::ios::binary | std::ios::trunc) << body;
      std::ofstream(copy + "-wal", std::ios::binary | std::ios::trunc)
          << log.substr(0, size) << (garbage ? std::string(log.size() - size, '\x11') : "");
      std::filesystem::remove(copy + "-shm");
      std::uint64_t whole = 0;
      while (whole < ends.size() && ends[whole] <= size) ++whole;
      const Recovered recovered = open_book(copy, knobs).value()->recover();
      // One more when only the padding behind a commit is torn off: SQLite fills its disk sector.
      ASSERT_GE(recovered.state.tick, whole) << "torn at " << size << (garbage ? ", garbage behind" : "");
      ASSERT_LE(recovered.state.tick, whole + 1) << "torn at " << size << (garbage ? ", garbage behind" : "");
      ASSERT_EQ(recovered.unfinished.size(), recovered.state.tick);
    }
  }
}

}  // namespace
}  // namespace ebb
