#include "daemon/core/hotload.hpp"

#include <algorithm>
#include <cmath>

namespace ebb {
namespace {

// A new value counts for a quarter: a mean over about the last seven.
constexpr double kNewShare = 0.25;

double mean(double old, double seen) { return old <= 0 ? seen : old + kNewShare * (seen - old); }

bool is_of_chain(const Chain& chain, const Identity& identity) {
  return versions_behind(chain, identity).has_value() ||
         (!chain.waiting.empty() && chain.waiting.front().identity() == identity);
}

/// What had become of a replica's order when its report was asked for. Sent: it may have arrived; taken: it has.
enum class Told { no, sent, taken };

/// A page that was asked for before the order was answered tells of what was there before the load.
Told told_before(const HotLoad& load, TimePoint asked_at) {
  if (asked_at <= load.since) return Told::no;
  switch (load.phase) {
    case LoadPhase::asking: return Told::sent;
    case LoadPhase::loading: return Told::taken;
    default: return Told::no;
  }
}

/// The event that the report means for a replica in its phase; nothing: none.
std::optional<WeightsEvent> event_of(const Chain& chain, const ReplicaWeights& replica, const WeightsReport& report,
                                     const HotloadCapabilities& fleet, Told told) {
  if (replica.phase == WeightsPhase::loading) {
    // An error about another target is an old one: the new order has not been picked up yet. One about the same target
    // is old while this order is not out: an earlier one has left it.
    if (told != Told::no && report.stage == LoadStage::error && report.target == replica.target)
      return WeightsEvent::error;
    const bool news = !replica.reload || told == Told::taken;
    if (news && report.ready && holds(report, replica.target, fleet)) return WeightsEvent::current;
    return std::nullopt;
  }
  if (!report.current || !is_of_chain(chain, *report.current)) return WeightsEvent::blank;
  // It may have failed, and been off the list for so long that it was forgotten; or it serves and loaded what the rest
  // of its deployment was told.
  const bool counts = replica.phase == WeightsPhase::unknown || replica.phase == WeightsPhase::serving;
  if (counts && is_in_doubt(report, fleet)) return WeightsEvent::error;
  if (replica.phase == WeightsPhase::base && is_in_doubt(report, fleet)) return std::nullopt;
  if (report.ready) return WeightsEvent::current;
  return std::nullopt;
}

void take_report(WeightsDraft& draft, const WeightsInput& in, const DeploymentId& id, const WeightsReport& report) {
  DeploymentWeights& deployment = draft.state.deployments[id];
  const auto [at, fresh] = deployment.replicas.try_emplace(report.replica);
  ReplicaWeights& replica = at->second;
  if (fresh) {
    replica.since = in.now;
    replica.incarnation = report.incarnation;
    if (!draft.state.chain.links.empty()) ++draft.state.measures.joins;
  }
  if (replica.incarnation != report.incarnation) {
    // Another process that heard the same order is at it like the one before.
    const bool at_it = replica.phase == WeightsPhase::loading && report.stage == LoadStage::loading &&
                       (report.target == replica.target || report.target.empty());
    if (!replica.incarnation.empty() && !report.incarnation.empty() && !at_it) {
      move_weights(draft, id, report.replica, replica, WeightsEvent::restarted, "", in.now);
    }
    if (!report.incarnation.empty()) replica.incarnation = report.incarnation;
  }
  replica.missing_since = {};
  replica.ready = report.ready;
  replica.loaded = report.current.value_or(Identity());
  const Told told = told_before(deployment.load, in.seen.polls.at(id).sample()->taken_at);
  if (const auto event = event_of(draft.state.chain, replica, report, in.fleets.at(id), told)) {
    move_weights(draft, id, report.replica, replica, *event, report.error, in.now);
  }
}

/// Whoever is not listed for a while has ended; at once when it was told to.
void drop_absent(WeightsDraft& draft, const WeightsInput& in, const DeploymentId& id, bool listed) {
  auto& replicas = draft.state.deployments[id].replicas;
  for (auto at = replicas.begin(); at != replicas.end();) {
    ReplicaWeights& replica = at->second;
    const bool leaves = in.seen.leaving.contains(at->first);
    const bool absent = listed && report_of(in, id, at->first) == nullptr;
    if (absent && replica.missing_since == TimePoint{}) replica.missing_since = in.now;
    if (!leaves && !(absent && in.now - replica.missing_since >= in.config.settle)) {
      ++at;
      continue;
    }
    move_weights(draft, id, at->first, replica, WeightsEvent::gone, leaves ? "drained" : "not listed", in.now);
    // An order that is still to be sent, or sent again, goes out without it.
    std::erase(draft.state.deployments[id].load.order.replicas, at->first);
    at = replicas.erase(at);
  }
}

struct Tally {
  int live = 0, counted = 0, serving = 0, failed = 0;
  std::string error;  ///< of the first that failed
};

Tally tally_of(const JobWeights& state, const Identity& target) {
  Tally tally;
  for (const auto& [id, deployment] : state.deployments) {
    for (const auto& [name, replica] : deployment.replicas) {
      ++tally.live;
      if (!replica.counted) continue;
      ++tally.counted;
      tally.serving += replica.phase == WeightsPhase::serving && replica.loaded == target && replica.ready ? 1 : 0;
      if (replica.phase != WeightsPhase::failed) continue;
      ++tally.failed;
      if (tally.error.empty()) tally.error = name.value + ": " + replica.error;
    }
  }
  return tally;
}

/// The fraction is of those that serve when the load begins; where none does, of all.
void count_replicas(JobWeights& state) {
  const auto each = [&state](auto visit) {
    for (auto& [id, deployment] : state.deployments) {
      for (auto& [name, replica] : deployment.replicas) visit(replica);
    }
  };
  bool any = false;
  each([&](ReplicaWeights& replica) {
    replica.counted = replica.phase == WeightsPhase::serving ||
                      (replica.phase == WeightsPhase::loading && versions_behind(state.chain, replica.loaded));
    any = any || replica.counted;
  });
  if (!any) each([](ReplicaWeights& replica) { replica.counted = true; });
}

/// One wave after the other, and each may take the whole time of an order.
Duration front_timeout(const SnapshotsConfig& config) {
  const auto waves = static_cast<int>(std::ceil(1 / std::max(config.max_unavailable, 0.01)));
  return waves * config.load_timeout + config.signal_timeout;
}

/// Empty, or why one of the deployments could not be read: most likely the same why it was not signalled.
std::string unread(const WeightsInput& in) {
  for (const auto& [id, poll] : in.seen.polls) {
    if (!poll.known()) return ": " + id.value + ": " + poll.missing()->why;
  }
  return "";
}

bool all_read(const WeightsInput& in) {
  return std::all_of(in.fleets.begin(), in.fleets.end(), [&](const auto& fleet) {
    const auto poll = in.seen.polls.find(fleet.first);
    return poll != in.seen.polls.end() && poll->second.known();
  });
}

}  // namespace

WeightsDraft reports(WeightsDraft draft, const WeightsInput& in) {
  std::erase_if(draft.state.deployments, [&](const auto& entry) { return !in.fleets.contains(entry.first); });
  for (const auto& [id, fleet] : in.fleets) {
    const auto poll = in.seen.polls.find(id);
    const bool read = poll != in.seen.polls.end() && poll->second.known();
    if (read) {
      draft.state.deployments[id].condition = poll->second.value().condition;
      for (const WeightsReport& report : poll->second.value().replicas) {
        if (!in.seen.leaving.contains(report.replica)) take_report(draft, in, id, report);
      }
    }
    drop_absent(draft, in, id, read);
  }
  return draft;
}

WeightsDraft front(WeightsDraft draft, const WeightsInput& in) {
  if (draft.state.chain.waiting.empty()) return draft;
  const Snapshot first = draft.state.chain.waiting.front();
  const Duration waited = in.now - first.since;
  if (first.phase == SnapshotPhase::published && waited >= in.config.verify_timeout) {
    move_chain(draft, first.identity(), SnapshotEvent::timeout,
               "not whole after " + to_text(waited) + ": " + first.reason, in.now);
  } else if (first.phase == SnapshotPhase::verified) {
    count_replicas(draft.state);
    if (tally_of(draft.state, first.identity()).live == 0 && all_read(in)) {
      move_chain(draft, first.identity(), SnapshotEvent::reached, "there are no replicas", in.now);
    } else if (waited >= front_timeout(in.config)) {
      move_chain(draft, first.identity(), SnapshotEvent::timeout, "no deployment could be signalled" + unread(in),
                 in.now);
    }
  } else if (first.phase == SnapshotPhase::loading) {
    Tally tally = tally_of(draft.state, first.identity());
    if (tally.counted == 0) {
      count_replicas(draft.state);
      tally = tally_of(draft.state, first.identity());
    }
    // 0.9 of 10 are 9, although 0.9 * 10 is a little more than that in binary.
    const int needed = std::max(1, static_cast<int>(std::ceil(in.config.ready_fraction * tally.counted - 1e-9)));
    if (tally.serving >= needed || tally.counted == 0) {
      move_chain(draft, first.identity(), SnapshotEvent::reached, "", in.now);
    } else if (tally.counted - tally.failed < needed) {
      move_chain(draft, first.identity(), SnapshotEvent::failed, tally.error, in.now);
    } else if (waited >= front_timeout(in.config)) {
      move_chain(
          draft, first.identity(), SnapshotEvent::timeout,
          std::to_string(tally.serving) + " of " + std::to_string(tally.counted) + " replicas after " + to_text(waited),
          in.now);
    }
  }
  return draft;
}

WeightsDraft advance(JobWeights state, const WeightsInput& in) {
  WeightsDraft draft;
  draft.state = std::move(state);
  draft = reports(std::move(draft), in);
  draft = loads(std::move(draft), in);
  draft = front(std::move(draft), in);
  return orders(std::move(draft), in);
}

WeightsDraft reset(JobWeights state, TimePoint now) {
  WeightsDraft draft;
  draft.state = std::move(state);
  ChainStep step = reset(std::move(draft.state.chain), now);
  draft.state.chain = std::move(step.chain);
  draft.changed = std::move(step.changed);
  for (auto& [id, deployment] : draft.state.deployments) {
    for (auto& [name, replica] : deployment.replicas) {
      move_weights(draft, id, name, replica, WeightsEvent::reset, "the ledger was reset", now);
    }
  }
  return draft;
}

WeightsMeasures measured_publication(WeightsMeasures measures, TimePoint now) {
  if (measures.last_published != TimePoint{}) {
    const auto ms = static_cast<double>((now - measures.last_published).count());
    measures.publish_interval_s = mean(measures.publish_interval_s, ms / 1'000);
    // Nobody joined is a measurement too, so this mean begins at zero.
    measures.joins_per_snapshot += kNewShare * (measures.joins - measures.joins_per_snapshot);
  }
  measures.joins = 0;
  measures.last_published = now;
  return measures;
}

WeightsMeasures measured_size(WeightsMeasures measures, SnapshotKind kind, std::int64_t bytes) {
  double& size = kind == SnapshotKind::full ? measures.full_bytes : measures.incremental_bytes;
  if (bytes > 0) size = mean(size, static_cast<double>(bytes));
  return measures;
}

bool may_serve(const Chain& chain, const ReplicaWeights& replica, const SnapshotsConfig& config,
               const HotloadCapabilities& fleet) {
  // A replica that swaps in the background serves its old weights until it reports the new ones; one that has failed
  // before may have none that are whole.
  const bool swaps = replica.phase == WeightsPhase::loading && (replica.failures == 0 || fleet.keeps_old_on_error);
  const bool whole = replica.phase == WeightsPhase::serving || swaps ||
                     (replica.phase == WeightsPhase::failed && fleet.keeps_old_on_error);
  const std::optional<int> behind = versions_behind(chain, replica.loaded);
  return whole && replica.ready && behind && *behind <= config.max_versions_behind;
}

bool is_stuck(const ReplicaWeights& replica, const SnapshotsConfig& config, TimePoint from, TimePoint now) {
  if (replica.phase == WeightsPhase::serving || replica.phase == WeightsPhase::loading) return false;
  return replica.phase == WeightsPhase::failed || now - std::max(from, replica.since) >= config.catch_up_timeout;
}

std::string full_wanted(const JobWeights& state, const std::map<DeploymentId, HotloadCapabilities>& fleets,
                        const SnapshotsConfig& config, TimePoint now) {
  for (const auto& [id, fleet] : fleets) {
    const auto deployment = state.deployments.find(id);
    if (fleet.by_replica || deployment == state.deployments.end()) continue;
    for (const auto& [name, replica] : deployment->second.replicas) {
      if (!is_stuck(replica, config, replica.since, now)) continue;
      if (replica.phase == WeightsPhase::failed) return name.value + " failed, and only a full snapshot mends it";
      return name.value + " was not brought up to date within " + to_text(config.catch_up_timeout);
    }
  }
  return {};
}

std::set<Identity> needed(const JobWeights& state) {
  std::set<Identity> out;
  const auto keep = [&out](const std::vector<Snapshot>& all) {
    for (const Snapshot& one : all) out.insert(one.identity());
  };
  keep(state.chain.links);
  keep(state.chain.waiting);
  for (const auto& [id, deployment] : state.deployments) keep(deployment.load.order.path);
  return out;
}

bool is_loading(const DeploymentWeights& deployment) { return deployment.load.phase != LoadPhase::idle; }

Duration retry_pause(int failures, const SnapshotsConfig& config) {
  Duration pause = config.retry_first;
  for (int i = 1; i < failures && pause < config.retry_max; ++i) pause *= 2;
  return std::min(pause, config.retry_max);
}

void move_weights(WeightsDraft& draft, const DeploymentId& deployment, const ReplicaId& id, ReplicaWeights& replica,
                  WeightsEvent event, const std::string& detail, TimePoint now) {
  const WeightsPhase to = transition(replica.phase, event).to;
  if (to == replica.phase) return;
  replica.phase = to;
  replica.since = now;
  // A refused order leaves the old weights serving; that does not make the refusal undone.
  if (to == WeightsPhase::serving && replica.loaded == replica.target) replica.failures = 0;
  if (to == WeightsPhase::failed) ++replica.failures;
  // What begins anew is a newcomer: nothing waits for it.
  if (to == WeightsPhase::unknown || to == WeightsPhase::base) replica.counted = false;
  replica.error = to == WeightsPhase::failed ? detail : "";
  const Identity& about = to == WeightsPhase::serving ? replica.loaded : replica.target;
  const HotLoad& load = draft.state.deployments[deployment].load;
  const bool ordered =
      load.phase != LoadPhase::idle && std::binary_search(load.order.replicas.begin(), load.order.replicas.end(), id);
  draft.notes.push_back({now, ordered ? load.order.id : "", deployment, id, about, to_string(to), detail});
}

void move_load(WeightsDraft& draft, const DeploymentId& deployment, HotLoad& load, LoadEvent event,
               const std::string& detail, TimePoint now) {
  const LoadPhase to = transition(load.phase, event).to;
  if (to == load.phase) return;
  static constexpr const char* kEndings[] = {"ordered", "accepted", "put off", "refused", "unanswered", "seen",
                                             "unseen",  "reached",  "failed",  "timeout", "emptied"};
  const char* what = to == LoadPhase::idle ? kEndings[static_cast<std::size_t>(event)] : to_string(to);
  draft.notes.push_back({now, load.order.id, deployment, {}, load.order.target(), what, detail});
  load.phase = to;
  load.since = now;
  load.problem = detail;
  if (to == LoadPhase::idle) load = HotLoad{};
}

void move_chain(WeightsDraft& draft, const Identity& identity, SnapshotEvent event, const std::string& why,
                TimePoint now) {
  ChainStep step = after(std::move(draft.state.chain), identity, event, why, now);
  draft.state.chain = std::move(step.chain);
  for (Snapshot& snapshot : step.changed) {
    draft.why.push_back({Stage::snapshots,
                         "snapshots.phase",
                         snapshot.identity().value,
                         {{"phase", std::string(to_string(snapshot.phase))}, {"why", snapshot.reason}}});
    draft.changed.push_back(std::move(snapshot));
  }
}

bool is_in_doubt(const WeightsReport& report, const HotloadCapabilities& fleet) {
  return report.stage == LoadStage::error && !fleet.keeps_old_on_error;
}

bool holds(const WeightsReport& report, const Identity& target, const HotloadCapabilities& fleet) {
  return report.current == target && report.stage != LoadStage::loading && !is_in_doubt(report, fleet);
}

const WeightsReport* report_of(const WeightsInput& in, const DeploymentId& deployment, const ReplicaId& id) {
  const auto poll = in.seen.polls.find(deployment);
  if (poll == in.seen.polls.end() || !poll->second.known()) return nullptr;
  const auto& all = poll->second.value().replicas;
  const auto at = std::lower_bound(all.begin(), all.end(), id, [](const WeightsReport& report, const ReplicaId& name) {
    return report.replica < name;
  });
  return at != all.end() && at->replica == id ? &*at : nullptr;
}

}  // namespace ebb
