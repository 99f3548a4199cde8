// Stage 4: slack becomes targets per job.
#include <algorithm>
#include <cmath>

#include "daemon/core/draft.hpp"

namespace ebb {
namespace {

Replicas rounded_up(double replicas) {
  return {static_cast<int>(std::ceil(std::clamp(replicas, 0.0, 1'000'000.0) - 1e-9))};
}

/// Replicas the job can use over all pools, and where that was said.
struct Wanted {
  Replicas replicas;
  std::string source;
};

Wanted wanted_by(Draft& draft, const Input& in, const JobConfig& job) {
  if (const auto demand = draft.state.demand.find(job.name); demand != draft.state.demand.end()) {
    const Demand& said = demand->second;
    const double replicas = said.replicas ? *said.replicas : said.rollouts.value_or(0) / job.rollouts_per_replica;
    return {std::min(rounded_up(replicas), job.max), "set through the API until " + to_iso(said.expires_at)};
  }
  if (job.demand == DemandKind::unlimited) return {job.max, "unlimited"};
  if (job.demand == DemandKind::api) return {{0}, "nothing was asked for through the API"};
  const auto metric = in.seen.demand.find(job.name);
  const bool fresh = metric != in.seen.demand.end() && metric->second.known() &&
                     in.now - metric->second.sample()->taken_at <= in.config.stale_after;
  if (fresh) return {std::min(rounded_up(metric->second.value()), job.max), "its metric"};
  Replicas now;
  for (const Site& site : in.sites) {
    if (site.job == &job) now = now + draft.of(site).counts.active();
  }
  const bool read = metric != in.seen.demand.end() && metric->second.missing() != nullptr;
  draft.say(Stage::allocate, "allocate.demand_unknown", job.name.value,
            {{"why", read ? metric->second.missing()->why : "not observed or stale"}, {"replicas", arg(now)}});
  return {std::min(now, job.max), ""};
}

/// What is left of each job for the pools that are still to come.
struct Budget {
  std::map<JobId, Replicas> demand, guarantee;
  /// What the job has in those pools. It stays there: slack elsewhere is not worth a drain and a start, and another
  /// pool may be blind or slow to grow.
  std::map<JobId, Replicas> there;
};

Claim claim_of(Draft& draft, const Site& site, const Budget& budget) {
  const JobConfig& job = *site.job;
  const std::string& id = site.id().value;
  const Replicas demand = budget.demand.at(job.name);
  const Replicas there = budget.there.at(job.name);
  const Replicas here = std::max(demand - there, Replicas{0});
  if (here < std::min(demand, site.deployment->max)) {
    draft.say(Stage::allocate, "allocate.stays", id,
              {{"wanted", arg(demand)}, {"there", arg(there)}, {"kept", arg(here)}});
  }
  Claim claim{job.name,
              job.weight,
              std::max(budget.guarantee.at(job.name), site.deployment->min),
              std::min(here, site.deployment->max),
              site.deployment->gpus_per_replica,
              job.priority};
  if (const Override* pin = override_for(draft, site, OverrideKind::pin); pin != nullptr) {
    draft.say(Stage::guardrails, "guardrails.pinned", id,
              {{"wanted", arg(claim.cap)},
               {"kept", arg(pin->replicas)},
               {"owner", pin->owner},
               {"until", pin->expires_at},
               {"reason", pin->reason}});
    claim.cap = claim.guarantee = pin->replicas;
  }
  if (const Override* drain = override_for(draft, site, OverrideKind::drain_all); drain != nullptr) {
    draft.say(
        Stage::guardrails, "guardrails.drain_all", id,
        {{"wanted", arg(claim.cap)}, {"owner", drain->owner}, {"until", drain->expires_at}, {"reason", drain->reason}});
    claim.cap = {0};
  }
  return claim;
}

void share_pool(Draft& draft, const Pool& pool, Budget& budget) {
  std::vector<const Site*> sites;
  std::vector<Claim> claims;
  for (const Site* site : pool.sites) {
    if (site->job == nullptr) continue;
    sites.push_back(site);
    Replicas& there = budget.there.at(site->job->name);
    there = there - draft.of(*site).counts.active();
    claims.push_back(claim_of(draft, *site, budget));
  }
  if (sites.empty()) return;
  const Gpus slack = draft.pools[pool.index].slack;
  const std::vector<Replicas> given = pool.config->allocation->share(slack, claims);
  draft.say(Stage::allocate, "allocate.pool", pool.config->name.value,
            {{"slack", arg(slack)}, {"jobs", std::int64_t{static_cast<std::int64_t>(sites.size())}}});
  for (std::size_t i = 0; i < sites.size(); ++i) {
    draft.of(*sites[i]).target = given[i];
    Replicas& demand = budget.demand.at(claims[i].job);
    Replicas& guarantee = budget.guarantee.at(claims[i].job);
    demand = std::max(demand - given[i], Replicas{0});
    guarantee = std::max(guarantee - given[i], Replicas{0});
    draft.say(Stage::allocate, "allocate.job", sites[i]->id().value,
              {{"target", arg(given[i])},
               {"cap", arg(claims[i].cap)},
               {"guarantee", arg(claims[i].guarantee)},
               {"weight", claims[i].weight}});
    if (claims[i].priority != 0) {
      draft.say(Stage::allocate, "allocate.priority", sites[i]->id().value, {{"priority", arg(claims[i].priority)}});
    }
  }
}

}  // namespace

void allocate(Draft& draft, const Input& in) {
  Budget budget;
  for (const JobConfig& job : in.config.jobs) {
    const Wanted wanted = wanted_by(draft, in, job);
    if (!wanted.source.empty()) {
      draft.say(Stage::allocate, "allocate.demand", job.name.value,
                {{"replicas", arg(wanted.replicas)}, {"source", wanted.source}});
    }
    budget.demand[job.name] = wanted.replicas;
    budget.guarantee[job.name] = job.guarantee;
    budget.there[job.name] = {0};
  }
  for (const Site& site : in.sites) {
    if (site.job == nullptr) continue;
    Replicas& there = budget.there.at(site.job->name);
    there = there + draft.of(site).counts.active();
  }
  for (const Pool& pool : in.pools) share_pool(draft, pool, budget);
}

}  // namespace ebb
