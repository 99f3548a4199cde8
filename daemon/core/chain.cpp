#include "daemon/core/chain.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace ebb {
namespace {

template <class T>
bool contains(const std::vector<T>& all, const T& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

Error conflict(std::string what) { return {ErrorCode::conflict, std::move(what), false}; }
Error invalid(std::string what) { return {ErrorCode::invalid, std::move(what), false}; }

std::string quoted(const Identity& identity) { return "'" + identity.value + "'"; }

/// "run7-step-000012", and after a break "run7-step-000012-g1": names are new for each snapshot, also when a step is
/// written once more.
Identity name_for(const std::string& run, std::int64_t step, int generation) {
  std::array<char, 24> digits{};
  std::snprintf(digits.data(), digits.size(), "%06lld", static_cast<long long>(step));
  std::string name = run.empty() ? "" : run + "-";
  name += "step-" + std::string(digits.data());
  return Identity(generation == 0 ? name : name + "-g" + std::to_string(generation));
}

/// Empty, or why the run and step may not follow what was accepted.
std::string order_fault(const Chain& chain, const std::string& run, std::optional<std::int64_t> step,
                        bool run_is_over) {
  if (step && *step < 0) return "a step is 0 or more";
  if (run_is_over && run != chain.run && !chain.run.empty()) {
    return "the run '" + run + "' is over: '" + chain.run + "' has published since; a new run has a new id";
  }
  const Snapshot* last = tip(chain);
  if (last == nullptr || run != last->run || !step || *step > last->step) return {};
  return "the run '" + run + "' is at step " + std::to_string(last->step) + " (" + quoted(last->identity()) +
         "): step " + std::to_string(*step) + " would rewind or fork it; a new run begins with a full snapshot";
}

std::string full_because(const Chain& chain, const std::string& run, const ChainRules& rules) {
  if (!rules.no_incremental_why.empty()) return rules.no_incremental_why;
  if (!chain.why_full.empty()) return chain.why_full == "first" ? "the first snapshot is full" : chain.why_full;
  if (!rules.why_full.empty()) return rules.why_full;
  const Snapshot* last = tip(chain);
  if (last == nullptr) return "the first snapshot is full";
  if (run != last->run) return "a new run begins with a full snapshot";
  if (since_full(chain) >= rules.incrementals_max) {
    return std::to_string(rules.incrementals_max) + " snapshots since the last full one are the most there may be";
  }
  return {};
}

/// Empty, or why this incremental snapshot does not fit.
std::optional<Error> incremental_fault(const Chain& chain, const Publication& said, const std::string& run,
                                       const ChainRules& rules) {
  if (!rules.no_incremental_why.empty()) return invalid("no incremental snapshots here: " + rules.no_incremental_why);
  if (said.parent.empty()) return invalid("an incremental snapshot names its parent");
  if (said.parent == said.identity) return invalid("a snapshot is not its own parent");
  if (const std::string why = full_because(chain, run, rules); !why.empty()) {
    return conflict("the next snapshot must be full: " + why);
  }
  const Snapshot* last = tip(chain);
  if (said.parent == last->identity()) return std::nullopt;
  const bool older = contains(chain.served, said.parent) ||
                     std::any_of(chain.waiting.begin(), chain.waiting.end(),
                                 [&](const Snapshot& s) { return s.identity() == said.parent; });
  return conflict(older ? "the parent " + quoted(said.parent) + " is not the newest snapshot, that is " +
                              quoted(last->identity()) + ": this would fork the run"
                        : "the parent " + quoted(said.parent) + " is not in the chain, its newest snapshot is " +
                              quoted(last->identity()));
}

/// The chain has lost its ground from `from` on: what builds on it goes too, up to the next full one.
void orphan(Chain& chain, std::size_t from, const std::string& why, TimePoint now, std::vector<Snapshot>& changed) {
  std::size_t end = from;
  while (end < chain.waiting.size() && !chain.waiting[end].full()) {
    Snapshot& lost = chain.waiting[end++];
    lost.phase = transition(lost.phase, SnapshotEvent::orphaned).to;
    lost.since = now;
    lost.reason = why;
    changed.push_back(lost);
  }
  chain.waiting.erase(chain.waiting.begin() + static_cast<std::ptrdiff_t>(from),
                      chain.waiting.begin() + static_cast<std::ptrdiff_t>(end));
}

void serve(Chain& chain, Snapshot snapshot) {
  if (snapshot.full()) {
    chain.links.clear();
    chain.strays.clear();
  }
  chain.served.push_back(snapshot.identity());
  if (chain.served.size() > kServedRemembered) chain.served.erase(chain.served.begin());
  chain.links.push_back(std::move(snapshot));
}

}  // namespace

ChainRules chain_rules(const SnapshotsConfig& config, const std::vector<HotloadCapabilities>& capabilities) {
  ChainRules rules;
  if (config.adapter) rules.no_incremental_why = "adapters are always full";
  for (const HotloadCapabilities& one : capabilities) {
    if (!one.incremental && rules.no_incremental_why.empty()) {
      rules.no_incremental_why =
          one.no_incremental_why.empty() ? "a fleet of the job cannot apply them" : one.no_incremental_why;
    }
    if (one.incrementals_max > 0) rules.incrementals_max = std::min(rules.incrementals_max, one.incrementals_max);
  }
  return rules;
}

const Snapshot* tip(const Chain& chain) {
  if (!chain.waiting.empty()) return &chain.waiting.back();
  return chain.links.empty() ? nullptr : &chain.links.back();
}

int since_full(const Chain& chain) {
  int count = 0;
  for (auto it = chain.waiting.rbegin(); it != chain.waiting.rend(); ++it, ++count) {
    if (it->full()) return count;
  }
  return chain.links.empty() ? count : count + static_cast<int>(chain.links.size()) - 1;
}

const Snapshot* target_of(const Chain& chain) {
  if (!chain.waiting.empty()) {
    const Snapshot& front = chain.waiting.front();
    if (front.phase == SnapshotPhase::verified || front.phase == SnapshotPhase::loading) return &front;
  }
  return chain.links.empty() ? nullptr : &chain.links.back();
}

std::vector<Snapshot> path_to_target(const Chain& chain, const Identity& loaded) {
  const Snapshot* target = target_of(chain);
  if (target == nullptr || loaded == target->identity()) return {};
  const bool waits = !chain.waiting.empty() && target == &chain.waiting.front();
  // A stray serves what the trainer vouched for; taking it back would cost its rollouts and gain nothing.
  if (!waits && contains(chain.strays, loaded)) return {};
  std::vector<Snapshot> path;
  if (!target->full() || !waits) path = chain.links;
  if (waits) path.push_back(*target);
  const auto at = std::find_if(path.begin(), path.end(), [&](const Snapshot& s) { return s.identity() == loaded; });
  if (at != path.end()) path.erase(path.begin(), at + 1);
  return path;
}

std::optional<int> versions_behind(const Chain& chain, const Identity& loaded) {
  if (loaded.empty()) return std::nullopt;
  if (!chain.waiting.empty() && chain.waiting.front().phase == SnapshotPhase::loading &&
      chain.waiting.front().identity() == loaded) {
    return 0;
  }
  if (contains(chain.strays, loaded)) return 0;
  const auto at = std::find(chain.served.rbegin(), chain.served.rend(), loaded);
  if (at == chain.served.rend()) return std::nullopt;
  return static_cast<int>(at - chain.served.rbegin());
}

Result<ChainStep> planned(Chain chain, const std::string& run, std::optional<std::int64_t> step,
                          const CadenceChoice& cadence, const ChainRules& rules, bool run_is_over) {
  const Snapshot* last = tip(chain);
  if (const std::string fault = order_fault(chain, run, step, run_is_over); !fault.empty()) return conflict(fault);
  SnapshotPlan plan;
  plan.run = run;
  plan.step = step ? *step : last != nullptr && last->run == run ? last->step + 1 : 0;
  plan.identity = name_for(run, plan.step, chain.generation);
  if (const std::string fault = identity_fault(plan.identity.value); !fault.empty()) {
    return invalid("no name can be made of the run: " + fault);
  }
  plan.reason = full_because(chain, run, rules);
  const int full_every = std::clamp(cadence.full_every, 1, std::min(kMostSinceFull, rules.incrementals_max + 1));
  if (plan.reason.empty() && since_full(chain) + 1 >= full_every) {
    plan.reason = "every " + std::to_string(full_every) + "th snapshot is full (" + cadence.why + ")";
  }
  if (plan.reason.empty()) {
    plan.kind = SnapshotKind::incremental;
    plan.parent = last->identity();
    plan.reason = "incremental " + std::to_string(since_full(chain) + 1) + " of " + std::to_string(full_every - 1) +
                  " on top of the last full one (" + cadence.why + ")";
  }
  chain.planned = plan;
  return ChainStep{std::move(chain), {}, false};
}

Result<ChainStep> published(Chain chain, const Publication& said, const Known& known, const ChainRules& rules,
                            TimePoint now) {
  if (const std::string fault = identity_fault(said.identity.value); !fault.empty()) return invalid(fault);
  if (known.same) {
    if (known.same->said == said) return ChainStep{std::move(chain), {}, true};
    return conflict("the identity " + quoted(said.identity) +
                    " was published with other contents; every snapshot has a new one");
  }
  const std::string run = said.run.value_or(chain.run);
  if (const std::string fault = order_fault(chain, run, said.step, known.run_is_over); !fault.empty()) {
    return conflict(fault);
  }
  if (said.kind == SnapshotKind::full && !said.parent.empty()) return invalid("a full snapshot has no parent");
  if (said.kind == SnapshotKind::incremental) {
    if (auto fault = incremental_fault(chain, said, run, rules)) return *fault;
  }
  if (chain.waiting.size() >= kMostWaiting) {
    return Error{ErrorCode::throttled,
                 std::to_string(kMostWaiting) + " snapshots wait already; wait until some of them serve", true};
  }
  const Snapshot* last = tip(chain);
  Snapshot snapshot;
  snapshot.said = said;
  snapshot.run = run;
  snapshot.step = said.step ? *said.step : last != nullptr && last->run == run ? last->step + 1 : 0;
  snapshot.phase = transition(SnapshotPhase::planned, SnapshotEvent::published).to;
  snapshot.published_at = snapshot.since = now;
  chain.run = run;
  chain.waiting.push_back(snapshot);
  chain.planned.reset();
  if (snapshot.full()) chain.why_full.clear();
  return ChainStep{std::move(chain), {std::move(snapshot)}, false};
}

ChainStep after(Chain chain, const Identity& identity, SnapshotEvent event, const std::string& why, TimePoint now) {
  ChainStep step;
  const auto at = std::find_if(chain.waiting.begin(), chain.waiting.end(),
                               [&](const Snapshot& s) { return s.identity() == identity; });
  if (at == chain.waiting.end() || transition(at->phase, event).to == at->phase) {
    step.chain = std::move(chain);
    return step;
  }
  const SnapshotTransition row = transition(at->phase, event);
  at->phase = row.to;
  at->since = now;
  at->reason = why;
  step.changed.push_back(*at);
  if (has_ended(row.to)) {
    const Snapshot ended = *at;
    const auto index = static_cast<std::size_t>(at - chain.waiting.begin());
    chain.waiting.erase(at);
    if (row.to == SnapshotPhase::serving) serve(chain, ended);
    if (row.breaks) {
      if (row.from == SnapshotPhase::loading) chain.strays.push_back(identity);
      orphan(chain, index, "its parent " + quoted(identity) + " did not make it", now, step.changed);
      ++chain.generation;
      // A full one that waits behind it is the new ground; else the trainer is asked for one.
      if (index >= chain.waiting.size()) {
        chain.why_full = quoted(identity) + " " + to_string(row.to) + (why.empty() ? "" : ": " + why);
        chain.planned.reset();
      }
    }
  }
  step.chain = std::move(chain);
  return step;
}

ChainStep reset(Chain chain, TimePoint now) {
  ChainStep step;
  for (Snapshot& lost : chain.waiting) {
    lost.phase = transition(lost.phase, SnapshotEvent::orphaned).to;
    lost.since = now;
    lost.reason = "the ledger was reset";
    step.changed.push_back(lost);
  }
  Chain fresh;
  fresh.generation = chain.generation + 1;
  fresh.why_full = "the ledger was reset";
  step.chain = std::move(fresh);
  return step;
}

}  // namespace ebb
