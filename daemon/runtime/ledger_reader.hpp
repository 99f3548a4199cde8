// Reading the ledger's tables. Blocking; each call on the thread that owns the connection.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "daemon/ports/ledger.hpp"
#include "daemon/runtime/sqlite.hpp"

namespace ebb {

/// Rows of `SELECT action_json, tick, recorded_at_ms, outcome_json ...` with one number bound.
Result<std::vector<ActionRow>> action_rows(Database& db, const char* sql, std::int64_t bound);
/// Rows of `SELECT seq, event ...` with two numbers bound.
Result<std::vector<Event>> event_rows(Database& db, const char* sql, std::int64_t from, std::int64_t limit);
/// See Ledger::recover.
Result<Recovered> read_recovered(Database& db);
/// See Ledger::decisions; the sentences are rendered here.
Result<std::vector<nlohmann::json>> read_page(Database& db, const Ledger::Page& page);
/// One decision out of `SELECT decision ...` with one number bound; `what` completes "the ledger has no decision ...".
Result<nlohmann::json> read_one(Database& db, const char* sql, std::int64_t key, const std::string& what);
Result<nlohmann::json> read_at(Database& db, TimePoint at);
Result<nlohmann::json> read_tick(Database& db, std::uint64_t tick);

/// From the file alone, also while a daemon writes it: the decision of `tick`, or the newest at or before `at`, or the newest.
Result<nlohmann::json> read_decision(const std::string& path, std::optional<TimePoint> at, std::optional<std::uint64_t> tick);

}  // namespace ebb
