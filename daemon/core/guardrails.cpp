// Stage 5: what slows growth. Nothing here is pluggable, and nothing here can hold back a reclaim.
#include <algorithm>
#include <iterator>

#include "daemon/core/draft.hpp"

namespace ebb {
namespace {

/// The smallest slack of the window is at its front: entries ascend, so each new one removes the larger ones behind it.
std::vector<SlackSeen> with_slack(std::vector<SlackSeen> window, Gpus slack, TimePoint now, Duration span) {
  std::erase_if(window, [&](const SlackSeen& seen) { return seen.at <= now - span || seen.at > now; });
  while (!window.empty() && window.back().slack >= slack) window.pop_back();
  window.push_back({now, slack});
  return window;
}

Duration warm_up(const Input& in, const Pool& pool) {
  Duration longest = in.config.warm_up;
  for (const Site* site : pool.sites) {
    // One full window must have been seen, or a quiet minute after a restart would pass for a quiet hour.
    if (site->service != nullptr) longest = std::max(longest, site->service->capacity->window());
  }
  return longest;
}

/// The tick of one job deployment that wants to grow from `current` to `wanted`.
struct Growth {
  const Site& site;
  Replicas current;
  Replicas wanted;
  Gpus room;      ///< of quiet slack, left by the deployments before it
  Gpus lendable;  ///< of what the pool's growth policy lends, likewise
};

/// A rule that allows at most `kept` says so when it bites.
using Args = std::initializer_list<std::pair<std::string, Arg>>;
Replicas limited(Draft& draft, const Growth& growth, Replicas wanted, Replicas kept, const char* rule, Args more) {
  if (kept >= wanted) return wanted;
  Step step{Stage::guardrails, rule, growth.site.id().value, {{"wanted", arg(wanted)}, {"kept", arg(kept)}}};
  step.args.insert(step.args.end(), more.begin(), more.end());
  draft.why.push_back(std::move(step));
  return kept;
}

Duration backoff(const FailureConfig& config, int failures) {
  Duration wait = config.backoff_first;
  for (int i = 1; i < failures && wait < config.backoff_max; ++i) wait *= 2;
  return std::min(wait, config.backoff_max);
}

Replicas held_by_time(Draft& draft, const Input& in, const Growth& growth, Replicas wanted) {
  DeploymentMemory& memory = draft.state.deployments[growth.site.id()];
  const JobConfig& job = *growth.site.job;
  const Duration warming = warm_up(in, in.pools[growth.site.pool]);
  if (const TimePoint until = draft.state.started_at + warming; in.now < until) {
    wanted = limited(draft, growth, wanted, growth.current, "guardrails.warm_up", {{"until", until}});
  }
  if (const TimePoint until = memory.last_reclaim + job.reclaim_cooldown; in.now < until) {
    wanted = limited(draft, growth, wanted, growth.current, "guardrails.reclaim_cooldown",
                     {{"until", until}, {"span", job.reclaim_cooldown}});
  }
  if (const TimePoint until = memory.last_grow + job.grow_cooldown; in.now < until) {
    wanted = limited(draft, growth, wanted, growth.current, "guardrails.grow_cooldown",
                     {{"until", until}, {"span", job.grow_cooldown}});
  }
  // Two of the longest pauses without a failure end the row; becoming ready does not, or a replica that dies a second
  // after it was ready would be started for ever.
  if (in.now - memory.last_failure > 2 * in.config.failures.backoff_max) memory.failures = 0;
  const TimePoint again = memory.last_failure + backoff(in.config.failures, memory.failures);
  if (memory.failures > 0 && in.now < again) {
    wanted = limited(draft, growth, wanted, growth.current, "guardrails.backoff",
                     {{"failures", arg(memory.failures)}, {"until", again}});
    draft.alarm("guardrails.backoff", growth.site.id().value);
  }
  return wanted;
}

Replicas slowed(Draft& draft, const Input& in, const Growth& growth) {
  const PoolConfig& pool = *in.pools[growth.site.pool].config;
  Replicas wanted = growth.wanted;
  if (draft.pools[growth.site.pool].blind) {
    wanted = limited(draft, growth, wanted, growth.current, "guardrails.blind", {});
  }
  if (const Override* freeze = override_for(draft, growth.site, OverrideKind::freeze); freeze != nullptr) {
    wanted = limited(draft, growth, wanted, growth.current, "guardrails.frozen",
                     {{"owner", freeze->owner}, {"until", freeze->expires_at}, {"reason", freeze->reason}});
  }
  wanted = held_by_time(draft, in, growth, wanted);
  const Gpus each = growth.site.deployment->gpus_per_replica;
  wanted = limited(draft, growth, wanted, growth.current + fitting(growth.lendable, each), "guardrails.growth", {});
  const Replicas lasting = growth.current + fitting(growth.room, each);
  wanted = limited(draft, growth, wanted, lasting, "guardrails.quiet",
                   {{"window", pool.quiet_window}, {"slack", arg(draft.state.slack.at(pool.name).front().slack)}});
  return limited(draft, growth, wanted, growth.current + growth.site.job->grow_step, "guardrails.step",
                 {{"step", arg(growth.site.job->grow_step)}});
}

void say_frozen(Draft& draft, const Site& site, Replicas wanted, Replicas kept, const Override& freeze) {
  draft.say(Stage::guardrails, "guardrails.frozen", site.id().value,
            {{"wanted", arg(wanted)},
             {"kept", arg(kept)},
             {"owner", freeze.owner},
             {"until", freeze.expires_at},
             {"reason", freeze.reason}});
}

/// What the pool's growth policy would lend.
Gpus lendable(Draft& draft, const Input& in, const Pool& pool) {
  Duration start_up{0}, drain{0};
  for (const Site* site : pool.sites) {
    if (site->job == nullptr) continue;
    drain = std::max(drain, site->deployment->drain_timeout);
    for (const LeaseRef& ref : draft.of(*site).leases) {
      if (ref.lease->phase != LeasePhase::serving) continue;
      // One that took longer than a start may has waited for weights that were not there.
      const Duration took = ref.lease->start_took.value_or(Duration{0});
      if (took <= site->deployment->start_timeout) start_up = std::max(start_up, took);
    }
  }
  PolicyMemory& memory = draft.state.growth[pool.config->name];
  GrowthProposal proposal = pool.config->growth->propose({.pool = pool.config->name,
                                                          .slack = draft.pools[pool.index].slack,
                                                          .start_up = start_up,
                                                          .drain = drain,
                                                          .memory = memory,
                                                          .now = in.now,
                                                          .tick = in.config.tick});
  memory = std::move(proposal.memory);
  std::move(proposal.why.begin(), proposal.why.end(), std::back_inserter(draft.why));
  return proposal.lendable;
}

/// Its job keeps what it has unless production needs it.
bool keeps(const Draft& draft, const Site& site) {
  if (override_for(draft, site, OverrideKind::drain_all) != nullptr) return false;
  return draft.of(site).dark || override_for(draft, site, OverrideKind::freeze) != nullptr;
}

/// GPUs that a reclaim takes from those that keep what they have: what the others do not give.
Gpus owed_by_the_kept(const Draft& draft, const Pool& pool, Gpus active) {
  Gpus owed = active - draft.pools[pool.index].slack;
  for (const Site* site : pool.sites) {
    if (site->job == nullptr || keeps(draft, *site)) continue;
    owed -= std::max(draft.of(*site).counts.active_gpus - site->gpus(draft.of(*site).target), Gpus{0});
  }
  return std::max(owed, Gpus{0});
}

/// The target of a job that keeps what it has. `owed` falls by what it gives all the same.
Replicas kept_target(Draft& draft, const Site& site, Gpus& owed) {
  const SiteDraft& mine = draft.of(site);
  const Replicas current = mine.counts.active();
  const int each = site.deployment->gpus_per_replica.count;
  const Replicas given = std::min(current - mine.target, Replicas{(owed.count + each - 1) / each});
  const Replicas kept = current - given;
  owed = std::max(owed - site.gpus(given), Gpus{0});
  if (kept == mine.target) return kept;
  if (const Override* freeze = override_for(draft, site, OverrideKind::freeze); freeze != nullptr) {
    say_frozen(draft, site, mine.target, kept, *freeze);
  }
  if (mine.dark) {
    draft.say(Stage::guardrails, "guardrails.dark", site.id().value,
              {{"wanted", arg(mine.target)}, {"kept", arg(kept)}});
  }
  return kept;
}

void guard_pool(Draft& draft, const Input& in, const Pool& pool) {
  PoolDraft& books = draft.pools[pool.index];
  std::vector<SlackSeen>& window = draft.state.slack[pool.config->name];
  window = with_slack(std::move(window), books.slack, in.now, pool.config->quiet_window);
  const Gpus active = rl_gpus(draft, pool, true);
  books.reclaiming = active > books.slack;
  Gpus room = std::max(window.front().slack - active, Gpus{0});
  const Gpus lendable_now = lendable(draft, in, pool);
  // A policy that lends all of the slack holds nothing back.
  Gpus lent = lendable_now < books.slack ? std::max(lendable_now - active, Gpus{0}) : pool.config->gpus;
  Gpus owed = owed_by_the_kept(draft, pool, active);
  for (const Site* site : pool.sites) {
    if (site->job == nullptr) continue;
    const Replicas current = draft.of(*site).counts.active();
    Replicas& target = draft.of(*site).target;
    if (target < current && keeps(draft, *site)) target = kept_target(draft, *site, owed);
    if (target <= current) continue;
    target = slowed(draft, in, {*site, current, target, room, lent});
    room -= site->gpus(target - current);
    lent -= site->gpus(target - current);
  }
}

/// Production that Ebb scales: growth is never slowed; only shrinking waits for a freeze or for sight.
void guard_production(Draft& draft, const Site& site) {
  const Replicas current = draft.of(site).counts.active();
  Replicas& target = draft.of(site).target;
  if (target >= current) return;
  if (draft.of(site).dark) {
    draft.say(Stage::guardrails, "guardrails.dark", site.id().value, {{"wanted", arg(target)}, {"kept", arg(current)}});
    target = current;
  }
  if (const Override* freeze = override_for(draft, site, OverrideKind::freeze); freeze != nullptr) {
    say_frozen(draft, site, target, current, *freeze);
    target = current;
  }
}

}  // namespace

void guardrails(Draft& draft, const Input& in) {
  for (const Pool& pool : in.pools) guard_pool(draft, in, pool);
  for (const Site& site : in.sites) {
    if (site.service != nullptr && site.ours()) guard_production(draft, site);
  }
}

}  // namespace ebb
