#include "daemon/core/lease_table.hpp"

namespace ebb {
namespace {

/// The table with its no-ops written out, so that a row is found by index.
constexpr auto kRows = [] {
  std::array<std::array<LeaseTransition, kLeaseEvents>, kLeasePhases> rows{};
  for (std::size_t phase = 0; phase < kLeasePhases; ++phase) {
    for (std::size_t event = 0; event < kLeaseEvents; ++event)
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
