#include "daemon/api/weights_view.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "daemon/core/hotload.hpp"

namespace ebb {
namespace {

using nlohmann::json;

json text_or_null(const std::string& text) { return text.empty() ? json() : json(text); }

json replica_view(const DeploymentId& deployment, const ReplicaId& name, const ReplicaWeights& replica, bool serves) {
  json out = json::object();
  out["deployment"] = deployment.value;
  out["replica"] = name.value;
  out["phase"] = to_string(replica.phase);
  out["since"] = to_iso(replica.since);
  out["identity"] = text_or_null(replica.loaded.value);
  out["target"] = text_or_null(replica.target.value);
  out["counted"] = replica.counted;
  out["serves"] = serves;
  out["error"] = replica.error;
  return out;
}

bool has_ended_badly(const Snapshot& snapshot) {
  return snapshot.phase == SnapshotPhase::rejected || snapshot.phase == SnapshotPhase::failed ||
         snapshot.phase == SnapshotPhase::dropped;
}

/// A replica in Fireworks' words, with its rank: the lowest stands first.
struct WireReplica {
  int rank = 0;
  json entry;
};

WireReplica wire_replica(const std::string& name, const ReplicaWeights& replica, const Snapshot* newest) {
  json state = json::object();
  state["stage"] = "idle";
  if (replica.phase == WeightsPhase::loading || replica.phase == WeightsPhase::failed) {
    state["stage"] = replica.phase == WeightsPhase::loading ? "downloading" : "error";
    state["target_snapshot_identity"] = replica.target.value;
  }
  // Whoever waits for a snapshot that has failed must see it, also where this replica has nothing to do with it.
  if (newest != nullptr && has_ended_badly(*newest)) {
    state["stage"] = "error";
    state["target_snapshot_identity"] = newest->identity().value;
  }
  WireReplica out;
  const bool current =
      newest != nullptr && replica.loaded == newest->identity() && replica.phase == WeightsPhase::serving;
  out.rank = replica.phase == WeightsPhase::failed ? 0 : current ? 2 : 1;
  out.entry["identity"] = name;
  out.entry["readiness"] = replica.ready && replica.phase != WeightsPhase::failed;
  out.entry["current_snapshot_identity"] = text_or_null(replica.loaded.value);
  out.entry["loading_state"] = std::move(state);
  return out;
}

/// Stands for a job without replicas: at its newest verified snapshot, which whoever starts next will load.
json parked(const Chain& chain, const Snapshot* newest) {
  ReplicaWeights nobody;
  nobody.phase = WeightsPhase::serving;
  nobody.ready = true;
  if (const Snapshot* target = target_of(chain)) nobody.loaded = target->identity();
  return wire_replica("parked", nobody, newest).entry;
}

}  // namespace

json snapshot_view(const JobId& job, const Snapshot& snapshot) {
  json out = json::object();
  out["job"] = job.value;
  out["identity"] = snapshot.identity().value;
  out["kind"] = to_string(snapshot.said.kind);
  out["previous_identity"] = text_or_null(snapshot.said.parent.value);
  out["run"] = snapshot.run;
  out["step"] = snapshot.step;
  out["bytes"] = snapshot.bytes;
  out["phase"] = to_string(snapshot.phase);
  out["ended"] = has_ended(snapshot.phase);
  out["reason"] = snapshot.reason;
  out["published_at"] = to_iso(snapshot.published_at);
  out["since"] = to_iso(snapshot.since);
  return out;
}

json progress_view(const JobId& job, const Snapshot& snapshot, const WeightsView& weights,
                   const SnapshotsConfig& config) {
  json out = snapshot_view(job, snapshot);
  json replicas = json::array();
  int ready = 0, counted = 0;
  for (const auto& [id, deployment] : weights.weights->deployments) {
    const auto fleet = weights.fleets.find(id);
    for (const auto& [name, replica] : deployment.replicas) {
      const bool serves =
          fleet != weights.fleets.end() && may_serve(weights.weights->chain, replica, config, fleet->second);
      ready += replica.loaded == snapshot.identity() && replica.ready ? 1 : 0;
      counted += replica.counted ? 1 : 0;
      replicas.push_back(replica_view(id, name, replica, serves));
    }
  }
  out["ready"] = ready;
  out["counted"] = counted;
  out["replicas"] = std::move(replicas);
  return out;
}

json load_view(const LoadRow& row) {
  json out = json::object();
  out["seq"] = row.seq;
  out["at"] = to_iso(row.note.at);
  out["order"] = text_or_null(row.note.order);
  out["deployment"] = row.note.deployment.value;
  out["replica"] = text_or_null(row.note.replica.value);
  out["identity"] = text_or_null(row.note.identity.value);
  out["what"] = row.note.what;
  out["detail"] = row.note.detail;
  return out;
}

json wire_status_view(const WeightsView& weights, const Snapshot* newest) {
  std::vector<WireReplica> shown;
  const Chain& chain = weights.weights->chain;
  bool all_new = true;
  for (const auto& [id, deployment] : weights.weights->deployments) {
    for (const auto& [name, replica] : deployment.replicas) {
      const bool caught_up = replica.phase == WeightsPhase::serving && versions_behind(chain, replica.loaded);
      // Before anything serves nobody is a newcomer.
      if (!replica.counted && !caught_up && !chain.links.empty()) continue;
      shown.push_back(wire_replica(name.value, replica, newest));
      all_new = false;
    }
  }
  std::stable_sort(shown.begin(), shown.end(), [](const auto& a, const auto& b) { return a.rank < b.rank; });
  json replicas = json::array();
  for (WireReplica& one : shown) replicas.push_back(std::move(one.entry));
  if (all_new) replicas.push_back(parked(chain, newest));
  json out = json::object();
  out["replicas"] = std::move(replicas);
  return out;
}

json wire_ledger_view(const std::vector<SnapshotRow>& snapshots, const std::vector<LoadRow>& loads) {
  json rows = json::array();
  for (const SnapshotRow& row : snapshots) {
    json transitions = json::array();
    for (const LoadRow& load : loads) {
      if (load.note.identity != row.snapshot.identity() || load.note.replica.empty()) continue;
      json one = json::object();
      one["replica"] = load.note.replica.value;
      one["state"] = load.note.what;
      one["time"] = to_iso(load.note.at);
      if (!load.note.detail.empty()) one["error"] = load.note.detail;
      transitions.push_back(std::move(one));
    }
    json out = json::object();
    out["identity"] = row.snapshot.identity().value;
    out["type"] = row.snapshot.full() ? "full" : "delta";
    out["previous_snapshot_identity"] = text_or_null(row.snapshot.said.parent.value);
    out["state"] = to_string(row.snapshot.phase);
    out["error"] = has_ended_badly(row.snapshot) ? json(row.snapshot.reason) : json();
    out["create_time"] = to_iso(row.snapshot.published_at);
    out["replica_transitions"] = std::move(transitions);
    rows.push_back(std::move(out));
  }
  json out = json::object();
  out["rows"] = std::move(rows);
  return out;
}

}  // namespace ebb
