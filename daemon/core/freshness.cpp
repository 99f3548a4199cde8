// Stage 1: what do we know? Old samples become Missing, partial ones lower bounds, and the fleets' word moves the
// leases.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "daemon/core/draft.hpp"
#include "daemon/core/lease_table.hpp"

namespace ebb {
namespace {

/// Why a sample that old is not known; nothing: it is in time. One from tomorrow would be fresh for a day.
std::optional<Missing> out_of_time(TimePoint taken_at, const std::string& name, Draft& draft, const Input& in,
                                   const DeploymentId& id) {
  const Duration limit = in.config.stale_after;
  const Duration age = in.now - taken_at;
  if (age > limit) {
    draft.say(Stage::freshness, "freshness.stale", id.value, {{"signal", name}, {"age", age}, {"limit", limit}});
    return Missing{"stale", taken_at};
  }
  if (age < -limit) {
    draft.say(Stage::freshness, "freshness.ahead", id.value, {{"signal", name}, {"age", -age}, {"limit", limit}});
    return Missing{"from the future", in.now};
  }
  return std::nullopt;
}

/// A signal that is too old, or that not every replica took part in, is not known; its value remains a lower bound
/// only where it is fresh.
WorkloadSeen freshened(WorkloadSeen workload, Draft& draft, const Input& in, const DeploymentId& id) {
  for (auto& [name, signal] : workload.signals) {
    // Compared with anything it would pass for no load at all.
    if (signal.at_least && !std::isfinite(*signal.at_least)) signal.at_least.reset();
    const Sample<double>* sample = signal.value.sample();
    if (sample == nullptr) continue;
    if (!std::isfinite(sample->value)) {
      signal = {Missing{"not a number", sample->taken_at}, std::nullopt};
    } else if (auto missing = out_of_time(sample->taken_at, name, draft, in, id)) {
      signal = {*std::move(missing), std::nullopt};
    } else if (workload.reported < workload.expected) {
      // Idle must be proven: the silent replica may be the busy one.
      signal.at_least = sample->value;
      signal.value =
          Missing{std::to_string(workload.reported) + " of " + std::to_string(workload.expected) + " replicas reported",
                  sample->taken_at};
    }
  }
  const auto in_time = [&](auto& reading, const char* name) {
    if (!reading.known()) return;
    if (auto missing = out_of_time(reading.sample()->taken_at, name, draft, in, id)) reading = *std::move(missing);
  };
  in_time(workload.advice, "advice");
  in_time(workload.asked, "asked");
  in_time(workload.held, "held");
  return workload;
}

void read_fleets(Draft& draft, const Input& in) {
  for (const FleetConfig& fleet : in.config.fleets) {
    const auto found = in.seen.fleets.find(fleet.name);
    const Missing* missing = nullptr;
    Missing stale{"not observed", in.now};
    if (found == in.seen.fleets.end()) {
      missing = &stale;
    } else if (found->second.missing() != nullptr) {
      missing = found->second.missing();
    } else if (in.now - found->second.sample()->taken_at > in.config.stale_after) {
      stale.why = "stale";
      missing = &stale;
    }
    if (missing == nullptr) continue;
    for (const Pool& pool : in.pools) {
      if (pool.config->name != fleet.pool) continue;
      draft.pools[pool.index].blind = true;
      for (const Site* site : pool.sites)
        draft.of(*site).dark = draft.of(*site).dark || site->deployment->fleet == fleet.name;
    }
    draft.say(Stage::freshness, "freshness.fleet", fleet.name.value, {{"why", missing->why}});
    draft.alarm("freshness.fleet", fleet.name.value);
  }
}

}  // namespace

void freshness(Draft& draft, const Input& in) {
  read_fleets(draft, in);
  bool all_seen = true;
  for (const Site& site : in.sites) {
    if (site.service == nullptr) continue;
    const auto seen = in.seen.workloads.find(site.id());
    if (seen == in.seen.workloads.end()) all_seen = false;
    WorkloadSeen workload = seen == in.seen.workloads.end() ? WorkloadSeen{} : seen->second;
    draft.of(site).workload = freshened(std::move(workload), draft, in, site.id());
  }
  reconcile(draft, in);
  if (draft.why.empty() && all_seen) draft.say(Stage::freshness, "freshness.ok", "");
}

}  // namespace ebb
