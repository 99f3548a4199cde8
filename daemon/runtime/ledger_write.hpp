// How the ledger's rows are written. Blocking; on the thread that owns the connection.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "daemon/model/decision.hpp"
#include "daemon/model/observation.hpp"
#include "daemon/model/record.hpp"
#include "daemon/model/result.hpp"
#include "daemon/runtime/sqlite.hpp"

namespace ebb {

/// Ticks between rows in full when there is no plan.
inline constexpr std::uint64_t kFullEvery = 100;

/// Whether the decision's row keeps what it saw and the states around it.
bool kept_in_full(const Decision& decision);

/// The decision's row, the newest state and one row per action, in one transaction. `seen` is read only when the row
/// is kept in full.
Status write_decision(Database& db, const Observation& seen, const Decision& decision, const std::string& build);
/// The first outcome of an action stays. An outcome without a recorded action (the ledger was down when a reclaim went
/// out) becomes an event `action_unrecorded`, so that it is found.
Status write_outcomes(Database& db, const std::vector<Outcome>& outcomes);
Result<std::uint64_t> write_event(Database& db, const Event& event);

/// What may go: older than `keep` or more than `max_decisions` ticks back; when the file holds more than `bytes_max`,
/// the oldest copies in full, then the oldest decisions. Never a decision with an unfinished action, nor such an
/// action.
struct Retention {
  LedgerConfig config;
  std::int64_t bytes_max;
  TimePoint now;
  std::uint64_t tick;
};
/// One short step of cleaning up; true: there is more to do. Space goes back to the file system little by little.
Result<bool> clean_up_a_little(Database& db, const Retention& retention);

}  // namespace ebb
