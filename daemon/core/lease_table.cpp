#include "daemon/core/lease_table.hpp"

namespace ebb {
namespace {

constexpr std::size_t kPhases = static_cast<std::size_t>(LeasePhase::released) + 1;
constexpr std::size_t kEvents = static_cast<std::size_t>(LeaseEvent::stale) + 1;

/// The table with its no-ops written out, so that a row is found by index.
constexpr auto kRows = [] {
  std::array<std::array<LeaseTransition, kEvents>, kPhases> rows{};
  for (std::size_t phase = 0; phase < kPhases; ++phase) {
    for (std::size_t event = 0; event < kEvents; ++event)
      rows[phase][event] = transition(static_cast<LeasePhase>(phase), static_cast<LeaseEvent>(event));
  }
  return rows;
}();

}  // namespace

void advance(Lease& lease, LeaseEvent event, TimePoint now) {
  const LeaseTransition& row = kRows[static_cast<std::size_t>(lease.phase)][static_cast<std::size_t>(event)];
  if (row.to != lease.phase) lease.since = now;
  lease.phase = row.to;
  lease.evicted = lease.evicted || row.evict;
}

}  // namespace ebb
