#include "daemon/runtime/ledger_write.hpp"

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "daemon/model/json.hpp"
#include "daemon/model/json_delta.hpp"
#include "daemon/model/json_text.hpp"

namespace ebb {
namespace {

using nlohmann::json;

// Rows a step of the clean-up removes from one table at most: some milliseconds, which is what an intent may have to
// wait.
constexpr std::int64_t kBatch = 200;

// A quarter of the file may be free.
constexpr std::int64_t kSpareShare = 4;

std::int64_t ms(TimePoint at) { return at.time_since_epoch().count(); }
std::int64_t signed_of(std::uint64_t tick) { return static_cast<std::int64_t>(tick); }

Status done_or(const Result<std::int64_t>& changed) {
  if (!changed.ok()) return changed.error();
  return Done{};
}

/// `state`: empty where the row is no whole one.
Status replace_state(Database& db, const Decision& decision, const std::string& state) {
  Result<Statement> replace =
      db.prepare(state.empty() ? "UPDATE state SET tick = ?1, at_ms = ?2, events_before = events_at, events_at = "
                                 "(SELECT coalesce(max(seq), 0) FROM events)"
                               : "INSERT INTO state(id, tick, at_ms, events_at, events_before, state, whole) "
                                 "VALUES(1, ?1, ?2, (SELECT coalesce(max(seq), 0) FROM events), 0, ?3, ?1) "
                                 "ON CONFLICT(id) DO UPDATE SET tick = excluded.tick, at_ms = excluded.at_ms, "
                                 "events_before = events_at, events_at = excluded.events_at, state = excluded.state, "
                                 "whole = excluded.whole");
  if (!replace.ok()) return replace.error();
  replace->bind(signed_of(decision.tick)).bind(ms(decision.at));
  if (!state.empty()) replace->bind(state);
  return done_or(replace->run());
}

Status insert_action(Database& db, const Decision& decision, const Action& action) {
  Result<Statement> insert =
      db.prepare("INSERT INTO actions(id, tick, kind, deployment, recorded_at_ms, action_json) VALUES(?,?,?,?,?,?)");
  if (!insert.ok()) return insert.error();
  insert->bind(action.id.value)
      .bind(signed_of(decision.tick))
      .bind(to_string(action.kind))
      .bind(action.deployment.value);
  return done_or(insert->bind(ms(decision.at)).bind(json_text(to_json(action))).run());
}

Status write_unmatched(Database& db, const Outcome& outcome) {
  Result<Statement> known = db.prepare("SELECT 1 FROM actions WHERE id = ?");
  if (!known.ok()) return known.error();
  const Result<bool> row = known->bind(outcome.action.value).step();
  if (!row.ok()) return row.error();
  if (*row) return Done{};  // told twice: the first word stays
  Event event;
  event.at = outcome.at;
  event.kind = "action_unrecorded";
  event.subject = outcome.action.value;
  event.detail = std::string(to_string(outcome.kind)) + (outcome.detail.empty() ? "" : ": " + outcome.detail);
  const Result<std::uint64_t> written = write_event(db, event);
  if (!written.ok()) return written.error();
  return Done{};
}

/// Only to choose who leaves a decision looks at what replicas work on; of ten thousand that is a third of a megabyte.
void keep_what_was_looked_at(std::map<DeploymentId, Reading<ReplicaLoads>>& loads, const Decision& decision) {
  if (loads.empty()) return;
  std::set<DeploymentId> reclaimed;
  for (const Step& step : decision.why) {
    if (step.rule == "leases.reclaim") reclaimed.insert(DeploymentId(step.subject));
  }
  std::erase_if(loads, [&](const auto& of) { return !reclaimed.contains(of.first); });
}

Result<std::int64_t> change(Database& db, const char* sql, std::int64_t limit) {
  Result<Statement> statement = db.prepare(sql);
  if (!statement.ok()) return statement.error();
  return statement->bind(limit).bind(kBatch).run();
}

struct FileSize {
  std::int64_t pages = 0, free = 0, page_bytes = 0;
  [[nodiscard]] std::int64_t used_bytes() const { return (pages - free) * page_bytes; }
};

Result<FileSize> size_of(Database& db) {
  FileSize out;
  for (const auto& [pragma, into] : {std::pair{"PRAGMA page_count", &out.pages},
                                     {"PRAGMA freelist_count", &out.free},
                                     {"PRAGMA page_size", &out.page_bytes}}) {
    const Result<std::int64_t> number = db.number(pragma);
    if (!number.ok()) return number.error();
    *into = *number;
  }
  return out;
}

/// Gives the disk back what is free, some pages at a time. A file that keeps so many decisions frees in each step what
/// the next rows take: those pages stay, or others would be moved into their place to and fro. Not beyond `bytes_max`.
Status give_back_free_pages(Database& db, std::int64_t bytes_max) {
  const Result<FileSize> size = size_of(db);
  if (!size.ok()) return size.error();
  if (size->free * kSpareShare <= size->pages && size->pages * size->page_bytes <= bytes_max) return Done{};
  return db.run("PRAGMA incremental_vacuum(256)");
}

}  // namespace

Status TickWriter::insert(Database& db, const TickRecord& tick, const std::string& state) {
  const Decision& decision = tick.decision;
  Result<Statement> row =
      db.prepare("INSERT INTO decisions(tick, at_ms, early, build, actions, decision) VALUES(?,?,?,?,?,?)");
  if (!row.ok()) return row.error();
  row->bind(signed_of(decision.tick)).bind(ms(decision.at)).bind(std::int64_t{decision.early}).bind(build_);
  row->bind(static_cast<std::int64_t>(decision.plan.actions.size())).bind_packed(decision_row(decision));
  if (Status done = done_or(row->run()); !done.ok()) return done;

  Result<Statement> inputs = db.prepare(
      "INSERT INTO inputs(tick, base, config, observation, state_before, state) VALUES(?1, ?5, ?6, ?2, ?3, ?4)");
  if (!inputs.ok()) return inputs.error();
  inputs->bind(signed_of(decision.tick));
  if (!state.empty()) {
    inputs->bind_packed(json_text(to_json(tick.seen))).bind_packed(json_text(to_json(tick.before)));
    inputs->bind_packed(state).bind_null();
  } else {
    inputs->bind_packed(json_text(delta(last_->seen, tick.seen)));
    inputs->bind_packed(json_text(delta(last_->next, tick.before)));
    inputs->bind_packed(json_text(delta(tick.before, decision.next))).bind(signed_of(last_->tick));
  }
  if (tick.config)
    inputs->bind(tick.config->hash);
  else
    inputs->bind_null();
  return done_or(inputs->run());
}

Status TickWriter::insert_config(Database& db, const TickRecord& tick) {
  if (!tick.config || tick.config->hash == config_) return Done{};
  Result<Statement> insert = db.prepare("INSERT OR IGNORE INTO configs(hash, at_ms, text) VALUES(?,?,?)");
  if (!insert.ok()) return insert.error();
  return done_or(insert->bind(tick.config->hash).bind(ms(tick.decision.at)).bind(tick.config->text).run());
}

Status TickWriter::write(Database& db, TickRecord tick) {
  keep_what_was_looked_at(tick.seen.loads, tick.decision);
  const bool whole = !last_ || tick.decision.tick % kFullEvery == 0;
  const std::string state = whole ? json_text(to_json(tick.decision.next)) : std::string();
  Status done = db.atomically([&]() -> Status {
    if (Status config = insert_config(db, tick); !config.ok()) return config;
    if (Status row = insert(db, tick, state); !row.ok()) return row;
    if (Status replaced = replace_state(db, tick.decision, state); !replaced.ok()) return replaced;
    for (const Action& action : tick.decision.plan.actions) {
      if (Status row = insert_action(db, tick.decision, action); !row.ok()) return row;
    }
    return Done{};
  });
  if (!done.ok()) {
    last_.reset();
    config_.clear();
    return done;
  }
  if (tick.config) config_ = tick.config->hash;
  last_ = Last{tick.decision.tick, std::move(tick.seen), std::move(tick.decision.next)};
  return done;
}

Status write_outcomes(Database& db, const std::vector<Outcome>& outcomes) {
  return db.atomically([&]() -> Status {
    for (const Outcome& outcome : outcomes) {
      Result<Statement> update = db.prepare(
          "UPDATE actions SET outcome = ?1, outcome_at_ms = ?2, outcome_json = ?3, "
          "outcome_after_tick = (SELECT tick FROM state) WHERE id = ?4 AND outcome IS NULL");
      if (!update.ok()) return update.error();
      update->bind(to_string(outcome.kind))
          .bind(ms(outcome.at))
          .bind(json_text(to_json(outcome)))
          .bind(outcome.action.value);
      const Result<std::int64_t> changed = update->run();
      if (!changed.ok()) return changed.error();
      if (*changed > 0) continue;
      if (Status done = write_unmatched(db, outcome); !done.ok()) return done;
    }
    return Done{};
  });
}

Result<std::uint64_t> write_event(Database& db, const Event& event) {
  Result<Statement> insert =
      db.prepare("INSERT INTO events(at_ms, kind, subject, event) VALUES(?,?,?,?) RETURNING seq");
  if (!insert.ok()) return insert.error();
  insert->bind(ms(event.at)).bind(event.kind).bind(event.subject).bind(json_text(to_json(event)));
  const Result<bool> row = insert->step();
  if (!row.ok()) return row.error();
  const auto seq = static_cast<std::uint64_t>(insert->number(0));
  // The row counts once the statement has run to its end.
  if (const Result<bool> end = insert->step(); !end.ok()) return end.error();
  return seq;
}

Result<bool> clean_up_a_little(Database& db, const Retention& retention) {
  const std::int64_t oldest = ms(retention.now) - retention.config.keep.count();
  const std::int64_t last = signed_of(retention.tick) - retention.config.max_decisions;
  // Decisions after the last whole state stay: a restart reads what they changed.
  struct Sweep {
    const char* sql;
    std::int64_t limit;
  };
  std::vector<Sweep> sweeps{
      {"DELETE FROM decisions WHERE tick IN (SELECT tick FROM decisions WHERE at_ms < ?1 AND tick <= "
       "(SELECT whole FROM state) AND tick NOT IN "
       "(SELECT tick FROM actions WHERE outcome IS NULL) ORDER BY at_ms LIMIT ?2)",
       oldest},
      {"DELETE FROM decisions WHERE tick IN (SELECT tick FROM decisions WHERE tick <= min(?1, "
       "(SELECT whole FROM state)) AND tick NOT IN (SELECT tick FROM actions WHERE outcome IS NULL) ORDER BY tick "
       "LIMIT "
       "?2)",
       last},
      {"DELETE FROM loads WHERE seq IN (SELECT seq FROM loads WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2)", oldest},
      {"DELETE FROM actions WHERE id IN (SELECT id FROM actions WHERE recorded_at_ms < ?1 AND outcome IS NOT NULL "
       "ORDER BY recorded_at_ms LIMIT ?2)",
       oldest},
      {"DELETE FROM actions WHERE id IN (SELECT id FROM actions WHERE tick <= ?1 AND outcome IS NOT NULL "
       "ORDER BY tick LIMIT ?2)",
       last},
      // What a restart folds again stays.
      {"DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE at_ms < ?1 AND "
       "seq <= (SELECT events_before FROM state) ORDER BY at_ms LIMIT ?2)",
       oldest}};
  const Result<FileSize> size = size_of(db);
  if (!size.ok()) return size.error();
  if (size->used_bytes() > retention.bytes_max) {
    const Result<std::int64_t> kept = db.number("SELECT count(*) FROM inputs WHERE tick < (SELECT whole FROM state)");
    if (!kept.ok()) return kept.error();
    const char* thin =
        "DELETE FROM inputs WHERE tick IN (SELECT tick FROM inputs WHERE tick < min(?1, (SELECT whole FROM state)) "
        "ORDER BY tick LIMIT ?2)";
    const char* drop =
        "DELETE FROM decisions WHERE tick IN (SELECT tick FROM decisions WHERE tick < min(?1, (SELECT whole FROM "
        "state)) AND tick NOT IN (SELECT tick FROM actions WHERE outcome IS NULL) ORDER BY tick LIMIT ?2)";
    sweeps.push_back({*kept > 0 ? thin : drop, signed_of(retention.tick)});
  }
  bool more = false;
  for (const Sweep& sweep : sweeps) {
    const Result<std::int64_t> removed = change(db, sweep.sql, sweep.limit);
    if (!removed.ok()) return removed.error();
    more = more || *removed >= kBatch;
  }
  if (Status given = give_back_free_pages(db, retention.bytes_max); !given.ok()) return given.error();
  return more;
}

}  // namespace ebb
