// Stage 2: how many replicas each production deployment needs. Its policy proposes; its owner's wish, its bounds and
// what is unknown can only raise what is kept for it.
#include <algorithm>
#include <iterator>

#include "daemon/core/draft.hpp"

namespace ebb {
namespace {

/// Replicas production holds in any phase, whoever runs them.
Replicas held_by(const Draft& draft, const Site& site, const DeploymentMemory& memory) {
  const WorkloadSeen& workload = draft.of(site).workload;
  const Replicas leased = draft.of(site).counts.held();
  if (!site.deployment->fleet.empty()) return leased;
  if (workload.held.known()) return std::max(leased, workload.held.value());
  // Nobody says how many exist: as many as ought to report, or at least what was needed last.
  return std::max({leased, Replicas{workload.expected}, memory.last_need});
}

/// From the decision that RL must go to its last GPU being free.
Duration reclaim_bound(const Input& in, const Pool& pool) {
  Duration longest{0};
  for (const Site* site : pool.sites) {
    if (site->job != nullptr) longest = std::max(longest, site->deployment->drain_timeout);
  }
  return longest + in.config.tick;
}

CapacityProposal proposal_of(Draft& draft, const Input& in, const Site& site, const DeploymentMemory& memory) {
  const WorkloadSeen& workload = draft.of(site).workload;
  const Replicas ready = site.deployment->fleet.empty() ? Replicas{workload.reported} : draft.of(site).counts.serving;
  const CapacityInput input{.deployment = site.id(),
                            .signals = workload.signals,
                            .ready = ready,
                            .min = site.deployment->min,
                            .max = site.deployment->max,
                            .reclaim = reclaim_bound(in, in.pools[site.pool]),
                            .memory = memory.policy,
                            .now = in.now,
                            .advice = workload.advice,
                            .tick = in.config.tick};
  CapacityProposal proposal = site.service->capacity->propose(input);
  std::move(proposal.why.begin(), proposal.why.end(), std::back_inserter(draft.why));
  return proposal;
}

void say_missing(Draft& draft, const Site& site) {
  const auto& signals = draft.of(site).workload.signals;
  for (const std::string& name : site.service->capacity->needs()) {
    const auto signal = signals.find(name);
    const bool read = signal != signals.end();
    if (read && signal->second.value.known()) continue;
    draft.say(Stage::freshness, "freshness.missing", site.id().value,
              {{"signal", name}, {"why", read ? signal->second.value.missing()->why : "no source reports it"}});
  }
}

/// What an unknown service keeps: the part of its need that is known, its last need or what it holds, and after
/// `blind_after` all it may ever want.
Replicas unknown_need(Draft& draft, const Input& in, const Site& site, const DeploymentMemory& memory, Replicas floor) {
  say_missing(draft, site);
  const TimePoint since = std::max(memory.known_at, draft.state.started_at);
  const Duration blind_for = in.now - since;
  const bool blind = blind_for > site.service->blind_after;
  if (blind) {
    draft.say(Stage::freshness, "freshness.blind", site.id().value,
              {{"span", blind_for}, {"limit", site.service->blind_after}, {"max", arg(site.deployment->max)}});
    draft.alarm("freshness.blind", site.id().value);
  }
  // An owner outside may have gone beyond the max we were told.
  const Replicas kept = std::max({floor, memory.last_need, draft.of(site).held});
  if (blind && kept <= site.deployment->max) return site.deployment->max;
  draft.say(Stage::need, "need.unknown", site.id().value, {{"need", arg(kept)}});
  return kept;
}

/// What only the replicas themselves report is unknown once none is left, and nothing would start the first one again.
Replicas with_one_that_reports(Draft& draft, const Site& site, Replicas need) {
  const std::vector<SourceConfig>& sources = site.deployment->sources;
  const bool lasts = sources.empty() || std::any_of(sources.begin(), sources.end(), [](const SourceConfig& source) {
                       return source.kind != SourceKind::scrape || !source.targets.empty();
                     });
  if (need.count > 0 || !site.ours() || lasts || site.service->capacity->needs().empty()) return need;
  draft.say(Stage::need, "need.one_that_reports", site.id().value);
  return {1};
}

Replicas with_owner_and_bounds(Draft& draft, const Site& site, Replicas need) {
  const WorkloadSeen& workload = draft.of(site).workload;
  const std::string& id = site.id().value;
  if (const Override* pin = override_for(draft, site, OverrideKind::pin); pin != nullptr && pin->target == id) {
    need = pin->replicas;
    draft.say(Stage::need, "need.pinned", id,
              {{"need", arg(need)}, {"owner", pin->owner}, {"until", pin->expires_at}, {"reason", pin->reason}});
  }
  if (workload.asked.known() && workload.asked.value() > need) {
    draft.say(Stage::need, "need.asked", id, {{"asked", arg(workload.asked.value())}, {"need", arg(need)}});
    need = workload.asked.value();
  }
  // An owner outside may go beyond the max we were told; then it is our number that is wrong, and production's GPUs
  // count.
  const Replicas top = site.ours() ? site.deployment->max : std::max(site.deployment->max, need);
  const Replicas kept = std::clamp(need, site.deployment->min, top);
  if (kept != need) {
    draft.say(Stage::need, "need.bounds", id,
              {{"need", arg(need)}, {"min", arg(site.deployment->min)}, {"max", arg(top)}, {"kept", arg(kept)}});
  }
  return kept;
}

}  // namespace

void need(Draft& draft, const Input& in) {
  for (const Site& site : in.sites) {
    if (site.service == nullptr) continue;
    DeploymentMemory& memory = draft.state.deployments[site.id()];
    SiteDraft& mine = draft.of(site);
    mine.held = held_by(draft, site, memory);
    CapacityProposal proposal = proposal_of(draft, in, site, memory);
    Replicas wanted = proposal.need;
    if (!proposal.known) {
      wanted = unknown_need(draft, in, site, memory, proposal.need);
      draft.pools[site.pool].blind = true;
    } else {
      memory.known_at = in.now;
    }
    wanted = with_owner_and_bounds(draft, site, with_one_that_reports(draft, site, wanted));
    mine.need = wanted;
    mine.known = proposal.known;
    // A blind maximum is a precaution, not a need that was seen; it must not outlive the blindness.
    if (proposal.known) memory.last_need = wanted;
    memory.policy = std::move(proposal.memory);
    if (site.ours()) mine.target = wanted;
  }
}

}  // namespace ebb
