// Stage 8: how many rollouts a job may have in flight: what its serving replicas hold.
#include "daemon/core/draft.hpp"

namespace ebb {

Draft admission(Draft draft, const Input& in) {
  for (const JobConfig& job : in.config.jobs) {
    Replicas serving;
    for (const DeploymentConfig& deployment : job.deployments) {
      if (const auto counts = draft.counts.find(deployment.id); counts != draft.counts.end()) {
        serving = serving + counts->second.serving;
      }
    }
    const int limit = serving.count * job.rollouts_per_replica;
    draft.admission[job.name] = limit;
    draft.say(Stage::admission, "admission.limit", job.name.value,
              {{"serving", arg(serving)}, {"each", arg(job.rollouts_per_replica)}, {"limit", arg(limit)}});
  }
  return draft;
}

}  // namespace ebb
