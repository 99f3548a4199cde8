// A world of replicas that hold real chains of weights, and a coordinator's loop around the pure decision.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/core/hotload.hpp"
#include "policies/registry.hpp"
#include "tests/support/weights_report.hpp"

namespace ebb::testing {

/// An engine: what it has applied, and what it is applying.
struct Engine {
  std::vector<Identity> weights;  ///< the full one and those applied on top; empty: base
  bool ready = true;
  int process = 1;
  std::vector<Snapshot> applying;
  TimePoint applied_at{};
  Identity failed;
  bool stubborn = false;  ///< never ends a load
  bool listed = true;
};

struct Rig {
  JobId job{"rl"};
  SnapshotsConfig config;
  std::map<DeploymentId, HotloadCapabilities> fleets;
  std::map<DeploymentId, std::map<ReplicaId, Engine>> world;
  JobWeights state;
  WeightsSeen seen;
  TimePoint now{Duration{1'000'000'000}};
  Duration load_time{3'000};
  int full_every = 25;
  std::vector<LoadOrder> sent;
  std::vector<Snapshot> changed;
  std::vector<LoadNote> notes;
  std::set<DeploymentId> unreadable;
  std::set<Identity> bad;  ///< whoever loads these fails

  explicit Rig(int replicas, bool by_replica = true) {
    config.enabled = true;
    const DeploymentId id("rl@pool");
    fleets[id].by_replica = by_replica;
    for (int i = 0; i < replicas; ++i) add(id, "r" + std::to_string(i));
  }

  static DeploymentId deployment() { return DeploymentId("rl@pool"); }
  Engine& add(const DeploymentId& id, const std::string& name) { return world[id][ReplicaId(name)]; }
  Engine& engine(const std::string& name) { return world[deployment()].at(ReplicaId(name)); }
  const ReplicaWeights& replica(const std::string& name) {
    return state.deployments[deployment()].replicas.at(ReplicaId(name));
  }

  void poll() {
    seen.polls.clear();
    for (const auto& [id, fleet] : fleets) {
      if (unreadable.contains(id)) {
        seen.polls[id] = Missing{"unreadable", now};
        continue;
      }
      HotloadSeen page;
      for (const auto& [name, engine] : world[id]) {
        if (!engine.listed) continue;
        WeightsReport report;
        report.replica = name;
        report.incarnation = std::to_string(engine.process);
        report.ready = engine.ready;
        if (!engine.weights.empty()) report.current = engine.weights.back();
        test::say_loads(report, engine.applying, engine.failed);
        page.replicas.push_back(report);
      }
      seen.polls[id] = Sample<HotloadSeen>{page, now};
    }
  }

  void take(WeightsDraft draft) {
    state = std::move(draft.state);
    changed.insert(changed.end(), draft.changed.begin(), draft.changed.end());
    notes.insert(notes.end(), draft.notes.begin(), draft.notes.end());
  }

  void decide() {
    const WeightsInput in{job, config, fleets, seen, full_every, now};
    take(advance(std::move(state), in));
  }

  /// What the engines do with an order that reached them.
  void apply(const LoadOrder& order) {
    for (const ReplicaId& name : order.replicas) {
      const auto at = world[order.deployment].find(name);
      if (at == world[order.deployment].end()) continue;
      at->second.applying = order.path;
      at->second.applied_at = now + load_time;
      at->second.failed = Identity();
    }
  }

  void work() {
    for (auto& [id, engines] : world) {
      for (auto& [name, engine] : engines) {
        if (engine.applying.empty() || engine.stubborn || now < engine.applied_at) continue;
        for (const Snapshot& snapshot : engine.applying) {
          if (bad.contains(snapshot.identity())) {
            engine.failed = engine.applying.back().identity();
            break;
          }
          if (snapshot.full()) engine.weights.clear();
          engine.weights.push_back(snapshot.identity());
        }
        engine.applying.clear();
      }
    }
  }

  /// Orders that are to go out now; each is accepted at once.
  void send() {
    for (const LoadOrder& order : due()) {
      sent.push_back(order);
      apply(order);
      take(answered(std::move(state), order.deployment, order.id, LoadEvent::accepted, "", config, now));
    }
  }
  std::vector<LoadOrder> due() {
    const WeightsInput in{job, config, fleets, seen, full_every, now};
    return to_send(state, in);
  }

  void pass() {
    work();
    poll();
    decide();
    send();
    now += config.poll_interval;
  }
  void passes(int count) {
    for (int i = 0; i < count; ++i) pass();
  }

  /// Publishes; verified at once.
  Result<ChainStep> publish(const std::string& name, const std::string& parent = "", bool verified = true) {
    Publication said;
    said.identity = Identity(name);
    said.parent = Identity(parent);
    said.kind = parent.empty() ? SnapshotKind::full : SnapshotKind::incremental;
    ChainRules rules = chain_rules(config, {fleets.begin()->second});
    rules.why_full = full_wanted(state, fleets, config, now);
    Result<ChainStep> step = published(state.chain, said, {}, rules, now);
    if (!step.ok()) return step;
    state.chain = step->chain;
    state.measures = measured_publication(state.measures, now);
    if (verified) state.chain = after(std::move(state.chain), said.identity, SnapshotEvent::verified, "", now).chain;
    return step;
  }

  std::string phase_of(const std::string& name) const {
    for (auto at = changed.rbegin(); at != changed.rend(); ++at) {
      if (at->identity().value == name) return to_string(at->phase);
    }
    return "";
  }

  /// Publishes a full snapshot and lets everybody load it.
  void serve(const std::string& identity) {
    pass();
    ASSERT_TRUE(publish(identity).ok());
    passes(6);
  }
  /// The load of `identity` under way on this replica ends in an error.
  void fail(const std::string& name, const std::string& identity) {
    engine(name).applying.clear();
    engine(name).failed = Identity(identity);
    pass();
  }
};

/// Identities in the order in which they are loaded.
inline std::vector<std::string> path_of(const LoadOrder& order) {
  std::vector<std::string> out;
  for (const Snapshot& snapshot : order.path) out.push_back(snapshot.identity().value);
  return out;
}
using Names = std::vector<std::string>;

}  // namespace ebb::testing
