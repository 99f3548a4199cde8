// What the stages hand to each other. Each fills its own part and says why.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "daemon/model/decision.hpp"
#include "daemon/model/observation.hpp"

namespace ebb {

/// A deployment with whom it belongs to: exactly one of `service` and `job` is set.
struct Site {
  const DeploymentConfig* deployment = nullptr;
  const ServiceConfig* service = nullptr;
  const JobConfig* job = nullptr;
  [[nodiscard]] const DeploymentId& id() const { return deployment->id; }
  [[nodiscard]] Gpus gpus(Replicas n) const { return n * deployment->gpus_per_replica; }
  /// Ebb starts and ends its replicas.
  [[nodiscard]] bool ours() const { return job != nullptr || service->owner == Owner::ebb; }
};

/// What a tick knows. No stage can change it.
struct Input {
  const Observation& seen;
  const Config& config;
  TimePoint now;
  std::vector<Site> sites;                        ///< services, then jobs, each in order of the config
  std::map<DeploymentId, const Site*> by_id;
  std::map<PoolId, std::vector<const Site*>> by_pool;
};

/// Replicas of a deployment by what they do, after the fleets' word was taken in.
struct Counts {
  Replicas serving, starting, draining, lost;
  [[nodiscard]] Replicas active() const { return serving + starting; }
  /// All that hold GPUs, without the lost ones, which count as unusable.
  [[nodiscard]] Replicas held() const { return serving + starting + draining; }
};

/// A pool's books in this tick.
struct PoolDraft {
  bool blind = false;
  bool reclaiming = false;  ///< RL is above the slack
  Gpus reserve, slack, production, unusable, kept_need;
};

struct Draft {
  State state;
  Explanation why;
  std::vector<Alarm> alarms;
  std::map<DeploymentId, WorkloadSeen> workloads;   ///< freshened
  std::set<FleetId> dark;                           ///< fleets that cannot be read
  std::map<ReplicaId, const ReplicaSeen*> replicas; ///< as the readable fleets show them
  std::map<DeploymentId, Counts> counts;
  std::map<DeploymentId, Replicas> held;            ///< production: every phase, ours or not
  std::map<DeploymentId, Replicas> need;            ///< production
  std::map<DeploymentId, bool> known;               ///< production: the need rests on fresh data
  std::map<PoolId, PoolDraft> pools;
  std::map<DeploymentId, Replicas> target;          ///< what Ebb steers to
  std::vector<Action> drains, evictions;            ///< filled by leases
  std::map<JobId, int> admission;
  Plan plan;

  void say(Stage stage, const char* rule, const std::string& subject,
           std::initializer_list<std::pair<std::string, Arg>> args = {}) {
    why.push_back({stage, rule, subject, {args.begin(), args.end()}});
  }
  void alarm(const char* rule, const std::string& subject) { alarms.push_back({rule, subject}); }
};

inline Arg arg(Replicas n) { return std::int64_t{n.count}; }
inline Arg arg(Gpus n) { return std::int64_t{n.count}; }
inline Arg arg(int n) { return std::int64_t{n}; }

/// The leases counted anew; stages that move leases call it.
Draft recounted(Draft draft);

/// GPUs that RL holds in the pool, leases of every phase but lost; `active_only` leaves out what is draining.
Gpus rl_gpus(const Draft& draft, const Input& in, const PoolId& pool, bool active_only);

/// The live override of this kind for a deployment: its target is everything, the pool, the owner or the deployment.
const Override* override_for(const Draft& draft, const Input& in, const Site& site, OverrideKind kind);

// The ten stages, in order; each has a file of its name.
Draft freshness(Draft draft, const Input& in);
Draft need(Draft draft, const Input& in);
Draft reserve(Draft draft, const Input& in);
Draft allocate(Draft draft, const Input& in);
Draft guardrails(Draft draft, const Input& in);
Draft leases(Draft draft, const Input& in);
Draft snapshots(Draft draft, const Input& in);
Draft admission(Draft draft, const Input& in);
Draft diff(Draft draft, const Input& in);
Draft check(Draft draft, const Input& in);

/// Part of freshness: what the fleets say of each replica moves its lease.
Draft reconcile(Draft draft, const Input& in);

}  // namespace ebb
