// Stage 8: how many rollouts a job may have in flight: what its serving replicas hold.
#include "daemon/core/draft.hpp"

namespace ebb {

void admission(Draft& draft, const Input& in) {
  std::map<JobId, Replicas> serving;
  for (const Site& site : in.sites) {
    if (site.job != nullptr) serving[site.job->name].count += draft.of(site).counts.serving.count;
  }
  for (const JobConfig& job : in.config.jobs) {
    const int limit = serving[job.name].count * job.rollouts_per_replica;
    draft.admission[job.name] = limit;
    draft.say(Stage::admission, "admission.limit", job.name.value,
              {{"serving", arg(serving[job.name])}, {"each", arg(job.rollouts_per_replica)}, {"limit", arg(limit)}});
  }
}

}  // namespace ebb
