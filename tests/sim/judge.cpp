#include "tests/sim/judge.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "tests/sim/sim_ledger.hpp"

namespace ebb::sim {
namespace {

// Ticks after which an order must have been given: one to see, one to say it again, and some for the run's faults.
constexpr int kGraceTicks = 5;

// An order that was not followed is given again at the latest after this.
constexpr Duration kJustNow{10'000};

bool is_rl(const Action& action) { return action.deployment == DeploymentId("rl@pool"); }

int rl_starts(const Decision& decision) {
  int n = 0;
  for (const Action& action : decision.plan.actions) {
    if (action.kind == ActionKind::start && is_rl(action)) n += static_cast<int>(action.replicas.size());
  }
  return n;
}

bool is_active(ReplicaPhase phase) {
  return phase == ReplicaPhase::starting || phase == ReplicaPhase::ready || phase == ReplicaPhase::unhealthy;
}

const WorkloadSeen* workload(const Observation& seen, const char* id) {
  const auto found = seen.workloads.find(DeploymentId(id));
  return found == seen.workloads.end() ? nullptr : &found->second;
}

/// Null: unknown.
const Sample<double>* load_of(const WorkloadSeen* of) {
  if (of == nullptr) return nullptr;
  const auto signal = of->signals.find("in_flight");
  return signal != of->signals.end() ? signal->second.value.sample() : nullptr;
}

/// Replicas of production that so much load needs.
int needed_for(int load) { return std::clamp((load + 7) / 8, 1, 6); }

std::string number(const char* name, int value) { return std::string(" ") + name + "=" + std::to_string(value); }

}  // namespace

void Judge::say(const std::string& what) {
  if (violation_.empty()) violation_ = what;
}

void Judge::daemon_started(TimePoint steady) {
  started_ = steady;
  fleet_was_read_ = false;
  serving_.clear();
  production_short_since_.reset();
  chat_known_at_ = steady;
}

void Judge::overridden(OverrideKind kind, bool set, TimePoint until_wall) {
  auto& word = kind == OverrideKind::freeze ? freeze_until_ : drain_until_;
  word = set ? std::optional(until_wall) : std::nullopt;
}

void Judge::reloaded(int headroom) {
  headroom_ = std::min(headroom_, headroom);
  headroom_next_ = headroom;
}

int Judge::reserve() const {
  int chat = 1;
  if (truth_.chat == ReadFault::none) chat = needed_for(truth_.load);
  if (truth_.chat == ReadFault::partial) chat = needed_for(truth_.load / 2);
  chat = std::max(chat, truth_.held(false));
  const bool external_known = truth_.ext == ReadFault::none || truth_.ext == ReadFault::partial;
  const int external = external_known ? std::max(truth_.ext_wants, truth_.ext_held) : 0;
  return chat + external + headroom_;
}

void Judge::decided(const Observation& seen, const Decision& decision, TimePoint steady) {
  ++decisions_;
  if (spdlog::should_log(spdlog::level::info)) {
    for (const Action& action : decision.plan.actions) {
      std::string names;
      for (const ReplicaId& id : action.replicas) names += " " + id.value;
      spdlog::info("{} plan: {} {} {}:{}", to_iso(steady), to_string(action.kind), action.deployment.value,
                   action.id.value, names);
    }
  }
  judge_growth(seen, decision, steady);
  judge_production(seen, decision, steady);
  judge_reclaim(seen, decision, steady);
  judge_victims(seen, decision);
  serving_.clear();
  for (const auto& [id, lease] : decision.next.leases) {
    if (lease.phase == LeasePhase::serving && lease.deployment == DeploymentId("rl@pool")) serving_.insert(id);
  }
  judge_endings(seen, decision, steady);
  headroom_ = headroom_next_;
  if (!violation_.empty() && story_.empty()) tell(decision);
}

void Judge::tell(const Decision& decision) {
  story_ = "  world:" + number("load", truth_.load) + number("ext_wants", truth_.ext_wants) +
           number("ext_held", truth_.ext_held) + number("chat_held", truth_.held(false)) +
           number("rl_held", truth_.held(true)) + number("fleet_fault", static_cast<int>(truth_.fleet)) +
           number("chat_fault", static_cast<int>(truth_.chat)) + number("ext_fault", static_cast<int>(truth_.ext)) +
           "\n";
  for (const auto& [id, body] : truth_.bodies) story_ += "  " + id.value + " " + to_string(body.phase) + "\n";
  for (const Step& step : decision.why) story_ += "  " + to_sentence(step) + "\n";
}

void Judge::observed(const Observation& seen, const Truth& truth, TimePoint steady) {
  truth_ = truth;
  // A read that was late the round before is still awaited: then the daemon does not know although nothing is wrong.
  const auto heard = [](ReadFault& fault, bool known) {
    if (fault == ReadFault::none && !known) fault = ReadFault::slow;
  };
  const WorkloadSeen* ext = workload(seen, "ext@pool");
  const Sample<double>* chat = load_of(workload(seen, "chat@pool"));
  heard(truth_.fleet, seen.fleets.begin()->second.known());
  heard(truth_.chat, chat != nullptr);
  heard(truth_.ext, load_of(ext) != nullptr);
  // What was read at once, while another read kept the round waiting, is of that moment.
  const auto earlier = [&](const auto* sample) {
    return sample != nullptr && sample->taken_at < seen.at && seen.at - sample->taken_at <= config_.stale_after;
  };
  if (truth_.chat == ReadFault::none && earlier(chat)) truth_.load = static_cast<int>(chat->value);
  if (truth_.ext == ReadFault::none && ext != nullptr && earlier(ext->asked.sample()) && earlier(ext->held.sample())) {
    truth_.ext_wants = ext->asked.value().count;
    truth_.ext_held = ext->held.value().count;
  }
  const Sample<FleetSeen>* fleet = seen.fleets.begin()->second.sample();
  if (truth_.fleet == ReadFault::none && earlier(fleet)) {
    std::map<ReplicaId, ReplicaPhase> shown;
    for (const ReplicaSeen& replica : fleet->value.replicas) shown[replica.id] = replica.phase;
    std::erase_if(truth_.bodies, [&](const auto& entry) { return !shown.contains(entry.first); });
    for (auto& [id, body] : truth_.bodies) body.phase = shown.at(id);
  }
  const bool read = truth_.fleet == ReadFault::none;
  if (read && !fleet_was_read_) fleet_read_since_ = steady;
  fleet_was_read_ = read;
  if (truth_.chat == ReadFault::none) chat_known_at_ = steady;
}

void Judge::judge_growth(const Observation& seen, const Decision& decision, TimePoint steady) {
  int all_starts = 0;
  for (const Action& action : decision.plan.actions) {
    if (action.kind != ActionKind::start) continue;
    all_starts += static_cast<int>(action.replicas.size());
    const auto under_way = truth_.starting.find(action.deployment);
    if (under_way != truth_.starting.end() && under_way->second > 0)
      say("I4: a start of " + action.deployment.value + " while another is not answered");
  }
  const int gpus = config_.pools.front().gpus.count;
  const int held = truth_.held(true) + truth_.held(false) + truth_.ext_held;
  const bool external_known = truth_.ext == ReadFault::none || truth_.ext == ReadFault::partial;
  if (external_known && held + all_starts > gpus)
    say("I3: starts beyond the free GPUs:" + number("held", held) + number("starts", all_starts));
  const int starts = rl_starts(decision);
  if (starts == 0) return;
  if (truth_.fleet != ReadFault::none || truth_.chat != ReadFault::none || truth_.ext != ReadFault::none) {
    say("I2: RL grows by " + std::to_string(starts) + " while something is unknown");
  }
  if (truth_.held(true) + starts + reserve() > gpus) {
    say("I1: RL grows into the reserve:" + number("held", truth_.held(true)) + number("starts", starts) +
        number("reserve", reserve()));
  }
  if (steady - started_ < config_.warm_up) say("RL grows while the daemon warms up");
  if (starts > config_.jobs.front().grow_step.count) say("RL grows by " + std::to_string(starts) + " at once");
  if (freeze_until_ && seen.at < *freeze_until_) say("RL grows while it is frozen");
  if (drain_until_ && seen.at < *drain_until_) say("RL grows while it is drained");
}

void Judge::judge_production(const Observation& seen, const Decision& decision, TimePoint steady) {
  const DeploymentId chat("chat@pool");
  if (truth_.fleet != ReadFault::none) return;
  const Sample<double>* load = load_of(workload(seen, "chat@pool"));
  const bool partly = truth_.chat == ReadFault::partial;
  const bool known =
      load != nullptr && !partly && truth_.chat != ReadFault::lying && seen.at - load->taken_at <= config_.stale_after;
  int leaving = 0, started = 0;
  for (const Action& action : decision.plan.actions) {
    if (action.deployment != chat) continue;
    if (action.kind == ActionKind::start) {
      started += static_cast<int>(action.replicas.size());
      continue;
    }
    for (const ReplicaId& id : action.replicas) {
      const auto body = truth_.bodies.find(id);
      const bool serves = body != truth_.bodies.end() && body->second.phase == ReplicaPhase::ready;
      leaving += serves && !told_.contains(id) ? 1 : 0;
    }
  }
  int active = 0;
  for (const auto& [id, body] : truth_.bodies) active += !body.rl && is_active(body.phase) ? 1 : 0;
  // What is beyond its bounds is not its load's.
  const bool beyond = active - leaving >= config_.services.front().deployments.front().max.count;
  if (leaving > 0 && !known && !beyond)
    say("production is drained by " + std::to_string(leaving) + " while its load is unknown");
  const int need = known ? needed_for(static_cast<int>(load->value)) : 0;
  if (leaving > 0 && active - leaving < need)
    say("production is drained below its need:" + number("active", active) + number("leaving", leaving) +
        number("need", need));
  const auto under_way = truth_.starting.find(chat);
  if (under_way != truth_.starting.end() && under_way->second > 0) return;
  // What a full disk did not take is not done.
  for (const Step& step : decision.why) {
    if (step.rule == "check.cut" && to_sentence(step).find("I9") != std::string::npos) return;
  }
  const int free = config_.pools.front().gpus.count - truth_.held(true) - truth_.held(false) - truth_.ext_held;
  const bool lacks =
      known && truth_.chat == ReadFault::none && truth_.ext == ReadFault::none && active < need && free > 0;
  if (!lacks || started > 0) return production_short_since_.reset();
  if (!production_short_since_) production_short_since_ = steady;
  if (steady - *production_short_since_ > kGraceTicks * config_.tick)
    say("production is not started:" + number("active", active) + number("need", need) + number("free", free));
}

void Judge::judge_reclaim(const Observation& seen, const Decision& decision, TimePoint steady) {
  if (truth_.fleet != ReadFault::none) return;
  std::set<ReplicaId> leaving;
  for (const Action& action : decision.plan.actions) {
    if (action.kind != ActionKind::start) leaving.insert(action.replicas.begin(), action.replicas.end());
  }
  int active = 0, told = 0;
  for (const auto& [id, body] : truth_.bodies) {
    if (!body.rl || !is_active(body.phase)) continue;
    ++active;
    // An order of a moment ago is not repeated yet; its call may be under way.
    const auto last = last_told_.find(id);
    told += leaving.contains(id) || (last != last_told_.end() && steady - last->second <= kJustNow) ? 1 : 0;
  }
  int room = config_.pools.front().gpus.count - reserve();
  const ServiceConfig& chat = config_.services.front();
  if (steady - chat_known_at_ > chat.blind_after + 2 * config_.tick)
    room = std::min(room, config_.pools.front().gpus.count - chat.deployments.front().max.count);
  if (drain_until_ && seen.at < *drain_until_) room = 0;
  if (active - told > std::max(room, 0)) {
    say("I1: a reclaim is missing:" + number("active", active) + number("told", told) + number("room", room));
  }
}

void Judge::judge_victims(const Observation& seen, const Decision& decision) {
  const auto said = seen.loads.find(DeploymentId("rl@pool"));
  if (said == seen.loads.end() || truth_.fleet != ReadFault::none) return;
  const Sample<ReplicaLoads>* loads = said->second.sample();
  const bool fresh = loads != nullptr && decision.at - loads->taken_at <= config_.stale_after;
  std::set<ReplicaId> chosen;
  for (const Action& action : decision.plan.actions) {
    if (action.kind != ActionKind::start) chosen.insert(action.replicas.begin(), action.replicas.end());
  }
  // Of those that serve; unknown is more than anything known.
  using Works = std::pair<double, ReplicaId>;
  std::optional<Works> most, least;  // of who leaves, of who stays
  for (const auto& [id, body] : truth_.bodies) {
    // Who was told before is on its way, whatever the world still shows; who does not serve yet leaves before the rest.
    if (body.phase != ReplicaPhase::ready || !serving_.contains(id) || told_.contains(id)) continue;
    const bool known = fresh && loads->value.contains(id);
    const Works works{known ? loads->value.at(id) : std::numeric_limits<double>::infinity(), id};
    if (chosen.contains(id)) {
      if (!most || most->first < works.first) most = works;
    } else if (!least || works.first < least->first) {
      least = works;
    }
  }
  if (most && least) ++(fresh ? chosen_by_loads_ : chosen_blindly_);
  if (most && least && least->first < most->first)
    say("least_lost: " + most->second.value + " leaves and " + least->second.value + " stays");
  for (const Step& step : decision.why) {
    if (step.rule == "leases.victim_working" && !fresh) say("least_lost: looks at what nobody says");
  }
}

void Judge::judge_endings(const Observation& seen, const Decision& decision, TimePoint steady) {
  std::map<ReplicaId, ReplicaPhase> shown;
  for (const auto& [name, fleet] : seen.fleets) {
    if (!fleet.known()) continue;
    for (const ReplicaSeen& replica : fleet.value().replicas) shown[replica.id] = replica.phase;
  }
  for (const Action& action : decision.plan.actions) {
    if (action.kind == ActionKind::start) continue;
    for (const ReplicaId& id : action.replicas) {
      const auto found = shown.find(id);
      if (action.kind == ActionKind::drain && found != shown.end() && found->second == ReplicaPhase::draining)
        say("a replica that is leaving is chosen again: " + id.value);
      told_.try_emplace(id, steady);
      last_told_[id] = steady;
      if (action.kind == ActionKind::evict) evicted_.try_emplace(id, steady);
    }
  }
  // Only where the daemon could see and speak for long enough.
  const TimePoint since = std::max(started_, fleet_read_since_);
  const Duration grace = kGraceTicks * config_.tick;
  for (const auto& [id, phase] : shown) {
    if (phase != ReplicaPhase::starting) starting_since_.erase(id);
    if (phase == ReplicaPhase::starting) {
      const TimePoint from = std::max(starting_since_.try_emplace(id, steady).first->second, since);
      const Duration most = config_.jobs.front().deployments.front().start_timeout + grace;
      if (steady - from > most && !told_.contains(id)) say("a replica that does not become ready is kept: " + id.value);
    } else if (phase == ReplicaPhase::draining) {
      const TimePoint from = std::max(told_.try_emplace(id, steady).first->second, since);
      const Duration most = config_.jobs.front().deployments.front().drain_timeout + grace;
      if (steady - from > most && !evicted_.contains(id)) say("a drain does not turn hard: " + id.value);
    } else if (phase == ReplicaPhase::gone) {
      told_.erase(id);
      last_told_.erase(id);
      evicted_.erase(id);
    }
  }
}

void Judge::start_arrived(const Action& action, const ReplicaId& id, bool used, bool exists_in_view) {
  if (!ledger->confirmed().contains(action.id)) say("I9: done before it was recorded: " + action.id.value);
  if (exists_in_view) say("I4: a start of a replica that exists: " + id.value);
  if (used && !exists_in_view) say("I4: a name is used twice: " + id.value);
}

void Judge::lease_lapsed(const ReplicaId& id, TimePoint steady) {
  const TimePoint since = std::max(started_, fleet_read_since_);
  const Duration most = config_.fleets.front().lease_ttl + kGraceTicks * config_.tick;
  if (fleet_was_read_ && steady - since > most && !told_.contains(id))
    say("I11: a lease lapsed under a daemon that lives: " + id.value);
}

void Judge::renewed(const ReplicaId& id, const Truth& now, TimePoint steady) {
  const auto told = told_.find(id);
  const auto body = now.bodies.find(id);
  const bool leaves = body != now.bodies.end() && body->second.phase == ReplicaPhase::draining;
  if (leaves && told != told_.end() && steady - told->second > 2 * config_.tick)
    say("I11: the lease of a replica that is leaving is renewed: " + id.value);
}

}  // namespace ebb::sim
