// Recomputes the ledger's decisions: `decide` is pure, so that the same build gives the same bytes, and another build
// shows where it would have acted otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "daemon/model/result.hpp"
#include "daemon/model/time.hpp"
#include "daemon/runtime/sqlite.hpp"

namespace ebb {

/// One decision that came out otherwise.
struct Difference {
  std::uint64_t tick = 0;
  TimePoint at{};
  std::string build;               ///< that recorded it
  std::vector<std::string> lines;  ///< "/plan/0/replicas: recorded [...], now [...]"; at most ten, and how many more
};

struct ReplayReport {
  std::int64_t same = 0, different = 0;
  std::int64_t unreadable = 0;      ///< kept without what they were made from, or it is no longer whole
  std::string first_unreadable;     ///< why, of the oldest of them
  std::vector<std::string> builds;  ///< that recorded what was recomputed, in order of appearance
};

/// Reads every decision from the oldest on. `differs` is told of each that came out otherwise. Errors: the file cannot
/// be read.
Result<ReplayReport> replay(Database& db, const std::function<void(const Difference&)>& differs);

}  // namespace ebb
