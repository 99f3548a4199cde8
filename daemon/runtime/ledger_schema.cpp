#include "daemon/runtime/ledger_schema.hpp"

#include <array>
#include <filesystem>
#include <vector>

namespace ebb {
namespace {

// What leads from schema i to i + 1; each runs in a transaction of its own together with its version number.
constexpr std::array<const char*, kLedgerSchema> kMigrations{R"sql(
CREATE TABLE decisions(
  tick INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, early INTEGER NOT NULL, build TEXT NOT NULL,
  actions INTEGER NOT NULL, decision TEXT NOT NULL, observation TEXT, state_before TEXT, state TEXT) STRICT;
CREATE INDEX decisions_by_time ON decisions(at_ms);
CREATE INDEX decisions_with_actions ON decisions(tick) WHERE actions > 0;
CREATE INDEX decisions_in_full ON decisions(tick) WHERE observation IS NOT NULL;
CREATE TABLE state(
  id INTEGER PRIMARY KEY CHECK (id = 1), tick INTEGER NOT NULL, at_ms INTEGER NOT NULL,
  events_at INTEGER NOT NULL, events_before INTEGER NOT NULL, state TEXT NOT NULL) STRICT;
CREATE TABLE actions(
  id TEXT PRIMARY KEY, tick INTEGER NOT NULL, kind TEXT NOT NULL, deployment TEXT NOT NULL,
  recorded_at_ms INTEGER NOT NULL, action_json TEXT NOT NULL, outcome TEXT, outcome_at_ms INTEGER,
  outcome_json TEXT, outcome_after_tick INTEGER) STRICT;
CREATE INDEX actions_by_tick ON actions(tick);
CREATE INDEX actions_by_time ON actions(recorded_at_ms);
CREATE INDEX actions_open ON actions(tick) WHERE outcome IS NULL;
CREATE INDEX actions_by_end ON actions(outcome_after_tick);
CREATE TABLE events(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
  event TEXT NOT NULL) STRICT;
CREATE INDEX events_by_time ON events(at_ms);
PRAGMA application_id = 0x65626231;
)sql",
                                                             R"sql(
CREATE TABLE weights(job TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, state TEXT NOT NULL) STRICT;
CREATE TABLE snapshots(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, run TEXT NOT NULL, step INTEGER NOT NULL,
  identity TEXT NOT NULL, kind TEXT NOT NULL, parent TEXT NOT NULL, bytes INTEGER NOT NULL,
  published_at_ms INTEGER NOT NULL, phase TEXT NOT NULL, snapshot TEXT NOT NULL, UNIQUE(job, identity)) STRICT;
CREATE INDEX snapshots_by_job ON snapshots(job, seq);
CREATE INDEX snapshots_by_run ON snapshots(job, run);
CREATE TABLE loads(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, at_ms INTEGER NOT NULL, order_id TEXT NOT NULL,
  deployment TEXT NOT NULL, replica TEXT NOT NULL, identity TEXT NOT NULL, what TEXT NOT NULL,
  detail TEXT NOT NULL) STRICT;
CREATE INDEX loads_by_job ON loads(job, seq);
CREATE INDEX loads_by_snapshot ON loads(job, identity, seq);
CREATE INDEX loads_by_time ON loads(at_ms);
CREATE TABLE resets(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, at_ms INTEGER NOT NULL, by_whom TEXT NOT NULL) STRICT;
)sql",
                                                             R"sql(
CREATE TABLE kept(
  tick INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, early INTEGER NOT NULL, build TEXT NOT NULL,
  actions INTEGER NOT NULL, decision ANY NOT NULL) STRICT;
INSERT INTO kept SELECT tick, at_ms, early, build, actions, decision FROM decisions;
DROP TABLE decisions;
ALTER TABLE kept RENAME TO decisions;
CREATE INDEX decisions_by_time ON decisions(at_ms);
CREATE INDEX decisions_with_actions ON decisions(tick) WHERE actions > 0;
CREATE TABLE inputs(
  tick INTEGER PRIMARY KEY, base INTEGER, config TEXT, observation ANY NOT NULL, state_before ANY NOT NULL,
  state ANY NOT NULL) STRICT;
CREATE TRIGGER inputs_go AFTER DELETE ON decisions BEGIN DELETE FROM inputs WHERE tick = OLD.tick; END;
CREATE TABLE configs(hash TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
ALTER TABLE state ADD COLUMN whole INTEGER NOT NULL DEFAULT 0;
UPDATE state SET whole = tick;
)sql"};

// "ebb1": tells our files from other programs' before anything is written to one.
constexpr std::int64_t kApplicationId = 0x65626231;

Error refused(const std::string& path, const std::string& what) {
  return {ErrorCode::malformed,
          "the ledger " + path + " is damaged or no ledger: " + what +
              ". It was left as it is; to start with an empty one, move it aside together with its -wal and -shm files",
          false};
}

/// An error of reading the file, as what it says of the file.
Error judged(const std::string& path, const Error& error) {
  if (error.code == ErrorCode::malformed) return refused(path, error.what);
  return {error.code, "the ledger " + path + " cannot be opened: " + error.what, error.retryable};
}

Status migrate(Database& db, std::int64_t version) {
  for (std::size_t i = static_cast<std::size_t>(version); i < kMigrations.size(); ++i) {
    const std::string stamp = "PRAGMA user_version = " + std::to_string(i + 1);
    Status done = db.atomically([&]() -> Status {
      if (Status step = db.run(kMigrations[i]); !step.ok()) return step;
      return db.run(stamp.c_str());
    });
    if (!done.ok()) return done;
  }
  return Done{};
}

/// A log that holds commits beside a file that holds nothing: SQLite would drop the log and begin anew.
bool lost_its_body(const std::string& path) {
  std::error_code none;
  const auto body = std::filesystem::file_size(path, none);
  if (!none && body > 0) return false;
  const auto log = std::filesystem::file_size(path + "-wal", none);
  return !none && log > 0;
}

/// Reads everything. The tables a restart and an outcome depend on are compared with their indexes too; for the
/// history, which is nearly all of the file, that would take ten times as long.
Status check_content(Database& db, const std::string& path, std::int64_t version) {
  std::vector<const char*> checks{"PRAGMA quick_check(1)", "PRAGMA integrity_check(actions)",
                                  "PRAGMA integrity_check(events)"};
  if (version >= 2) {
    checks.insert(checks.end(), {"PRAGMA integrity_check(weights)", "PRAGMA integrity_check(snapshots)"});
  }
  for (const char* sql : checks) {
    const Result<std::string> check = db.text(sql);
    if (!check.ok()) return judged(path, check.error());
    if (*check != "ok") return refused(path, *check);
  }
  return Done{};
}

/// SQLite takes what is missing of a last page for zeros. With a log that is sound (it is written again from there).
Status check_length(Database& db, const std::string& path) {
  std::error_code none;
  if (const auto log = std::filesystem::file_size(path + "-wal", none); !none && log > 0) return Done{};
  const Result<std::int64_t> pages = db.number("PRAGMA page_count");
  const Result<std::int64_t> size = db.number("PRAGMA page_size");
  if (!pages.ok()) return judged(path, pages.error());
  if (!size.ok()) return judged(path, size.error());
  const auto length = static_cast<std::int64_t>(std::filesystem::file_size(path, none));
  if (!none && length < *pages * *size) {
    return refused(path,
                   "it was cut short: " + std::to_string(length) + " of " + std::to_string(*pages * *size) + " bytes");
  }
  return Done{};
}

}  // namespace

Status check_before_opening(const std::string& path) {
  if (lost_its_body(path)) return refused(path, "the file is empty or gone, but its -wal file holds records");
  return Done{};
}

Status prepare_ledger_file(Database& db, const std::string& path) {
  db.leave_log_on_close(true);
  const Result<std::int64_t> version = db.number("PRAGMA user_version");
  if (!version.ok()) return judged(path, version.error());
  const Result<std::int64_t> tables = db.number("SELECT count(*) FROM sqlite_schema");
  if (!tables.ok()) return judged(path, tables.error());
  const Result<std::int64_t> application = db.number("PRAGMA application_id");
  if (!application.ok()) return judged(path, application.error());
  if (*tables > 0 && *application != kApplicationId) return refused(path, "it belongs to another program");
  if (*version > kLedgerSchema) {
    return Error{ErrorCode::conflict,
                 "the ledger " + path + " has schema " + std::to_string(*version) + ", this build knows up to " +
                     std::to_string(kLedgerSchema) + ": run the newer ebbd, or move the file aside",
                 false};
  }
  if (*tables > 0) {
    if (Status whole = check_length(db, path); !whole.ok()) return whole;
    if (Status sound = check_content(db, path, *version); !sound.ok()) return sound;
  }
  // auto_vacuum must be set before the first table is made. The limit keeps the -wal file from staying as large as
  // the largest transaction was.
  const Status set = db.run(
      "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
      "PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864");
  if (!set.ok()) return judged(path, set.error());
  if (const Status done = migrate(db, *version); !done.ok()) return judged(path, done.error());
  db.leave_log_on_close(false);
  return Done{};
}

}  // namespace ebb
