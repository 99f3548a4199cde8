// How the ledger's rows are written. Blocking; on the thread that owns the connection.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "daemon/model/decision.hpp"
#include "daemon/model/observation.hpp"
#include "daemon/model/record.hpp"
#include "daemon/model/result.hpp"
#include "daemon/runtime/sqlite.hpp"

namespace ebb {

/// Ticks between rows in full.
inline constexpr std::uint64_t kFullEvery = 100;

/// One tick with all that it was made from.
struct TickRecord {
  Observation seen;
  State before;
  Decision decision;
  std::shared_ptr<const Config> config;  ///< null: not known, and the row cannot be recomputed
};

/// Writes ticks, each as what changed since the one before. One for each time a file is opened.
class TickWriter {
 public:
  explicit TickWriter(std::string build) : build_(std::move(build)) {}

  /// The decision's row, its configuration, the newest state and one row per action, in one transaction. After a
  /// failure the next row is whole.
  Status write(Database& db, TickRecord tick);

 private:
  Status insert(Database& db, const TickRecord& tick, const std::string& state);
  Status insert_config(Database& db, const TickRecord& tick);

  struct Last {
    std::uint64_t tick;
    Observation seen;
    State next;
  };
  std::string build_;
  std::optional<Last> last_;
  std::string config_;  ///< hash whose text the file has
};
/// The first outcome of an action stays. An outcome without a recorded action (the ledger was down when a reclaim went
/// out) becomes an event `action_unrecorded`, so that it is found.
Status write_outcomes(Database& db, const std::vector<Outcome>& outcomes);
Result<std::uint64_t> write_event(Database& db, const Event& event);

/// What may go: older than `keep` or more than `max_decisions` ticks back; when the file holds more than `bytes_max`,
/// the oldest copies in full, then the oldest decisions. Never a decision with an unfinished action, nor such an
/// action, nor a decision since the last whole state.
struct Retention {
  LedgerConfig config;
  std::int64_t bytes_max = 0;
  TimePoint now{};
  std::uint64_t tick = 0;
};
/// One short step of cleaning up; true: there is more to do. What is free beyond a quarter of the file, or beyond
/// `bytes_max`, goes back to the file system little by little.
Result<bool> clean_up_a_little(Database& db, const Retention& retention);

}  // namespace ebb
