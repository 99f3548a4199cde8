#include "tests/sim/weights_judge.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>

namespace ebb::sim {
namespace {

const JobId kJob("rl");
const FleetId kFleet("fleet");
const DeploymentId kOurs("rl@pool");
constexpr int kMostEver = 30;
// A pause lies between the last look at what is wanted and the signal.
constexpr Duration kPauseTakes{20'000};
constexpr Duration kLookTakes{6'000};
constexpr Duration kLooksApart{180'000};
constexpr Duration kReloadTakes{120'000};
constexpr Duration kPausedMost{15 * 60'000};
constexpr std::size_t kLooksKept = 8;
// Of a replica that has ended, longer than the daemon could believe in it: it does while its page cannot be read.
constexpr Duration kRemembered{24 * 60 * 60'000};

/// A single seed is told step by step, for whoever looks for its fault.
bool tells() { return spdlog::should_log(spdlog::level::info); }

}  // namespace

void WeightsJudge::daemon_started() {
  forget_what_is_over();
  rebase();
  started_ = clock_.steady();
  fleet_read_ = false;
  asked_ = last_;
}

void WeightsJudge::reloaded(const SnapshotsConfig& now) {
  unavailable_before_ = is_reloaded_lately() ? std::max(unavailable_before_, unavailable_) : unavailable_;
  unavailable_ = now.max_unavailable;
  on_policy_ = now.ready_fraction == 1;
  reloaded_ = clock_.steady();
}

bool WeightsJudge::is_reloaded_lately() const { return clock_.steady() - reloaded_ < kReloadTakes; }

void WeightsJudge::forget_what_is_over() {
  std::erase_if(open_, [&](const auto& entry) { return !is_open(entry.first); });
}

void WeightsJudge::rebase() {
  const Duration back = ended_ - clock_.now();
  if (back <= Duration{0}) return;
  for (auto& [order, at] : given_) at -= back;
  for (auto& [id, open] : open_) open.until -= back;
  for (auto& [id, all] : absent_) {
    for (auto& [name, since] : all) since -= back;
  }
}

void WeightsJudge::daemon_ended() {
  forget_what_is_over();
  ended_ = clock_.now();
  believed_ = durable_;
  told_.clear();
  shown_leaving_.clear();
  looks_.clear();
}

// ---------------------------------------------------------------- the ledger

int WeightsJudge::limit() const {
  int most = kMostEver;
  for (const auto& [id, site] : *sites_) {
    if (site.can.incrementals_max > 0) most = std::min(most, site.can.incrementals_max);
  }
  return most;
}

void WeightsJudge::recording(const WeightsRecord& record) {
  for (const LoadNote& note : record.notes) {
    if (!tells()) break;
    spdlog::info("{} weights {} {} {}: {} {} {}", to_iso(clock_.steady()), note.deployment.value, note.replica.value,
                 note.order, note.what, note.identity.value, note.detail);
  }
  // What could not be recorded is said again, when what was shown then may have changed.
  for (const Snapshot& snapshot : record.snapshots) {
    if (believed_.phase_of(snapshot.identity()) != SnapshotPhase::serving) check_ready(snapshot, record.state);
  }
  believed_.enter(record, limit(), [this](const std::string& what) { say(what); });
  check_one_at_a_time(record);
  for (const auto& [id, deployment] : record.state.deployments) {
    const LoadOrder& order = deployment.load.order;
    if (deployment.load.phase != LoadPhase::idle && given_.try_emplace(order.id, clock_.now()).second)
      check_wave(order);
  }
  asked_ = record.state;
}

void WeightsJudge::recorded(const WeightsRecord& record) {
  ++records_;
  durable_.enter(record, limit(), {});
  for (const Snapshot& snapshot : record.snapshots) accepted_ += snapshot.phase == SnapshotPhase::published ? 1 : 0;
  if (last_) {
    for (const Snapshot& waited : last_->chain.waiting) {
      const auto& now = record.state.chain.waiting;
      const bool waits =
          std::any_of(now.begin(), now.end(), [&](const Snapshot& one) { return one.identity() == waited.identity(); });
      if (!waits && !durable_.is_over(waited.identity()))
        say("I9: the snapshot " + waited.identity().value + " is forgotten");
    }
  }
  last_ = record.state;
}

void WeightsJudge::recovered(const std::map<JobId, JobWeights>& found) {
  const auto mine = found.find(kJob);
  if (last_ && (mine == found.end() || mine->second != *last_)) say("I9: confirmed weights are gone from the ledger");
}

// ---------------------------------------------------------------- the engines

void WeightsJudge::looking(const DeploymentId& id) {
  Look look{clock_.steady(), told_, id != kOurs || fleet_read_};
  look.leaving.insert(shown_leaving_.begin(), shown_leaving_.end());
  looks_[id].push_back(std::move(look));
  if (looks_[id].size() > kLooksKept) looks_[id].pop_front();
}

void WeightsJudge::looked(const DeploymentId& id, const HotloadSeen& page) {
  if (looks_[id].empty() || !looks_[id].back().counts) return;
  const TimePoint now = clock_.steady();
  if (now - read_at_[id] > kLooksApart) readable_since_[id] = now;
  read_at_[id] = now;
  std::map<ReplicaId, Shown>& all = shown_[id];
  for (const WeightsReport& report : page.replicas) {
    Shown& shown = all[report.replica];
    if (shown.process != report.incarnation) shown.process_since = now;
    const Identity current = report.current.value_or(Identity());
    if (tells() && (shown.process != report.incarnation || shown.current != current || shown.stage != report.stage))
      spdlog::info("{} shown {} {}: process {}, '{}', stage {} of '{}'", to_iso(now), id.value, report.replica.value,
                   report.incarnation, current.value, static_cast<int>(report.stage), report.target.value);
    shown.process = report.incarnation;
    shown.current = current;
    shown.ready = report.ready;
    shown.stage = report.stage;
    shown.target = report.target;
    shown.at = now;
  }
  // Who was not on the page keeps the time of another one.
  std::map<ReplicaId, TimePoint>& absent = absent_[id];
  std::erase_if(all, [&](const auto& entry) {
    const ReplicaId& name = entry.first;
    if (entry.second.at == now) {
      if (!absent.empty()) absent.erase(name);
      return false;
    }
    absent.try_emplace(name, clock_.now());
    const bool ended = !sites_->at(id).engines.contains(name) && now - entry.second.at > kRemembered;
    if (ended) absent.erase(name);
    return ended;
  });
  close_over(id, page);
}

void WeightsJudge::close_over(const DeploymentId& id, const HotloadSeen& page) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  Open& open = found->second;
  std::erase_if(open.left, [&](const auto& member) {
    const ReplicaId& name = member.first;
    const std::string& process = member.second;
    const auto report = std::find_if(page.replicas.begin(), page.replicas.end(),
                                     [&](const WeightsReport& one) { return one.replica == name; });
    if (report == page.replicas.end()) {
      const auto since = absent_[id].try_emplace(name, clock_.now()).first->second;
      return clock_.now() - since >= job_.snapshots.settle - kLookTakes;
    }
    const bool failed = report->stage == LoadStage::error && report->target == open.target;
    const bool done = report->ready && report->current == open.target && report->stage != LoadStage::loading;
    // Who is told by the daemon itself, and stands idle at something else for so long, is not at it (any more).
    const bool idle = sites_->at(id).can.pauses && report->stage == LoadStage::idle &&
                      clock_.steady() - open.since >= job_.snapshots.settle - kLookTakes;
    return report->incarnation != process || failed || done || idle;
  });
}

void WeightsJudge::close_for_leaving() {
  for (auto& [id, open] : open_) {
    const auto& engines = sites_->at(id).engines;
    std::erase_if(open.left, [&](const auto& member) {
      const auto engine = engines.find(member.first);
      return engine == engines.end() || engine->second.leaves || told_.contains(member.first);
    });
  }
}

bool WeightsJudge::is_open(const DeploymentId& id) const {
  const auto open = open_.find(id);
  return open != open_.end() && !open->second.left.empty() && clock_.now() < open->second.until;
}

/// Who is at it still, and what was shown of it last.
std::string WeightsJudge::story_of(const DeploymentId& id) const {
  std::string out;
  const Open& open = open_.at(id);
  for (const auto& [name, process] : open.left) {
    const Shown& shown = shown_.at(id).at(name);
    out += "; " + name.value + " shows '" + shown.current.value + "' of '" + open.target.value + "', stage " +
           std::to_string(static_cast<int>(shown.stage)) + ", process " + shown.process + " of " + process + ", " +
           to_text(clock_.steady() - shown.at) + " ago";
  }
  return out + ", until in " + to_text(open.until - clock_.now());
}

void WeightsJudge::pausing(const DeploymentId& id, const ReplicaId& name) {
  const auto& engines = sites_->at(id).engines;
  if (const auto engine = engines.find(name); engine != engines.end()) pausing_[name] = engine->second.process;
  const bool known = last_ && last_->deployments.contains(id) && last_->deployments.at(id).paused.contains(name);
  if (!known) say("I9: " + name.value + " is paused, and the ledger does not know it");
}

void WeightsJudge::signalling(const LoadOrder& order) {
  const bool known = last_ && last_->deployments.contains(order.deployment);
  const HotLoad* load = known ? &last_->deployments.at(order.deployment).load : nullptr;
  if (load == nullptr || load->phase != LoadPhase::sending || load->order.id != order.id ||
      load->order.path != order.path)
    say("I9: the order " + order.id + " is signalled, and the ledger does not know it");
}

void WeightsJudge::check_member(const LoadOrder& order, const Site& site, const ReplicaId& name) {
  const std::string what = name.value + " by " + order.id;
  for (const Look& look : looks_[order.deployment]) {
    if (look.at <= clock_.steady() - kPauseTakes && look.leaving.contains(name))
      say("I7: a replica that leaves is told to load: " + what);
  }
  const auto engine = site.engines.find(name);
  const auto shown = shown_[order.deployment].find(name);
  if (shown == shown_[order.deployment].end()) say("I5: a replica that was never seen is told to load: " + what);
  if (engine == site.engines.end() || shown == shown_[order.deployment].end()) return;
  const std::string process = std::to_string(engine->second.process);
  if (site.can.pauses && !engine->second.paused && pausing_[name] == engine->second.process)
    say("weights change under an engine that runs: " + what);
  // What happened since the last look the daemon cannot know.
  if (shown->second.process != process || clock_.steady() - shown->second.process_since < kPauseTakes) return;
  // A vendor's replica that was given up on can be helped by nothing but a further order.
  if (site.can.by_replica && shown->second.stage == LoadStage::loading) say("I7: told to load while it loads: " + what);
  if (!order.path.front().full() && !engine->second.whole && shown->second.stage == LoadStage::error)
    say("I5: an incremental one onto weights that a failed load left: " + what);
  Identity held = shown->second.current;
  for (const Snapshot& snapshot : order.path) {
    if (!snapshot.full() && snapshot.said.parent != held)
      say("I5: " + snapshot.identity().value + " onto '" + held.value + "': " + what);
    held = snapshot.identity();
  }
}

const ReplicaWeights* WeightsJudge::asked_of(const DeploymentId& id, const ReplicaId& name) const {
  if (!asked_ || !asked_->deployments.contains(id)) return nullptr;
  const auto& replicas = asked_->deployments.at(id).replicas;
  const auto replica = replicas.find(name);
  return replica == replicas.end() ? nullptr : &replica->second;
}

void WeightsJudge::check_ready(const Snapshot& snapshot, const JobWeights& state) {
  if (snapshot.phase != SnapshotPhase::serving || !on_policy_ || is_reloaded_lately()) return;
  for (const auto& [id, deployment] : state.deployments) {
    for (const auto& [name, replica] : deployment.replicas) {
      if (!replica.counted) continue;
      const auto shown = shown_[id].find(name);
      if (shown == shown_[id].end() || !shown->second.ready || shown->second.current != snapshot.identity())
        say("ready_fraction: " + snapshot.identity().value + " serves, and " + name.value + " does not show it");
    }
  }
}

void WeightsJudge::check_one_at_a_time(const WeightsRecord& record) {
  if (!asked_) return;
  const auto ends = [](const LoadNote& note) {
    return note.replica.value.empty() && note.what != to_string(LoadPhase::sending) &&
           note.what != to_string(LoadPhase::asking) && note.what != to_string(LoadPhase::loading);
  };
  for (const auto& [id, deployment] : record.state.deployments) {
    const auto before = asked_->deployments.find(id);
    if (before == asked_->deployments.end() || before->second.load.phase == LoadPhase::idle) continue;
    const std::string& old = before->second.load.order.id;
    const std::string& now = deployment.load.order.id;
    if (deployment.load.phase == LoadPhase::idle || now == old) continue;
    const bool is_over = std::any_of(record.notes.begin(), record.notes.end(),
                                     [&](const LoadNote& note) { return note.order == old && ends(note); });
    if (!is_over) say("two orders at once: " + now + " while " + old + " is not over");
  }
}

void WeightsJudge::check_wave(const LoadOrder& order) {
  if (!sites_->at(order.deployment).can.by_replica) return;
  // A pass that began before a reload goes by what was in force then.
  const double share = is_reloaded_lately() ? std::max(unavailable_, unavailable_before_) : unavailable_;
  // Told counts who serves for certain: it was recorded, is still shown, and what it has still counts (a snapshot that
  // failed does not once a full one serves). There counts also who may serve; of those who are remembered many have
  // ended.
  int told = 0, there = 0;
  for (const auto& [name, shown] : shown_[order.deployment]) {
    const ReplicaWeights* recorded = asked_of(order.deployment, name);
    const bool serves = recorded != nullptr && recorded->phase == WeightsPhase::serving && shown.ready &&
                        shown.current == recorded->loaded && shown.stage == LoadStage::idle &&
                        believed_.admissible(recorded->loaded, job_.snapshots.max_versions_behind);
    const bool is_told = std::find(order.replicas.begin(), order.replicas.end(), name) != order.replicas.end();
    told += is_told && serves ? 1 : 0;
    there += recorded != nullptr || shown.at == read_at_[order.deployment] ? 1 : 0;
  }
  if (told > std::max(1, static_cast<int>(std::floor(share * there + 1e-9))))
    say("max_unavailable: " + order.id + " takes " + std::to_string(told) + " of " + std::to_string(there) +
        " replicas that serve");
}

bool WeightsJudge::is_remembered(const LoadOrder& order, const Site& site) const {
  const auto before = signalled_.find(order.id);
  if (before == signalled_.end()) return false;
  return std::any_of(before->second.begin(), before->second.end(), [&](const auto& taker) {
    const auto engine = site.engines.find(taker.first);
    return engine != site.engines.end() && engine->second.process == taker.second && engine->second.lies.empty();
  });
}

void WeightsJudge::arrived(const LoadOrder& order) {
  const Site& site = sites_->at(order.deployment);
  close_for_leaving();
  if (is_remembered(order, site)) say("I9: signalled twice: " + order.id);
  for (const Snapshot& snapshot : order.path) {
    if (!verified_.contains(snapshot.identity())) say("a snapshot that is not whole is signalled: " + order.id);
  }
  if (is_open(order.deployment))
    say("I7: " + order.id + " while " + open_[order.deployment].id + " is not over" + story_of(order.deployment));
  const auto starting = truth_->starting.find(order.deployment);
  if (starting != truth_->starting.end() && starting->second > 0)
    say("I7: " + order.id + " while a start is not answered");
  Open open;
  open.id = order.id;
  open.target = order.target();
  // The same order once more: from its first word on the daemon has waited for somebody to be at it.
  const auto before = open_.find(order.deployment);
  open.since = before != open_.end() && before->second.id == order.id ? before->second.since : clock_.steady();
  open.until = given_[order.id] + job_.snapshots.load_timeout;
  for (const ReplicaId& name : order.replicas) {
    check_member(order, site, name);
    const auto engine = site.engines.find(name);
    if (engine == site.engines.end()) continue;
    open.left[name] = std::to_string(engine->second.process);
    // Once a load of what it held already is over, nothing shows that there was one.
    if (engine->second.held != order.target()) signalled_[order.id][name] = engine->second.process;
  }
  open_[order.deployment] = std::move(open);
}

// ---------------------------------------------------------------- the loop

void WeightsJudge::observed(const Observation& seen) {
  const auto& fleet = seen.fleets.at(kFleet);
  fleet_read_ = fleet.known();
  if (!fleet_read_) return;
  shown_leaving_.clear();
  std::set<ReplicaId> told;
  for (const ReplicaSeen& replica : fleet.value().replicas) {
    if (replica.phase == ReplicaPhase::draining) shown_leaving_.insert(replica.id);
    if (told_.contains(replica.id)) told.insert(replica.id);
  }
  told_ = std::move(told);
}

void WeightsJudge::decided(const Observation& seen, const Decision& decision) {
  close_for_leaving();
  for (const Action& action : decision.plan.actions) {
    if (action.deployment != kOurs) continue;
    if (action.kind != ActionKind::start) {
      told_.insert(action.replicas.begin(), action.replicas.end());
    } else if (is_open(kOurs)) {
      say("I7: growth while " + open_[kOurs].id + " is not over" + story_of(kOurs));
    }
  }
  if (!job_.snapshots.enabled) return;
  // `standing` has judged these.
  const auto known = seen.current.find(kJob);
  int current = 0;
  if (known != seen.current.end()) {
    for (const ReplicaId& name : known->second) current += truth_->bodies.contains(name) ? 1 : 0;
  }
  const auto limit = decision.admission.find(kJob);
  if (limit != decision.admission.end() && limit->second > current * job_.rollouts_per_replica)
    say("I8: room for " + std::to_string(limit->second) + " rollouts on " + std::to_string(current) +
        " replicas with weights");
}

bool WeightsJudge::is_recorded_as_current(const ReplicaId& name) const {
  if (!last_) return false;
  for (const auto& [id, deployment] : last_->deployments) {
    const auto replica = deployment.replicas.find(name);
    if (replica == deployment.replicas.end()) continue;
    const WeightsPhase phase = replica->second.phase;
    return replica->second.ready &&
           (phase == WeightsPhase::serving || phase == WeightsPhase::loading ||
            (phase == WeightsPhase::failed && sites_->at(id).can.keeps_old_on_error)) &&
           durable_.admissible(replica->second.loaded, job_.snapshots.max_versions_behind);
  }
  return false;
}

void WeightsJudge::standing(const std::set<ReplicaId>& current) {
  for (const ReplicaId& name : current) {
    const Shown* shown = nullptr;
    const Engine* engine = nullptr;
    for (const auto& [id, all] : shown_) {
      const auto found = all.find(name);
      if (found == all.end()) continue;
      shown = &found->second;
      const auto there = sites_->at(id).engines.find(name);
      if (there != sites_->at(id).engines.end()) engine = &there->second;
    }
    // Before its first look a life goes by what the last one has recorded.
    if (shown != nullptr && shown->at <= started_ && is_recorded_as_current(name)) continue;
    // It was shown a moment ago, and other deployments have not answered yet.
    if (shown != nullptr && clock_.steady() - shown->at < kLookTakes) continue;
    if (shown == nullptr || !shown->ready ||
        !believed_.admissible(shown->current, job_.snapshots.max_versions_behind)) {
      say("I8: " + name.value + " counts as current with '" + (shown == nullptr ? "" : shown->current.value) + "'");
    } else if (shown->stage == LoadStage::error && engine != nullptr && !engine->whole &&
               shown->target == engine->failed && shown->process == std::to_string(engine->process)) {
      say("I8: " + name.value + " counts as current after a load that broke off");
    }
  }
}

// ---------------------------------------------------------------- the trainer

void WeightsJudge::published(const Publication& said) {
  if (!durable_.phase_of(said.identity)) say("I9: told to be published before it was recorded");
  const auto [at, fresh] = words_.try_emplace(said.identity, said);
  if (!fresh && at->second != said) say("the identity " + said.identity.value + " was taken twice, in other words");
}

void WeightsJudge::pass_minute() {
  const TimePoint now = clock_.steady();
  for (const auto& [id, site] : *sites_) {
    if (now - read_at_[id] > kLooksApart) continue;
    const TimePoint since = std::max(started_, readable_since_[id]);
    for (const auto& [name, engine] : site.engines) {
      if (engine.paused && now - std::max(since, engine.paused_since) > job_.snapshots.load_timeout + kPausedMost)
        say("an engine is left paused: " + name.value);
    }
  }
}

}  // namespace ebb::sim
