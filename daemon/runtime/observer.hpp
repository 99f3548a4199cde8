// Asks the fleets, then every source, then the advisers, each round at once and all under one deadline, and puts
// together what one tick sees.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "config/config.hpp"
#include "daemon/model/observation.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/runtime/wiring.hpp"

namespace ebb {

/// One workload out of several sources of the same deployment: what any of them knows is known; where two know, the
/// larger value counts, since believing too much load costs RL a replica and too little costs production.
WorkloadSeen merged(WorkloadSeen a, const WorkloadSeen& b);

class Observer {
 public:
  explicit Observer(Clock& clock) : clock_(clock) {}

  /// Returns at `deadline` at the latest; what has not answered by then is Missing. A fleet or source that has not
  /// answered the round before is not asked again until it has.
  awaitable<Observation> observe(std::shared_ptr<const Config> config, std::shared_ptr<const Wiring> wiring,
                                 TimePoint deadline);

 private:
  struct Part;
  awaitable<Part> ask_fleet(FleetId id, std::shared_ptr<Fleet> fleet);
  awaitable<Part> ask_source(DeploymentId id, std::shared_ptr<MetricSource> source, std::vector<Target> targets,
                             TimePoint deadline);
  awaitable<Part> ask_advisor(std::shared_ptr<Advisor> advisor, AdviceQuestion question, TimePoint deadline);
  awaitable<void> ask_advisors(const Config& config, const Wiring& wiring, Observation& seen, TimePoint deadline);
  awaitable<void> ask_loads(DeploymentId id, std::shared_ptr<LoadSource> source, std::vector<Target> targets,
                            TimePoint deadline, Duration stale_after);
  /// Enters what RL replicas last said, and asks them again once a tick, or thrice within `stale_after` if that is more
  /// often. Beside the looks: no look at production waits for an answer of RL.
  awaitable<void> take_loads(const Config& config, const Wiring& wiring, Observation& seen);
  awaitable<Part> ask_demand(JobId id, std::shared_ptr<DemandSource> source, TimePoint deadline);

  Clock& clock_;
  std::set<const void*> asking_;  ///< fleets and sources with a call under way

  struct Loads {
    Reading<ReplicaLoads> said;
    TimePoint asked_at{};
  };
  std::map<DeploymentId, Loads> loads_;
};

}  // namespace ebb
