// Pools full of replicas, at the size one daemon must carry.
#pragma once

#include <algorithm>
#include <string>

#include "tests/support/builders.hpp"

namespace ebb::testing {

struct Fleetful {
  Config config;
  Observation seen;
  State state;
  TimePoint now = at_second(1000);
};

/// `pools` pools of `per_pool` deployments (half services, half jobs) with `replicas` replicas each.
inline Fleetful fleet_of(int pools, int per_pool, int replicas) {
  Fleetful out;
  out.config = small_config();
  const PoolConfig pool = out.config.pools[0];
  const ServiceConfig service = out.config.services[0];
  const JobConfig job = out.config.jobs[0];
  out.config.pools.clear();
  out.config.fleets.clear();
  out.config.services.clear();
  out.config.jobs.clear();
  out.seen.at = out.now;
  for (int p = 0; p < pools; ++p) {
    const std::string name = "pool-" + std::to_string(1000 + p);
    out.config.pools.push_back(pool);
    out.config.pools.back().name = PoolId(name);
    out.config.pools.back().gpus = {per_pool * replicas};
    FleetConfig fleet;
    fleet.name = FleetId("f-" + name);
    fleet.pool = PoolId(name);
    out.config.fleets.push_back(fleet);
    FleetSeen view;
    for (int d = 0; d < per_pool; ++d) {
      const bool production = d % 2 == 0;
      const std::string owner = (production ? "service-" : "job-") + std::to_string(1000 + d) + "-" + std::to_string(p);
      DeploymentConfig made = deployment(owner, name);
      made.max = {1000};
      if (production) {
        ServiceConfig s = service;
        s.name = ServiceId(owner);
        s.deployments = {made};
        out.config.services.push_back(s);
        out.seen.workloads[made.id].signals["in_flight"].value = Sample<double>{8.0 * replicas, out.now};
      } else {
        JobConfig j = job;
        j.name = JobId(owner);
        j.deployments = {made};
        out.config.jobs.push_back(j);
      }
      for (int r = 0; r < replicas; ++r) {
        view.replicas.push_back(
            replica(made.id.value + "-" + std::to_string(100000 + r), made.id, ReplicaPhase::ready));
      }
    }
    std::sort(view.replicas.begin(), view.replicas.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    out.seen.fleets[fleet.name] = Sample<FleetSeen>{view, out.now};
  }
  out.state.started_at = kStart;
  out.state = decide(out.seen, out.state, out.config, out.now).next;  // adopts everything
  return out;
}

}  // namespace ebb::testing
