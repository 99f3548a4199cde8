// What must survive a restart. A fold over the ledger gives it back (core/reduce).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/model/ids.hpp"
#include "daemon/model/time.hpp"
#include "daemon/model/units.hpp"

namespace ebb {

/// The life of a slot in use; the diagram and the table stand in core/lease_table.hpp.
enum class LeasePhase { starting, syncing, serving, draining, lost, released };

/// A slot that a replica we started (or adopted) holds: lent to a job, or used by a service whose owner is Ebb.
struct Lease {
  DeploymentId deployment;
  LeasePhase phase = LeasePhase::starting;
  TimePoint since{};           ///< entered the phase
  TimePoint asked_at{};        ///< when its start was decided
  TimePoint drain_deadline{};  ///< draining only
  TimePoint said_at{};         ///< when it was last told to leave
  Gpus gpus;
  bool evicted = false;                ///< the drain has turned hard
  bool seen = false;                   ///< the fleet has shown it at least once
  std::optional<Duration> start_took;  ///< from the decision to start it until it first served; unset until then
  friend bool operator==(const Lease&, const Lease&) = default;
};

/// A policy's memory: a plain value, encoded by the policy itself. At most 8,192 numbers (64 KiB).
struct PolicyMemory {
  int version = 0;
  std::vector<double> numbers;
  friend bool operator==(const PolicyMemory&, const PolicyMemory&) = default;
};

struct DeploymentMemory {
  PolicyMemory policy;
  Replicas last_need;    ///< services: what the last fresh reading asked for
  TimePoint known_at{};  ///< services: when the signals were last fresh
  TimePoint last_grow{};
  TimePoint last_reclaim{};
  int failures = 0;  ///< replicas that ended unasked, in a row
  TimePoint last_failure{};
  friend bool operator==(const DeploymentMemory&, const DeploymentMemory&) = default;
};

/// A capacity seen at a time, for the quiet window: slack is lent once it has lasted.
struct SlackSeen {
  TimePoint at{};
  Gpus slack;
  friend bool operator==(const SlackSeen&, const SlackSeen&) = default;
};

enum class OverrideKind {
  freeze,     ///< no growth, nothing voluntary; reclaims still go
  pin,        ///< the target (a deployment) is held at `replicas`; a reclaim still goes below
  drain_all,  ///< RL leaves the target (a pool, a job, or everything)
};

/// An operator's word. Always with a reason, an owner and an end.
struct Override {
  OverrideId id;
  OverrideKind kind = OverrideKind::freeze;
  std::string target;  ///< pool, job or deployment id; empty is everything
  Replicas replicas;   ///< pin only
  std::string reason;
  std::string owner;
  TimePoint created_at{};
  TimePoint expires_at{};
  friend bool operator==(const Override&, const Override&) = default;
};

/// What a job said it can use (`PUT /v1/jobs/{job}/demand`). Lapses; then the job's configured default holds.
struct Demand {
  std::optional<double> replicas;
  std::optional<double> rollouts;  ///< divided by the job's rollouts_per_replica
  TimePoint set_at{};
  TimePoint expires_at{};
  friend bool operator==(const Demand&, const Demand&) = default;
};

struct State {
  std::uint64_t tick = 0;  ///< of the last recorded decision
  TimePoint started_at{};  ///< of this run of the daemon; growth waits for one full window after it
  std::map<ReplicaId, Lease> leases;
  std::map<DeploymentId, DeploymentMemory> deployments;
  std::map<PoolId, std::vector<SlackSeen>> slack;  ///< monotone window: ascending slack, oldest first
  std::map<PoolId, PolicyMemory> growth;           ///< of the pools' growth policies
  std::map<OverrideId, Override> overrides;
  std::map<JobId, Demand> demand;
  friend bool operator==(const State&, const State&) = default;
};

/// "starting", "freeze", ... as in JSON.
const char* to_string(LeasePhase phase);
const char* to_string(OverrideKind kind);

}  // namespace ebb
