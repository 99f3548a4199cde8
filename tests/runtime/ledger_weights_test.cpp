#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "daemon/model/json_weights.hpp"
#include "tests/runtime/ledger_rig.hpp"
#include "tests/runtime/temp_dir.hpp"

namespace ebb::test {
namespace {

const JobId kJob("rl");

Snapshot snapshot(const std::string& name, std::int64_t step, SnapshotPhase phase = SnapshotPhase::published) {
  Snapshot out;
  out.said.identity = Identity(name);
  out.said.kind = step == 0 ? SnapshotKind::full : SnapshotKind::incremental;
  out.said.parent = Identity(step == 0 ? "" : "p");
  out.said.step = step;
  out.said.ignored_options = {"rope_theta"};
  out.run = "run";
  out.step = step;
  out.phase = phase;
  out.published_at = out.since = kStart;
  out.reason = "because \xff";
  return out;
}

JobWeights weights() {
  JobWeights out;
  Snapshot a = snapshot("a", 0, SnapshotPhase::serving);
  Snapshot b = snapshot("b", 1, SnapshotPhase::loading);
  a.reason = b.reason = "";
  out.chain.links = {a};
  out.chain.waiting = {b};
  out.chain.served = {Identity("a")};
  out.chain.strays = {Identity("x")};
  out.chain.planned = SnapshotPlan();
  DeploymentWeights& site = out.deployments[DeploymentId("rl@p")];
  site.paused = {ReplicaId("r0")};
  site.load.phase = LoadPhase::asking;
  site.load.order.id = "b/rl@p/1";
  site.load.order.replicas = {ReplicaId("r0")};
  site.load.order.path = {b};
  site.load.order.reset_cache = ResetCache::none;
  site.load.order.transition = LoadTransitionMode::sync;
  site.load.deadline = kStart + Duration{125};
  ReplicaWeights& replica = site.replicas[ReplicaId("r0")];
  replica.phase = WeightsPhase::failed;
  replica.error = "bad";
  replica.failures = 3;
  replica.counted = true;
  out.measures.full_load_s = 12.625;
  out.measures.last_published = kStart;
  out.orders = 7;
  return out;
}

WeightsRecord record_of(std::vector<Snapshot> snapshots, std::vector<LoadNote> notes = {}) {
  WeightsRecord out;
  out.job = kJob;
  out.at = kStart;
  out.state = weights();
  out.snapshots = std::move(snapshots);
  out.notes = std::move(notes);
  return out;
}

LoadNote note(const std::string& identity, const std::string& what) {
  LoadNote out;
  out.at = kStart;
  out.order = "o";
  out.deployment = DeploymentId("rl@p");
  out.replica = ReplicaId("r0");
  out.identity = Identity(identity);
  out.what = what;
  out.detail = "detail";
  return out;
}

TEST(JsonWeights, WhatIsWrittenIsReadBack) {
  const JobWeights before = weights();
  const Result<JobWeights> back = job_weights_from(nlohmann::json::parse(to_json(before).dump()));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(*back, before);
}

TEST(JsonWeights, ADamagedFieldIsNamed) {
  nlohmann::json damaged = to_json(weights());
  damaged["deployments"]["rl@p"]["load"]["phase"] = "dancing";
  const Result<JobWeights> back = job_weights_from(damaged);
  ASSERT_FALSE(back.ok());
  EXPECT_NE(back.error().what.find("dancing"), std::string::npos);
  EXPECT_FALSE(job_weights_from(nlohmann::json::array()).ok());
}

TEST(LedgerWeights, ARestartFindsEverythingThatWasRecorded) {
  const TempDir dir;
  {
    auto book = open_book(dir / "ebb.db").value();
    ASSERT_TRUE(run(book->io(), book->ledger().record_weights(
                                    record_of({snapshot("a", 0), snapshot("b", 1)}, {note("b", "sending")})))
                    .ok());
  }
  auto book = open_book(dir / "ebb.db").value();
  const auto states = run(book->io(), book->ledger().recover_weights()).value();
  ASSERT_TRUE(states.contains(kJob));
  EXPECT_EQ(states.at(kJob), weights());
  const auto rows = run(book->io(), book->ledger().snapshots(WeightsPage(kJob))).value();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].snapshot.identity().value, "b") << "newest first";
  const auto loads = run(book->io(), book->ledger().loads(WeightsPage(kJob))).value();
  ASSERT_EQ(loads.size(), 1u);
  EXPECT_EQ(loads[0].note, note("b", "sending"));
}

TEST(LedgerWeights, ASnapshotMovesInItsRowAndKeepsItsPlace) {
  const TempDir dir;
  auto book = open_book(dir / "ebb.db").value();
  auto& ledger = book->ledger();
  ASSERT_TRUE(run(book->io(), ledger.record_weights(record_of({snapshot("a", 0), snapshot("b", 1)}))).ok());
  ASSERT_TRUE(run(book->io(), ledger.record_weights(record_of({snapshot("a", 0, SnapshotPhase::failed)}))).ok());
  const auto rows = run(book->io(), ledger.snapshots(WeightsPage(kJob))).value();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].snapshot.phase, SnapshotPhase::failed);
}

TEST(LedgerWeights, TakenIdentitiesAndEarlierRunsAreKnown) {
  const TempDir dir;
  auto book = open_book(dir / "ebb.db").value();
  auto& ledger = book->ledger();
  ASSERT_TRUE(run(book->io(), ledger.record_weights(record_of({snapshot("a", 0)}))).ok());
  const Known a = run(book->io(), ledger.known(kJob, Identity("a"), "run")).value();
  ASSERT_TRUE(a.same.has_value());
  EXPECT_EQ(a.same->said, snapshot("a", 0).said);
  EXPECT_TRUE(a.run_is_over);
  const Known other = run(book->io(), ledger.known(kJob, Identity("b"), "other")).value();
  EXPECT_FALSE(other.same.has_value());
  EXPECT_FALSE(other.run_is_over);
  EXPECT_FALSE(run(book->io(), ledger.known(JobId("another"), Identity("a"), "run")).value().same.has_value());
}

void execute(const std::string& path, const char* sql) {
  auto db = Database::open(path, SQLITE_OPEN_READWRITE).value();
  const Status done = db->run(sql);
  ASSERT_TRUE(done.ok()) << done.error().what;
}

TEST(LedgerWeights, ALedgerOfTheFirstSchemaIsMigratedWithItsHistory) {
  const TempDir dir;
  const std::string path = dir / "ebb.db";
  {
    auto book = open_book(path).value();
    ASSERT_TRUE(book->record(decision_at(1, 1)).ok());
  }
  execute(path,
          "DROP TABLE weights; DROP TABLE snapshots; DROP TABLE loads; DROP TABLE resets; DROP TABLE configs; "
          "DROP TRIGGER inputs_go; DROP TABLE inputs; ALTER TABLE decisions ADD COLUMN observation TEXT; "
          "ALTER TABLE decisions ADD COLUMN state_before TEXT; ALTER TABLE decisions ADD COLUMN state TEXT; "
          "CREATE INDEX decisions_in_full ON decisions(tick) WHERE observation IS NOT NULL; "
          "ALTER TABLE state DROP COLUMN whole; PRAGMA user_version = 1");
  auto book = open_book(path).value();
  EXPECT_EQ(book->decisions().size(), 1u);
  EXPECT_EQ(book->recover().state, decision_at(1, 1).next);
  ASSERT_TRUE(book->record(decision_at(2)).ok());
  ASSERT_TRUE(book->record(decision_at(3, 1)).ok());
  EXPECT_EQ(book->recover().state, decision_at(3, 1).next);
  EXPECT_TRUE(run(book->io(), book->ledger().record_weights(record_of({snapshot("a", 0)}))).ok());
}

}  // namespace
}  // namespace ebb::test
