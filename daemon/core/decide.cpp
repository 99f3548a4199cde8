#include "daemon/core/decide.hpp"

#include <algorithm>
#include <array>

#include "daemon/core/draft.hpp"
#include "daemon/core/lease_table.hpp"

namespace ebb {
namespace {

struct StageRun {
  Draft (*run)(Draft, const Input&);
};

/// The whole decision, in reading order. Guardrails and check are nobody's policy.
constexpr std::array kStages{
    StageRun{freshness}, StageRun{need},   StageRun{reserve},   StageRun{allocate}, StageRun{guardrails},
    StageRun{leases},    StageRun{snapshots}, StageRun{admission}, StageRun{diff},     StageRun{check},
};

Input input_of(const Observation& seen, const Config& config, TimePoint now) {
  Input in{seen, config, now, {}, {}, {}};
  for (const ServiceConfig& service : config.services) {
    for (const DeploymentConfig& deployment : service.deployments) in.sites.push_back({&deployment, &service, nullptr});
  }
  for (const JobConfig& job : config.jobs) {
    for (const DeploymentConfig& deployment : job.deployments) in.sites.push_back({&deployment, nullptr, &job});
  }
  for (const Site& site : in.sites) {
    in.by_id[site.id()] = &site;
    in.by_pool[site.deployment->pool].push_back(&site);
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
    DeploymentSummary& summary = out[site.id()];
    if (const auto counts = draft.counts.find(site.id()); counts != draft.counts.end()) {
      summary.ready = counts->second.serving;
      summary.starting = counts->second.starting;
      summary.draining = counts->second.draining;
      summary.held = counts->second.held() + counts->second.lost;
    }
    if (site.service != nullptr) {
      summary.need = draft.need.at(site.id());
      summary.known = draft.known.at(site.id());
      summary.held = std::max(summary.held, draft.held.at(site.id()));
      if (!site.ours()) summary.ready = {draft.workloads.at(site.id()).reported};
    }
    if (const auto target = draft.target.find(site.id()); target != draft.target.end()) summary.target = target->second;
  }
  return out;
}

Decision decision_of(Draft draft, const Input& in) {
  Decision decision;
  for (const PoolConfig& pool : in.config.pools) {
    const PoolDraft& books = draft.pools.at(pool.name);
    decision.pools[pool.name] = {.gpus = pool.gpus,
                                 .reserve = books.reserve,
                                 .slack = books.slack,
                                 .production = books.production,
                                 .rl = rl_gpus(draft, in, pool.name, false),
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
  for (const StageRun& stage : kStages) draft = stage.run(std::move(draft), in);
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

Draft recounted(Draft draft) {
  draft.counts.clear();
  for (const auto& [id, lease] : draft.state.leases) {
    Counts& counts = draft.counts[lease.deployment];
    switch (lease.phase) {
      case LeasePhase::serving: counts.serving = counts.serving + Replicas{1}; break;
      case LeasePhase::starting:
      case LeasePhase::syncing: counts.starting = counts.starting + Replicas{1}; break;
      case LeasePhase::draining: counts.draining = counts.draining + Replicas{1}; break;
      case LeasePhase::lost: counts.lost = counts.lost + Replicas{1}; break;
      case LeasePhase::released: break;
    }
  }
  return draft;
}

Gpus rl_gpus(const Draft& draft, const Input& in, const PoolId& pool, bool active_only) {
  Gpus sum;
  const auto sites = in.by_pool.find(pool);
  if (sites == in.by_pool.end()) return sum;
  for (const Site* site : sites->second) {
    const auto counts = draft.counts.find(site->id());
    if (site->job == nullptr || counts == draft.counts.end()) continue;
    sum += site->gpus(active_only ? counts->second.active() : counts->second.held());
  }
  return sum;
}

const Override* override_for(const Draft& draft, const Input&, const Site& site, OverrideKind kind) {
  const std::string& owner = site.service != nullptr ? site.service->name.value : site.job->name.value;
  for (const auto& [id, value] : draft.state.overrides) {
    const bool hits = value.target.empty() || value.target == site.deployment->pool.value || value.target == owner ||
                      value.target == site.id().value;
    if (value.kind == kind && hits) return &value;
  }
  return nullptr;
}

}  // namespace ebb
