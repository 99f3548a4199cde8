// Stage 7: a replica serves when it has the weights it should have. Where no snapshot chain is configured, the weights
// it started with are the right ones.
#include "daemon/core/draft.hpp"
#include "daemon/core/lease_table.hpp"

namespace ebb {

Draft snapshots(Draft draft, const Input& in) {
  for (auto& [id, lease] : draft.state.leases) {
    if (lease.phase != LeasePhase::syncing) continue;
    lease = after(std::move(lease), LeaseEvent::current, in.now);
    draft.say(Stage::snapshots, "snapshots.current", id.value);
  }
  return recounted(std::move(draft));
}

}  // namespace ebb
