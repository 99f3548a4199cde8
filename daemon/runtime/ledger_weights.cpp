#include "daemon/runtime/ledger_weights.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "daemon/model/json_text.hpp"
#include "daemon/model/json_weights.hpp"
#include "daemon/runtime/ledger_read.hpp"

namespace ebb {
namespace {

using nlohmann::json;

std::int64_t ms(TimePoint at) { return at.time_since_epoch().count(); }

Status done_or(const Result<std::int64_t>& changed) {
  if (!changed.ok()) return changed.error();
  return Done{};
}

Status write_state(Database& db, const WeightsRecord& record) {
  Result<Statement> replace = db.prepare(
      "INSERT INTO weights(job, at_ms, state) VALUES(?,?,?) ON CONFLICT(job) DO UPDATE SET at_ms = excluded.at_ms, "
      "state = excluded.state");
  if (!replace.ok()) return replace.error();
  return done_or(replace->bind(record.job.value).bind(ms(record.at)).bind(json_text(to_json(record.state))).run());
}

Status write_snapshot(Database& db, const JobId& job, const Snapshot& snapshot) {
  Result<Statement> put = db.prepare(
      "INSERT INTO snapshots(job, run, step, identity, kind, parent, bytes, published_at_ms, phase, snapshot) "
      "VALUES(?,?,?,?,?,?,?,?,?,?) ON CONFLICT(job, identity) DO UPDATE SET bytes = excluded.bytes, "
      "phase = excluded.phase, snapshot = excluded.snapshot");
  if (!put.ok()) return put.error();
  put->bind(job.value).bind(snapshot.run).bind(snapshot.step).bind(snapshot.identity().value);
  put->bind(to_string(snapshot.said.kind)).bind(snapshot.said.parent.value).bind(snapshot.bytes);
  put->bind(ms(snapshot.published_at)).bind(to_string(snapshot.phase)).bind(json_text(to_json(snapshot)));
  return done_or(put->run());
}

Status write_note(Database& db, const JobId& job, const LoadNote& note) {
  Result<Statement> put = db.prepare(
      "INSERT INTO loads(job, at_ms, order_id, deployment, replica, identity, what, detail) VALUES(?,?,?,?,?,?,?,?)");
  if (!put.ok()) return put.error();
  put->bind(job.value).bind(ms(note.at)).bind(note.order).bind(note.deployment.value).bind(note.replica.value);
  return done_or(put->bind(note.identity.value).bind(note.what).bind(note.detail).run());
}

Status write_reset(Database& db, const JobId& job, const WeightsReset& reset) {
  Result<Statement> put = db.prepare("INSERT INTO resets(job, at_ms, by_whom) VALUES(?,?,?)");
  if (!put.ok()) return put.error();
  return done_or(put->bind(job.value).bind(ms(reset.at)).bind(reset.by).run());
}

/// What `from` makes of a column's JSON; an error says where it stands.
template <class From>
auto in_column(const Statement& row, int column, const std::string& where, From from) -> decltype(from(json())) {
  const json value = json::parse(row.text(column), nullptr, false);
  auto out = from(value);
  if (!out.ok()) return Error{ErrorCode::malformed, where + ": " + out.error().what, false};
  return out;
}

template <class Row, class Take>
Result<std::vector<Row>> rows_of(Statement& statement, Take take) {
  std::vector<Row> rows;
  for (;;) {
    const Result<bool> more = statement.step();
    if (!more.ok()) return more.error();
    if (!*more) return rows;
    Result<Row> row = take(statement);
    if (!row.ok()) return row.error();
    rows.push_back(std::move(*row));
  }
}

Result<LoadRow> load_in(const Statement& row) {
  LoadRow out;
  out.seq = row.number(0);
  out.note.at = TimePoint{Duration{row.number(1)}};
  out.note.order = row.text(2);
  out.note.deployment = DeploymentId(row.text(3));
  out.note.replica = ReplicaId(row.text(4));
  out.note.identity = Identity(row.text(5));
  out.note.what = row.text(6);
  out.note.detail = row.text(7);
  return out;
}

}  // namespace

Status write_weights(Database& db, const WeightsRecord& record) {
  return db.atomically([&]() -> Status {
    if (Status done = write_state(db, record); !done.ok()) return done;
    for (const Snapshot& snapshot : record.snapshots) {
      if (Status done = write_snapshot(db, record.job, snapshot); !done.ok()) return done;
    }
    for (const LoadNote& note : record.notes) {
      if (Status done = write_note(db, record.job, note); !done.ok()) return done;
    }
    return record.reset ? write_reset(db, record.job, *record.reset) : Status(Done{});
  });
}

Result<std::map<JobId, JobWeights>> read_weights(Database& db) {
  std::map<JobId, JobWeights> out;
  Result<Statement> statement = db.prepare("SELECT job, state FROM weights ORDER BY job");
  if (!statement.ok()) return statement.error();
  for (;;) {
    const Result<bool> more = statement->step();
    if (!more.ok()) return more.error();
    if (!*more) return out;
    const JobId job(statement->text(0));
    Result<JobWeights> weights = in_column(*statement, 1, "the weights of " + job.value, job_weights_from);
    if (!weights.ok()) return weights.error();
    out[job] = std::move(*weights);
  }
}

Result<Known> read_known(Database& db, const JobId& job, const Identity& identity, const std::string& run) {
  Known out;
  Result<Statement> same = db.prepare("SELECT snapshot FROM snapshots WHERE job = ? AND identity = ?");
  if (!same.ok()) return same.error();
  const Result<bool> there = same->bind(job.value).bind(identity.value).step();
  if (!there.ok()) return there.error();
  if (*there) {
    Result<Snapshot> snapshot = in_column(*same, 0, "the snapshot " + identity.value, snapshot_from);
    if (!snapshot.ok()) return snapshot.error();
    out.same = std::move(*snapshot);
  }
  Result<Statement> before = db.prepare("SELECT 1 FROM snapshots WHERE job = ? AND run = ? LIMIT 1");
  if (!before.ok()) return before.error();
  const Result<bool> ran = before->bind(job.value).bind(run).step();
  if (!ran.ok()) return ran.error();
  out.run_is_over = *ran;
  return out;
}

Result<std::vector<SnapshotRow>> read_snapshots(Database& db, const WeightsPage& page) {
  Result<Statement> statement =
      db.prepare("SELECT seq, snapshot FROM snapshots WHERE job = ? AND seq < ? ORDER BY seq DESC LIMIT ?");
  if (!statement.ok()) return statement.error();
  statement->bind(page.job.value).bind(page.before.value_or(INT64_MAX)).bind(std::clamp(page.limit, 0, kPageMax));
  return rows_of<SnapshotRow>(*statement, [](const Statement& row) -> Result<SnapshotRow> {
    Result<Snapshot> snapshot = in_column(row, 1, "snapshot " + std::to_string(row.number(0)), snapshot_from);
    if (!snapshot.ok()) return snapshot.error();
    return SnapshotRow{row.number(0), std::move(*snapshot)};
  });
}

Result<std::vector<LoadRow>> read_loads(Database& db, const WeightsPage& page) {
  Result<Statement> statement =
      page.identity ? db.prepare(
                          "SELECT seq, at_ms, order_id, deployment, replica, identity, what, detail FROM loads "
                          "WHERE job = ? AND identity = ? AND seq < ? ORDER BY seq DESC LIMIT ?")
                    : db.prepare(
                          "SELECT seq, at_ms, order_id, deployment, replica, identity, what, detail FROM loads "
                          "WHERE job = ? AND seq < ? ORDER BY seq DESC LIMIT ?");
  if (!statement.ok()) return statement.error();
  statement->bind(page.job.value);
  if (page.identity) statement->bind(page.identity->value);
  statement->bind(page.before.value_or(INT64_MAX)).bind(std::clamp(page.limit, 0, kPageMax));
  return rows_of<LoadRow>(*statement, load_in);
}

}  // namespace ebb
