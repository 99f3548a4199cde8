#include "daemon/runtime/ledger_read.hpp"

#include <algorithm>

#include "daemon/core/reduce.hpp"
#include "daemon/model/json.hpp"
#include "daemon/model/json_delta.hpp"

namespace ebb {
namespace {

using nlohmann::json;

std::int64_t ms(TimePoint at) { return at.time_since_epoch().count(); }

/// The JSON in a column, read by `from`; an error says in which row it stands.
template <class From>
auto read_json(const Statement& row, int column, const std::string& where, From from) -> decltype(from(json())) {
  const json value = json::parse(row.text(column), nullptr, false);
  if (value.is_discarded()) return Error{ErrorCode::malformed, where + " is not JSON", false};
  auto out = from(value);
  if (!out.ok()) return Error{ErrorCode::malformed, where + ": " + out.error().what, false};
  return out;
}

/// Calls `take(row) -> Status` for each row.
template <class F>
Status each_row(Statement& statement, F take) {
  for (;;) {
    const Result<bool> more = statement.step();
    if (!more.ok()) return more.error();
    if (!*more) return Done{};
    if (Status taken = take(statement); !taken.ok()) return taken;
  }
}

/// The decision with the sentences that are not stored.
Result<json> decision_in(const Statement& row) {
  return read_json(row, 0, "a decision", [](const json& stored) -> Result<json> {
    if (!stored.is_object()) return Error{ErrorCode::malformed, "no object", false};
    json out = stored;
    const Result<Explanation> why = explanation_from(stored.value("why", json::array()));
    if (!why.ok()) return why.error();
    out["why"] = to_json(*why);
    return out;
  });
}

Result<ActionRow> action_in(const Statement& row) {
  ActionRow out;
  Result<Action> action = read_json(row, 0, "an action", action_from);
  if (!action.ok()) return action.error();
  out.action = std::move(*action);
  out.tick = static_cast<std::uint64_t>(row.number(1));
  out.recorded_at = TimePoint{Duration{row.number(2)}};
  if (row.is_null(3)) return out;
  Result<Outcome> outcome = read_json(row, 3, "the outcome of " + out.action.id.value, outcome_from);
  if (!outcome.ok()) return outcome.error();
  out.outcome = std::move(*outcome);
  return out;
}

Result<std::vector<ActionRow>> action_rows(Database& db, const char* sql, std::int64_t value) {
  Result<Statement> statement = db.prepare(sql);
  if (!statement.ok()) return statement.error();
  statement->bind(value);
  std::vector<ActionRow> rows;
  const Status done = each_row(*statement, [&](const Statement& row) -> Status {
    Result<ActionRow> action = action_in(row);
    if (!action.ok()) return action.error();
    rows.push_back(std::move(*action));
    return Done{};
  });
  if (!done.ok()) return done.error();
  return rows;
}

Result<std::vector<Event>> event_rows(Database& db, const char* sql, std::int64_t after, std::int64_t limit) {
  Result<Statement> statement = db.prepare(sql);
  if (!statement.ok()) return statement.error();
  statement->bind(after).bind(limit);
  std::vector<Event> rows;
  const Status done = each_row(*statement, [&](const Statement& row) -> Status {
    Result<Event> event = read_json(row, 1, "event " + std::to_string(row.number(0)), event_from);
    if (!event.ok()) return event.error();
    event->seq = static_cast<std::uint64_t>(row.number(0));
    rows.push_back(std::move(*event));
    return Done{};
  });
  if (!done.ok()) return done.error();
  return rows;
}

Result<json> one_decision(Database& db, const char* sql, std::int64_t key, const std::string& what) {
  Result<Statement> statement = db.prepare(sql);
  if (!statement.ok()) return statement.error();
  const Result<bool> row = statement->bind(key).step();
  if (!row.ok()) return row.error();
  if (!*row) return Error{ErrorCode::not_found, "the ledger has no decision " + what, false};
  return decision_in(*statement);
}

struct Newest {
  State state;
  std::int64_t tick = -1;  ///< no decision yet
  std::int64_t events_before = 0;
};

/// The state of tick `whole` with what changed up to tick `last`.
Result<State> with_changes(Database& db, State state, std::int64_t whole, std::int64_t last) {
  Result<Statement> statement =
      db.prepare("SELECT state_before, state, tick, base FROM inputs WHERE tick > ? ORDER BY tick");
  if (!statement.ok()) return statement.error();
  statement->bind(whole);
  const Status done = each_row(*statement, [&](const Statement& row) -> Status {
    const std::string where = "the decision of tick " + std::to_string(row.number(2));
    if (row.is_null(3) || row.number(3) != whole) {
      return Error{ErrorCode::malformed, where + " is no change of tick " + std::to_string(whole), false};
    }
    for (const int column : {0, 1}) {
      Result<State> next =
          read_json(row, column, where, [&](const json& delta) { return applied(std::move(state), delta); });
      if (!next.ok()) return next.error();
      state = std::move(*next);
    }
    whole = row.number(2);
    return Done{};
  });
  if (!done.ok()) return done.error();
  if (whole != last) {
    return Error{ErrorCode::malformed, "the decision of tick " + std::to_string(last) + " is gone", false};
  }
  return state;
}

Result<Newest> newest_state(Database& db) {
  Newest out;
  Result<Statement> statement = db.prepare("SELECT state, tick, events_before, whole FROM state");
  if (!statement.ok()) return statement.error();
  const Result<bool> row = statement->step();
  if (!row.ok()) return row.error();
  if (!*row) return out;
  Result<State> state = read_json(*statement, 0, "the newest whole state", state_from);
  if (!state.ok()) return state.error();
  out.tick = statement->number(1);
  out.events_before = statement->number(2);
  Result<State> newest = with_changes(db, std::move(*state), statement->number(3), out.tick);
  if (!newest.ok()) return newest.error();
  out.state = std::move(*newest);
  return out;
}

}  // namespace

Result<Recovered> read_recovered(Database& db) {
  Result<Newest> newest = newest_state(db);
  if (!newest.ok()) return newest.error();
  Recovered out;
  out.fresh = newest->tick < 0;
  out.state = std::move(newest->state);
  const auto events = event_rows(db, "SELECT seq, event FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
                                 newest->events_before, INT64_MAX);
  if (!events.ok()) return events.error();
  for (const Event& event : *events) out.state = reduce(std::move(out.state), event);

  const auto ended = action_rows(db,
                                 "SELECT action_json, tick, recorded_at_ms, outcome_json FROM actions WHERE "
                                 "outcome_after_tick >= ? ORDER BY outcome_at_ms, id",
                                 newest->tick);
  if (!ended.ok()) return ended.error();
  for (const ActionRow& row : *ended) out.state = reduce(std::move(out.state), *row.outcome, row.action);

  auto unfinished = action_rows(db,
                                "SELECT action_json, tick, recorded_at_ms, outcome_json FROM actions WHERE outcome IS "
                                "NULL AND tick >= ? ORDER BY tick, id",
                                0);
  if (!unfinished.ok()) return unfinished.error();
  out.unfinished = std::move(*unfinished);
  return out;
}

Result<std::vector<json>> read_page(Database& db, const Ledger::Page& page) {
  // The literal `actions > 0` lets the planner use the index of those alone. The lowest tick comes out of the index by
  // time, so that an old `since` does not make it walk the table; the times are compared too, should a clock have
  // jumped.
  Result<Statement> statement = db.prepare(
      page.changed_only ? "SELECT decision FROM decisions WHERE tick < ?1 AND at_ms >= coalesce(?2, at_ms) AND actions "
                          "> 0 AND tick >= "
                          "CASE WHEN ?2 IS NULL THEN 0 ELSE (SELECT min(tick) FROM decisions WHERE at_ms >= ?2) END "
                          "ORDER BY tick DESC LIMIT ?3"
                        : "SELECT decision FROM decisions WHERE tick < ?1 AND at_ms >= coalesce(?2, at_ms) AND tick >= "
                          "CASE WHEN ?2 IS NULL THEN 0 ELSE (SELECT min(tick) FROM decisions WHERE at_ms >= ?2) END "
                          "ORDER BY tick DESC LIMIT ?3");
  if (!statement.ok()) return statement.error();
  statement->bind(page.before ? static_cast<std::int64_t>(std::min<std::uint64_t>(*page.before, INT64_MAX))
                              : INT64_MAX);
  if (page.since)
    statement->bind(ms(*page.since));
  else
    statement->bind_null();
  statement->bind(std::clamp(page.limit, 0, kPageMax));
  std::vector<json> out;
  const Status done = each_row(*statement, [&](const Statement& row) -> Status {
    Result<json> decision = decision_in(row);
    if (!decision.ok()) return decision.error();
    out.push_back(std::move(*decision));
    return Done{};
  });
  if (!done.ok()) return done.error();
  return out;
}

Result<json> read_decision_at(Database& db, TimePoint at) {
  return one_decision(db, "SELECT decision FROM decisions WHERE at_ms <= ? ORDER BY at_ms DESC, tick DESC LIMIT 1",
                      ms(at), "at or before " + to_iso(at));
}

Result<json> read_decision(Database& db, std::uint64_t tick) {
  return one_decision(db, "SELECT decision FROM decisions WHERE tick = ?",
                      static_cast<std::int64_t>(std::min<std::uint64_t>(tick, INT64_MAX)),
                      "of tick " + std::to_string(tick));
}

Result<std::vector<Event>> read_events(Database& db, std::uint64_t after_seq, int limit) {
  return event_rows(db, "SELECT seq, event FROM events WHERE seq > ? ORDER BY seq DESC LIMIT ?",
                    static_cast<std::int64_t>(std::min<std::uint64_t>(after_seq, INT64_MAX)),
                    std::clamp(limit, 0, kPageMax));
}

Result<std::vector<ActionRow>> read_actions(Database& db, int limit) {
  return action_rows(
      db, "SELECT action_json, tick, recorded_at_ms, outcome_json FROM actions ORDER BY tick DESC, id LIMIT ?",
      std::clamp(limit, 0, kPageMax));
}

}  // namespace ebb
