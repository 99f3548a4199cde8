// What the stages hand to each other. Each fills its own part and says why.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
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
  std::size_t index = 0;  ///< of this site in Input::sites and Draft::sites
  std::size_t pool = 0;   ///< index of its pool in Input::pools and Draft::pools
  [[nodiscard]] const DeploymentId& id() const { return deployment->id; }
  /// Of replicas that are started now.
  [[nodiscard]] Gpus gpus(Replicas n) const { return n * deployment->gpus_per_replica; }
  /// Ebb starts and ends its replicas.
  [[nodiscard]] bool ours() const { return service == nullptr || service->owner == Owner::ebb; }
};

struct Pool {
  const PoolConfig* config = nullptr;
  std::size_t index = 0;
  std::vector<const Site*> sites;  ///< services first, then jobs
};

/// What a tick knows. No stage can change it. Ten thousand replicas are looked at in 5 ms, so what a stage needs of its
/// deployments and pools is reached by index, and names are compared once, here and in reconcile.
struct Input {
  const Observation& seen;
  const Config& config;
  TimePoint now;
  std::vector<Site> sites;                          ///< services, then jobs, each in order of the config
  std::vector<Pool> pools;                          ///< in order of the config
  std::map<std::string_view, const Site*> by_id{};  ///< keys live in the config

  /// Null for a deployment that is not configured.
  [[nodiscard]] const Site* site_of(const DeploymentId& id) const {
    const auto found = by_id.find(id.value);
    return found == by_id.end() ? nullptr : found->second;
  }
};

/// Replicas of a deployment by what they do, after the fleets' word was taken in.
struct Counts {
  Replicas serving, starting, draining, lost;
  /// What they were started with: replicas from before a change of gpus_per_replica hold what they hold.
  Gpus active_gpus, draining_gpus, lost_gpus;
  [[nodiscard]] Replicas active() const { return serving + starting; }
  /// All that hold GPUs, without the lost ones, which count as unusable.
  [[nodiscard]] Replicas held() const { return serving + starting + draining; }
  [[nodiscard]] Gpus held_gpus() const { return active_gpus + draining_gpus; }
};

/// A lease of a deployment, and its replica as the fleet shows it (null: not shown, or the fleet is dark).
struct LeaseRef {
  const ReplicaId* id;
  Lease* lease;
  const ReplicaSeen* shown;
};

/// A deployment's part of the draft.
struct SiteDraft {
  std::vector<LeaseRef> leases;  ///< sorted by id; they point into Draft::state
  Counts counts;                 ///< of `leases`; right when a stage begins: whoever moves a lease counts again
  bool dark = false;             ///< its fleet cannot be read
  WorkloadSeen workload;         ///< production: freshened
  Replicas held;                 ///< production: every phase, ours or not
  Replicas need;                 ///< production
  bool known = true;             ///< production: the need rests on fresh data
  Replicas target;               ///< ours: what Ebb steers to

  void count();
};

/// A pool's books in this tick.
struct PoolDraft {
  bool blind = false;
  bool reclaiming = false;  ///< RL is above the slack
  Gpus reserve, slack, production;
  Gpus strangers;  ///< foreign processes and replicas of no configured deployment
  Gpus unusable;   ///< strangers and lost leases
};

struct Draft {
  State state;
  Explanation why;
  std::vector<Alarm> alarms;
  std::vector<SiteDraft> sites;           ///< parallel to Input::sites
  std::vector<PoolDraft> pools;           ///< parallel to Input::pools
  std::vector<Action> drains, evictions;  ///< filled by leases
  std::map<JobId, int> admission;
  Plan plan;
  bool orphans = false;  ///< a fleet shows replicas of no configured deployment

  [[nodiscard]] SiteDraft& of(const Site& site) { return sites[site.index]; }
  [[nodiscard]] const SiteDraft& of(const Site& site) const { return sites[site.index]; }

  void say(Stage stage, const char* rule, const std::string& subject,
           std::initializer_list<std::pair<std::string, Arg>> args = {}) {
    why.push_back({stage, rule, subject, {args.begin(), args.end()}});
  }
  void alarm(const char* rule, const std::string& subject) { alarms.push_back({rule, subject}); }
};

inline Arg arg(Replicas n) { return std::int64_t{n.count}; }
inline Arg arg(Gpus n) { return std::int64_t{n.count}; }
inline Arg arg(int n) { return std::int64_t{n}; }

/// GPUs that RL holds in the pool in every phase but lost; `active_only` leaves out what is draining.
Gpus rl_gpus(const Draft& draft, const Pool& pool, bool active_only);

/// The live override of this kind for a deployment: its target is everything, the pool, the owner or the deployment.
const Override* override_for(const Draft& draft, const Site& site, OverrideKind kind);

// The ten stages, in order; each has a file of its name.
void freshness(Draft& draft, const Input& in);
void need(Draft& draft, const Input& in);
void reserve(Draft& draft, const Input& in);
void allocate(Draft& draft, const Input& in);
void guardrails(Draft& draft, const Input& in);
void leases(Draft& draft, const Input& in);
void snapshots(Draft& draft, const Input& in);
void admission(Draft& draft, const Input& in);
void diff(Draft& draft, const Input& in);
void check(Draft& draft, const Input& in);

/// Part of freshness: what the fleets say of each replica moves its lease.
void reconcile(Draft& draft, const Input& in);

}  // namespace ebb
