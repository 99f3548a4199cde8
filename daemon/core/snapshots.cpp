// Stage 7: a replica serves when it has the weights it should have. Where no snapshot chain is configured, the weights
// it started with are the right ones.
#include "daemon/core/draft.hpp"
#include "daemon/core/lease_table.hpp"

namespace ebb {

Draft snapshots(Draft draft, const Input& in) {
  for (SiteDraft& site : draft.sites) {
    for (const LeaseRef& ref : site.leases) {
      if (ref.lease->phase != LeasePhase::syncing) continue;
      *ref.lease = after(std::move(*ref.lease), LeaseEvent::current, in.now);
      draft.say(Stage::snapshots, "snapshots.current", ref.id->value);
    }
    site.count();
  }
  return draft;
}

}  // namespace ebb
