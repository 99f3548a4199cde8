// Which weights a job's replicas have, and what is under way to change that. Values only: core/chain and core/hotload
// move them, the ledger keeps them.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/ids.hpp"
#include "daemon/model/reading.hpp"
#include "daemon/model/snapshot.hpp"

namespace ebb {

// ---------------------------------------------------------------- what a hot-load adapter can do, and what it saw

enum class LoadTransitionMode {
  async,  ///< generations pause, keep their KV and go on with the new weights
  sync,   ///< generations end on the old weights first
};
enum class ResetCache { all, new_session, none };

struct HotloadCapabilities {
  bool incremental = true;
  std::string no_incremental_why;   ///< said to trainers where `incremental` is false
  int incrementals_max = 0;         ///< on top of a full one; 0: no limit of the vendor's (CoreWeave: 128)
  bool by_replica = true;           ///< a signal may name replicas; otherwise it goes to the whole deployment
  bool replays_chain = false;       ///< one signal may carry a full snapshot and those on top of it
  bool keeps_old_on_error = false;  ///< a replica whose load failed goes on serving what it had (Fireworks)
  bool pauses = false;              ///< the daemon pauses and resumes its engines
  std::set<LoadTransitionMode> transitions{LoadTransitionMode::async, LoadTransitionMode::sync};
  std::set<ResetCache> resets{ResetCache::all, ResetCache::new_session, ResetCache::none};
};

enum class LoadStage { idle, loading, error };

/// What one replica says of its weights.
struct WeightsReport {
  ReplicaId replica;
  std::string incarnation;  ///< changes when the process behind the name does; empty: not told
  bool ready = false;
  std::optional<Identity> current;
  LoadStage stage = LoadStage::idle;
  Identity target;    ///< what the stage is about
  std::string error;  ///< with the stage error
  friend bool operator==(const WeightsReport&, const WeightsReport&) = default;
};

struct HotloadSeen {
  std::vector<WeightsReport> replicas;  ///< sorted by replica; those whose hot-load manager answers
  std::string condition;                ///< the deployment's latest status where it is sick; empty: fine
  friend bool operator==(const HotloadSeen&, const HotloadSeen&) = default;
};

// ---------------------------------------------------------------- what is remembered

/// The weights of one replica; the diagram and the table stand in core/weights_table.hpp.
enum class WeightsPhase { unknown, base, loading, serving, failed, left };

struct ReplicaWeights {
  WeightsPhase phase = WeightsPhase::unknown;
  TimePoint since{};          ///< entered the phase
  std::string incarnation;    ///< as last reported
  Identity loaded;            ///< as last reported; empty: none
  bool ready = false;         ///< as last reported
  Identity target;            ///< of the load under way, or of the one that failed
  std::string error;          ///< failed only
  int failures = 0;           ///< loads that failed in a row
  TimePoint missing_since{};  ///< not listed since; zero: it is
  bool reload = false;        ///< told to load what it named already: that it does is no sign that it has
  bool counted = false;       ///< whether the ready fraction of the snapshot being loaded depends on it
  friend bool operator==(const ReplicaWeights&, const ReplicaWeights&) = default;
};

/// One signal: these replicas are to load these snapshots, in this order.
struct LoadOrder {
  std::string id;  ///< the same order always has the same id: an idempotency handle
  JobId job;
  DeploymentId deployment;
  std::vector<ReplicaId> replicas;  ///< sorted
  std::vector<Snapshot> path;       ///< the last one is the target
  LoadTransitionMode transition = LoadTransitionMode::async;
  ResetCache reset_cache = ResetCache::all;
  friend bool operator==(const LoadOrder&, const LoadOrder&) = default;

  [[nodiscard]] const Identity& target() const { return path.back().identity(); }
};

/// The load of one deployment; the diagram and the table stand in core/load_table.hpp.
enum class LoadPhase { idle, sending, asking, loading };

struct HotLoad {
  LoadPhase phase = LoadPhase::idle;
  LoadOrder order;       ///< not while idle
  TimePoint since{};     ///< entered the phase
  TimePoint began{};     ///< the order was given
  TimePoint deadline{};  ///< of the load as a whole
  TimePoint send_at{};   ///< sending: not before
  int attempts = 0;
  std::string problem;  ///< of the newest attempt
  friend bool operator==(const HotLoad&, const HotLoad&) = default;
};

struct DeploymentWeights {
  HotLoad load;
  std::map<ReplicaId, ReplicaWeights> replicas;
  bool newcomers_next = false;  ///< the newest order was for replicas that serve; the next is for those that do not yet
  std::set<ReplicaId> paused;   ///< by us, until we were told that they run again
  std::string condition;
  friend bool operator==(const DeploymentWeights&, const DeploymentWeights&) = default;
};

/// A full snapshot, what serves on top of it, and what is to come.
struct Chain {
  std::string run;                      ///< empty: none yet, or forgotten by a reset
  std::vector<Snapshot> links;          ///< all of them served: a full one, then what was loaded on top of it
  std::vector<Snapshot> waiting;        ///< accepted and not ended, in order of arrival; only the first is loaded
  std::vector<Identity> served;         ///< the newest that reached `serving`, oldest first
  std::vector<Identity> strays;         ///< failed since then, though single replicas may have taken them
  std::string why_full = "first";       ///< why the next one must be full; empty: it need not
  int generation = 0;                   ///< how often the chain broke or was reset; part of planned names
  std::optional<SnapshotPlan> planned;  ///< the newest plan
  friend bool operator==(const Chain&, const Chain&) = default;
};

/// Measured, as moving means; 0 while unknown.
struct WeightsMeasures {
  double full_load_s = 0;
  double incremental_load_s = 0;
  double full_bytes = 0;
  double incremental_bytes = 0;
  double publish_interval_s = 0;
  double joins_per_snapshot = 0;
  int joins = 0;  ///< since the newest publication
  TimePoint last_published{};
  friend bool operator==(const WeightsMeasures&, const WeightsMeasures&) = default;
};

/// One transition of a load or of a replica's weights, for the ledger.
struct LoadNote {
  TimePoint at{};
  std::string order;  ///< empty: it came without one
  DeploymentId deployment;
  ReplicaId replica;  ///< empty: the deployment as a whole
  Identity identity;
  std::string what;  ///< "sending", "loading", "serving", "failed", ...
  std::string detail;
  friend bool operator==(const LoadNote&, const LoadNote&) = default;
};

/// Everything the coordinator remembers of a job.
struct JobWeights {
  Chain chain;
  std::map<DeploymentId, DeploymentWeights> deployments;
  WeightsMeasures measures;
  std::int64_t orders = 0;  ///< given so far
  friend bool operator==(const JobWeights&, const JobWeights&) = default;
};

/// "serving", "async", ... as in JSON.
const char* to_string(WeightsPhase phase);
const char* to_string(LoadPhase phase);
const char* to_string(LoadTransitionMode mode);
const char* to_string(ResetCache reset);
std::optional<ResetCache> reset_cache_from(std::string_view word);

}  // namespace ebb
