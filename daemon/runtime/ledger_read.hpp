// How the ledger's rows are read. Blocking; on the thread that owns the connection.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "daemon/model/record.hpp"
#include "daemon/model/result.hpp"
#include "daemon/ports/ledger.hpp"
#include "daemon/runtime/sqlite.hpp"

namespace ebb {

/// Rows one call returns at most.
inline constexpr int kPageMax = 1'000;

/// The last whole state with what the decisions since changed; on it what was recorded after the newest of them: events
/// in their order, then outcomes. Events that it may or may not hold already are folded again, which changes nothing:
/// the end of a history determines every key it mentions. Outcomes are not so (a failure counts), hence they carry the
/// tick they came after.
Result<Recovered> read_recovered(Database& db);
Result<std::vector<nlohmann::json>> read_page(Database& db, const Ledger::Page& page);
Result<nlohmann::json> read_decision_at(Database& db, TimePoint at);
Result<nlohmann::json> read_decision(Database& db, std::uint64_t tick);
/// Newest first.
Result<std::vector<Event>> read_events(Database& db, std::uint64_t after_seq, int limit);
Result<std::vector<ActionRow>> read_actions(Database& db, int limit);

}  // namespace ebb
