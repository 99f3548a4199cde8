#include "daemon/core/lease_table.hpp"

namespace ebb {

Lease after(Lease lease, LeaseEvent event, TimePoint now) {
  const LeaseTransition row = transition(lease.phase, event);
  if (row.to != lease.phase) lease.since = now;
  lease.phase = row.to;
  lease.evicted = lease.evicted || row.evict;
  return lease;
}

}  // namespace ebb
