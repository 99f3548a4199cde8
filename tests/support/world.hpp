// A fleet as values: replicas with start-up, drain and crashes, advanced tick by tick. Not a fake of the adapters but
// the physics they report on; the decision runs against it as it would against processes.
#pragma once

#include <map>
#include <random>
#include <string>

#include "tests/support/builders.hpp"

namespace ebb::testing {

class World {
 public:
  struct Body {
    DeploymentId deployment;
    ReplicaPhase phase = ReplicaPhase::starting;
    TimePoint since, started_at, ready_at, gone_at;
    Gpus gpus;
    bool failed = false;
    bool stubborn = false;  ///< ignores a drain; only an eviction ends it
  };

  Duration startup{10'000};
  Duration drain{5'000};

  /// Idempotent by name, as the port demands.
  void apply(const Plan& plan, TimePoint now) {
    for (const Action& action : plan.actions) {
      for (const ReplicaId& id : action.replicas) apply_one(action, id, now);
    }
  }

  void advance(TimePoint now) {
    for (auto& [id, body] : bodies_) {
      if (body.phase == ReplicaPhase::starting && now >= body.ready_at) enter(body, ReplicaPhase::ready, now);
      if (body.phase == ReplicaPhase::draining && now >= body.gone_at) enter(body, ReplicaPhase::gone, now);
    }
  }

  void crash(const ReplicaId& id, TimePoint now) {
    Body& body = bodies_.at(id);
    if (body.phase == ReplicaPhase::gone) return;
    enter(body, ReplicaPhase::gone, now);
    body.failed = true;
  }

  void forget_gone(const State& state) {
    std::erase_if(bodies_, [&](const auto& b) {
      return b.second.phase == ReplicaPhase::gone && !state.leases.contains(b.first);
    });
  }

  [[nodiscard]] FleetSeen view() const {
    FleetSeen out;
    for (const auto& [id, body] : bodies_) {
      ReplicaSeen seen;
      seen.id = id;
      seen.deployment = body.deployment;
      seen.phase = body.phase;
      seen.since = body.since;
      seen.started_at = body.started_at;
      seen.gpus = body.gpus;
      seen.failed = body.failed;
      out.replicas.push_back(seen);
    }
    return out;
  }

  [[nodiscard]] int count(const DeploymentId& of, bool ready_only) const {
    int n = 0;
    for (const auto& [id, body] : bodies_) {
      if (body.deployment == of && body.phase != ReplicaPhase::gone)
        n += !ready_only || body.phase == ReplicaPhase::ready;
    }
    return n;
  }

  [[nodiscard]] Gpus held() const {
    Gpus sum;
    for (const auto& [id, body] : bodies_) {
      if (body.phase != ReplicaPhase::gone) sum += body.gpus;
    }
    return sum;
  }

  [[nodiscard]] std::map<ReplicaId, Body>& bodies() { return bodies_; }

 private:
  static void enter(Body& body, ReplicaPhase phase, TimePoint now) {
    body.phase = phase;
    body.since = now;
  }

  void apply_one(const Action& action, const ReplicaId& id, TimePoint now) {
    const auto found = bodies_.find(id);
    if (action.kind == ActionKind::start) {
      if (found != bodies_.end()) return;
      Body body;
      body.deployment = action.deployment;
      body.gpus = action.gpus_each;
      body.since = body.started_at = now;
      body.ready_at = now + startup;
      bodies_[id] = body;
      return;
    }
    if (found == bodies_.end() || found->second.phase == ReplicaPhase::gone) return;
    Body& body = found->second;
    const bool evict = action.kind == ActionKind::evict;
    const TimePoint gone_at = evict ? now : body.stubborn ? TimePoint::max() : now + drain;
    if (body.phase != ReplicaPhase::draining) {
      enter(body, ReplicaPhase::draining, now);
      body.gone_at = gone_at;
    } else if (evict) {
      body.gone_at = gone_at;
    }
  }

  std::map<ReplicaId, Body> bodies_;
};

/// The observation a perfect observer would make of this world.
inline Observation observe(const World& world, double in_flight, TimePoint now, bool metrics = true) {
  Observation seen;
  seen.at = now;
  seen.fleets[kFleet] = Sample<FleetSeen>{world.view(), now};
  WorkloadSeen& chat = seen.workloads[kChat];
  if (metrics)
    chat.signals["in_flight"].value = Sample<double>{in_flight, now};
  else
    chat.signals["in_flight"].value = Missing{"scrape timed out", now};
  return seen;
}

}  // namespace ebb::testing
