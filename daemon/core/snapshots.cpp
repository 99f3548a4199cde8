// Stage 7: a replica serves when it has the weights it should have (I8). Where no snapshot chain is configured, the
// weights it started with are the right ones; where one is, the coordinator says who has which (core/hotload).
#include "daemon/core/draft.hpp"
#include "daemon/core/lease_table.hpp"

namespace ebb {

void snapshots(Draft& draft, const Input& in) {
  for (const Site& site : in.sites) {
    const bool loads = site.job != nullptr && site.job->snapshots.enabled;
    if (!loads && draft.of(site).counts.starting.count == 0) continue;
    const auto known = loads ? in.seen.current.find(site.job->name) : in.seen.current.end();
    for (const LeaseRef& ref : draft.of(site).leases) {
      const bool has = !loads || (known != in.seen.current.end() && known->second.contains(*ref.id));
      if (ref.lease->phase == LeasePhase::serving && !has && known != in.seen.current.end()) {
        // Its process began anew under the same name, or a load went wrong: it serves nobody until it has caught up.
        advance(*ref.lease, LeaseEvent::stale, in.now);
        draft.say(Stage::snapshots, "snapshots.stale", ref.id->value);
      }
      if (ref.lease->phase != LeasePhase::syncing) continue;
      if (!has) {
        draft.say(Stage::snapshots, "snapshots.syncing", ref.id->value, {{"since", ref.lease->since}});
        continue;
      }
      advance(*ref.lease, LeaseEvent::current, in.now);
      if (!ref.lease->start_took) ref.lease->start_took = in.now - ref.lease->asked_at;
      draft.say(Stage::snapshots, loads ? "snapshots.loaded" : "snapshots.current", ref.id->value);
    }
    draft.of(site).count();
  }
}

}  // namespace ebb
