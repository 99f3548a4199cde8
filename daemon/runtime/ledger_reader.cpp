#include "daemon/runtime/ledger_reader.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/reduce.hpp"
#include "daemon/model/json.hpp"

namespace ebb {
namespace {

using nlohmann::json;

constexpr Duration kFoldAgain{3'600'000};

std::int64_t ms(TimePoint at) { return at.time_since_epoch().count(); }

json with_sentences(json decision) {
  const Result<Explanation> why = explanation_from(decision.value("why", json::array()));
  if (why.ok()) decision["why"] = to_json(*why);
  return decision;
}

Result<json> parsed(const std::string& text) {
  json value = json::parse(text, nullptr, false);
  if (value.is_discarded()) return Error{ErrorCode::malformed, "a row of the ledger is not JSON", false};
  return value;
}

}  // namespace

Result<std::vector<ActionRow>> action_rows(Database& db, const char* sql, std::int64_t limit) {
  Result<Statement> statement = db.prepare(sql);
  if (!statement.ok()) return statement.error();
  statement->bind(limit);
  std::vector<ActionRow> rows;
  for (;;) {
    Result<bool> more = statement->step();
    if (!more.ok()) return more.error();
    if (!*more) return rows;
    ActionRow row;
    const Result<json> text = parsed(statement->text(0));
    if (!text.ok()) return text.error();
    Result<Action> action = action_from(*text);
    if (!action.ok()) return action.error();
    row.action = std::move(*action);
    row.tick = static_cast<std::uint64_t>(statement->number(1));
    row.recorded_at = TimePoint{Duration{statement->number(2)}};
    if (!statement->is_null(3)) {
      const Result<json> outcome_text = parsed(statement->text(3));
      if (!outcome_text.ok()) return outcome_text.error();
      Result<Outcome> outcome = outcome_from(*outcome_text);
      if (!outcome.ok()) return outcome.error();
      row.outcome = std::move(*outcome);
    }
    rows.push_back(std::move(row));
  }
}

Result<std::vector<Event>> event_rows(Database& db, const char* sql, std::int64_t from, std::int64_t limit) {
  Result<Statement> statement = db.prepare(sql);
  if (!statement.ok()) return statement.error();
  statement->bind(from).bind(limit);
  std::vector<Event> rows;
  for (;;) {
    Result<bool> more = statement->step();
    if (!more.ok()) return more.error();
    if (!*more) return rows;
    const Result<json> text = parsed(statement->text(1));
    if (!text.ok()) return text.error();
    Result<Event> event = event_from(*text);
    if (!event.ok()) return event.error();
    event->seq = static_cast<std::uint64_t>(statement->number(0));
    rows.push_back(std::move(*event));
  }
}

Result<Recovered> read_recovered(Database& db) {
  Recovered out;
  Result<Statement> newest = db.prepare("SELECT state, at_ms FROM state WHERE id = 1");
  if (!newest.ok()) return newest.error();
  Result<bool> row = newest->step();
  if (!row.ok()) return row.error();
  out.fresh = !*row;
  std::int64_t at = 0;
  if (*row) {
    const Result<json> text = parsed(newest->text(0));
    if (!text.ok()) return text.error();
    Result<State> state = state_from(*text);
    if (!state.ok()) return state.error();
    out.state = std::move(*state);
    at = newest->number(1);
  }
  const auto events = event_rows(db, "SELECT seq, event FROM events WHERE at_ms >= ? ORDER BY seq LIMIT ?",
                                 at - kFoldAgain.count(), INT64_MAX);
  if (!events.ok()) return events.error();
  for (const Event& event : *events) out.state = reduce(std::move(out.state), event);

  const auto ended = action_rows(db,
                                 "SELECT action_json, tick, recorded_at_ms, outcome_json FROM actions WHERE "
                                 "outcome_at_ms >= ? ORDER BY outcome_at_ms, id",
                                 at);
  if (!ended.ok()) return ended.error();
  for (const ActionRow& ending : *ended) out.state = reduce(std::move(out.state), *ending.outcome, ending.action);

  auto unfinished = action_rows(db,
                                "SELECT action_json, tick, recorded_at_ms, outcome_json FROM actions WHERE outcome IS NULL "
                                "ORDER BY tick, id LIMIT ?",
                                INT64_MAX);
  if (!unfinished.ok()) return unfinished.error();
  out.unfinished = std::move(*unfinished);
  return out;
}

Result<std::vector<json>> read_page(Database& db, const Ledger::Page& page) {
  Result<Statement> statement = db.prepare(
      "SELECT decision FROM decisions WHERE tick < ? AND at_ms >= ? AND actions >= ? ORDER BY tick DESC LIMIT ?");
  if (!statement.ok()) return statement.error();
  const std::int64_t before = page.before ? static_cast<std::int64_t>(*page.before) : INT64_MAX;
  statement->bind(before).bind(page.since ? ms(*page.since) : INT64_MIN).bind(page.changed_only ? 1 : 0);
  statement->bind(std::clamp(page.limit, 0, 1'000));
  std::vector<json> out;
  for (;;) {
    Result<bool> more = statement->step();
    if (!more.ok()) return more.error();
    if (!*more) return out;
    Result<json> decision = parsed(statement->text(0));
    if (!decision.ok()) return decision.error();
    out.push_back(with_sentences(std::move(*decision)));
  }
}

Result<json> read_one(Database& db, const char* sql, std::int64_t key, const std::string& what) {
  Result<Statement> statement = db.prepare(sql);
  if (!statement.ok()) return statement.error();
  statement->bind(key);
  Result<bool> row = statement->step();
  if (!row.ok()) return row.error();
  if (!*row) return Error{ErrorCode::not_found, "the ledger has no decision " + what, false};
  Result<json> decision = parsed(statement->text(0));
  if (!decision.ok()) return decision;
  return with_sentences(std::move(*decision));
}

Result<json> read_at(Database& db, TimePoint at) {
  return read_one(db, "SELECT decision FROM decisions WHERE at_ms <= ? ORDER BY at_ms DESC, tick DESC LIMIT 1", ms(at),
                  "at or before " + to_iso(at));
}

Result<json> read_tick(Database& db, std::uint64_t tick) {
  return read_one(db, "SELECT decision FROM decisions WHERE tick = ?", static_cast<std::int64_t>(tick),
                  "of tick " + std::to_string(tick));
}

Result<json> read_decision(const std::string& path, std::optional<TimePoint> at, std::optional<std::uint64_t> tick) {
  const auto db = Database::open(path, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX);
  if (!db.ok()) return db.error();
  if (tick) return read_tick(**db, *tick);
  constexpr TimePoint kNewest{std::chrono::sys_days{std::chrono::year{9999} / 12 / 31}};
  return read_at(**db, at.value_or(kNewest));
}

}  // namespace ebb
