#include "daemon/core/decide.hpp"

#include <algorithm>
#include <array>

#include "daemon/core/draft.hpp"
#include "daemon/core/lease_table.hpp"

namespace ebb {
namespace {

struct StageRun {
  void (*run)(Draft&, const Input&);
};

/// The whole decision, in reading order. Guardrails and check are nobody's policy.
constexpr std::array kStages{
    StageRun{freshness}, StageRun{need},      StageRun{reserve},   StageRun{allocate}, StageRun{guardrails},
    StageRun{leases},    StageRun{snapshots}, StageRun{admission}, StageRun{diff},     StageRun{check},
};

Input input_of(const Observation& seen, const Config& config, TimePoint now) {
  Input in{seen, config, now, {}, {}, {}};
  std::map<std::string_view, std::size_t> pool_index;
  for (const PoolConfig& pool : config.pools) {
    pool_index[pool.name.value] = in.pools.size();
    in.pools.push_back({&pool, in.pools.size(), {}});
  }
  const auto add = [&](const DeploymentConfig& deployment, const ServiceConfig* service, const JobConfig* job) {
    in.sites.push_back({&deployment, service, job, in.sites.size(), pool_index.at(deployment.pool.value)});
  };
  for (const ServiceConfig& service : config.services) {
    for (const DeploymentConfig& deployment : service.deployments) add(deployment, &service, nullptr);
  }
  for (const JobConfig& job : config.jobs) {
    for (const DeploymentConfig& deployment : job.deployments) add(deployment, nullptr, &job);
  }
  for (const Site& site : in.sites) {
    in.by_id[site.id().value] = &site;
    in.pools[site.pool].sites.push_back(&site);
  }
  return in;
}

/// What has lapsed is gone before any stage can act on it.
State without_lapsed(State state, TimePoint now) {
  std::erase_if(state.overrides, [now](const auto& entry) { return entry.second.expires_at <= now; });
  std::erase_if(state.demand, [now](const auto& entry) { return entry.second.expires_at <= now; });
  return state;
}

std::map<DeploymentId, DeploymentSummary> summaries(const Draft& draft, const Input& in) {
  std::map<DeploymentId, DeploymentSummary> out;
  for (const Site& site : in.sites) {
    const SiteDraft& mine = draft.of(site);
    DeploymentSummary summary{.need = mine.need,
                              .target = mine.target,
                              .ready = mine.counts.serving,
                              .starting = mine.counts.starting,
                              .draining = mine.counts.draining,
                              .held = std::max(mine.counts.held() + mine.counts.lost, mine.held),
                              .known = mine.known};
    if (site.deployment->fleet.empty()) summary.ready = {mine.workload.reported};
    out.emplace(site.id(), summary);
  }
  return out;
}

Decision decision_of(Draft draft, const Input& in) {
  Decision decision;
  for (const Pool& pool : in.pools) {
    const PoolDraft& books = draft.pools[pool.index];
    decision.pools[pool.config->name] = {.gpus = pool.config->gpus,
                                         .reserve = books.reserve,
                                         .slack = books.slack,
                                         .production = books.production,
                                         .rl = rl_gpus(draft, pool, false),
                                         .unusable = books.unusable,
                                         .blind = books.blind};
  }
  decision.deployments = summaries(draft, in);
  std::sort(draft.alarms.begin(), draft.alarms.end());
  draft.alarms.erase(std::unique(draft.alarms.begin(), draft.alarms.end()), draft.alarms.end());
  decision.tick = draft.state.tick;
  decision.at = in.now;
  decision.plan = std::move(draft.plan);
  decision.admission = std::move(draft.admission);
  decision.alarms = std::move(draft.alarms);
  decision.why = std::move(draft.why);
  decision.next = std::move(draft.state);
  return decision;
}

}  // namespace

Decision decide(const Observation& seen, State state, const Config& config, TimePoint now) {
  const Input in = input_of(seen, config, now);
  Draft draft;
  draft.state = without_lapsed(std::move(state), now);
  ++draft.state.tick;
  draft.why.reserve(32);  // what a quiet tick of a small site says
  draft.sites.resize(in.sites.size());
  draft.pools.resize(in.pools.size());
  for (const StageRun& stage : kStages) stage.run(draft, in);
  return decision_of(std::move(draft), in);
}

bool is_urgent(const Decision& decision, const Config& config) {
  for (const Action& action : decision.plan.actions) {
    if (action.kind == ActionKind::start) continue;
    for (const JobConfig& job : config.jobs) {
      for (const DeploymentConfig& deployment : job.deployments) {
        if (deployment.id == action.deployment) return true;
      }
    }
  }
  return false;
}

void SiteDraft::count() {
  counts = {};
  for (const LeaseRef& ref : leases) {
    const Gpus gpus = ref.lease->gpus;
    switch (ref.lease->phase) {
      case LeasePhase::serving:
        ++counts.serving.count;
        counts.active_gpus += gpus;
        break;
      case LeasePhase::starting:
      case LeasePhase::syncing:
        ++counts.starting.count;
        counts.active_gpus += gpus;
        break;
      case LeasePhase::draining:
        ++counts.draining.count;
        counts.draining_gpus += gpus;
        break;
      case LeasePhase::lost:
        ++counts.lost.count;
        counts.lost_gpus += gpus;
        break;
      case LeasePhase::released: break;
    }
  }
}

Gpus rl_gpus(const Draft& draft, const Pool& pool, bool active_only) {
  Gpus sum;
  for (const Site* site : pool.sites) {
    const Counts& counts = draft.of(*site).counts;
    if (site->job != nullptr) sum += active_only ? counts.active_gpus : counts.held_gpus();
  }
  return sum;
}

const Override* override_for(const Draft& draft, const Site& site, OverrideKind kind) {
  const std::string& owner = site.service != nullptr ? site.service->name.value : site.job->name.value;
  for (const auto& [id, value] : draft.state.overrides) {
    const bool hits = value.target.empty() || value.target == site.deployment->pool.value || value.target == owner ||
                      value.target == site.id().value;
    if (value.kind == kind && hits) return &value;
  }
  return nullptr;
}

}  // namespace ebb
