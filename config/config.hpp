// The configuration as typed values, defaults as initialisers. Read-only once loaded and shared as
// shared_ptr<const Config>: a reload cannot change a tick half-way.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/model/ids.hpp"
#include "daemon/model/time.hpp"
#include "daemon/model/units.hpp"
#include "daemon/model/weights.hpp"
#include "policies/policy.hpp"

namespace ebb {

enum class Mode { advise, act };
enum class Owner { external, ebb };
enum class FleetKind { process, simulated };
enum class SourceKind { scrape, prometheus };
enum class DemandKind { unlimited, api, metric };
enum class Launcher { automatic, direct, systemd };
enum class HotloadKind { none, vllm, sglang, fireworks, coreweave };
/// How self-hosted engines come by a snapshot's files.
enum class WeightsFrom { store, ebb_pull, engine };
enum class VllmUpdate { transfer, weight_dir };
enum class ResetEncoding { word, boolean, absent };

/// A secret is only ever a place: `file:/run/secrets/x` or `env:NAME`. Read when used, never printed.
struct SecretRef {
  std::string where;  ///< empty: none
  [[nodiscard]] bool empty() const { return where.empty(); }
  friend bool operator==(const SecretRef&, const SecretRef&) = default;
};

/// How to talk to an HTTP end point outside.
struct EndpointConfig {
  std::string url;         ///< http(s)://host:port[/prefix]
  SecretRef bearer_token;  ///< sent as Authorization: Bearer
  std::string basic_user;
  SecretRef basic_password;
  std::map<std::string, std::string> headers;  ///< e.g. X-Scope-OrgID
  std::string ca_file;
  friend bool operator==(const EndpointConfig&, const EndpointConfig&) = default;
};

/// Where a deployment's signals come from.
struct SourceConfig {
  SourceKind kind = SourceKind::scrape;
  // scrape
  std::string dialect = "auto";  ///< auto vllm sglang tgi llamacpp dynamo triton
  std::string path = "/metrics";
  std::vector<std::string> targets;  ///< base URLs; empty: the replicas of the deployment's fleet
  std::string model_name;            ///< only series with this model label; empty: all
  Duration frozen_after{30'000};     ///< running > 0 and token counters flat for this long: unknown
  // prometheus
  EndpointConfig endpoint;
  std::map<std::string, std::string> queries;  ///< signal -> PromQL; "asked_replicas" and "held_replicas" are special
  bool accept_warnings = false;
  Duration timeout{5'000};
};

/// One scalable set of replicas in one pool.
struct DeploymentConfig {
  DeploymentId id;  ///< "<service or job>@<pool>", set by the loader
  PoolId pool;
  FleetId fleet;  ///< empty: nobody we know runs it (external services only)
  Gpus gpus_per_replica{1};
  Replicas min{0};
  Replicas max{1};
  std::vector<std::string> command;  ///< process fleet: argv with {port} {gpus} {deployment} {replica} {model}
  std::map<std::string, std::string> environment;
  std::string health_path = "/health";
  Duration start_timeout{600'000};    ///< not ready by then: ended and counted as a failure
  Duration drain_timeout{60'000};     ///< SIGTERM to SIGKILL
  std::vector<SourceConfig> sources;  ///< services: of its signals; jobs: at most one, of what each replica works on
};

struct PoolConfig {
  PoolId name;
  Gpus gpus{1};
  Gpus headroom{0};  ///< kept for production on top of its need
  std::shared_ptr<const AllocationPolicy> allocation;
  std::shared_ptr<const GrowthPolicy> growth;
  Duration quiet_window{30'000};  ///< slack is lent once it has lasted this long
};

struct FleetConfig {
  FleetId name;
  FleetKind kind = FleetKind::process;
  PoolId pool;                       ///< its slots are this pool's GPUs
  std::string directory;             ///< replica records, locks and logs; empty: <state_dir>/fleets/<name>
  std::vector<std::string> gpu_ids;  ///< CUDA_VISIBLE_DEVICES names, one per GPU of the pool; empty: 0..gpus-1
  int first_port = 18000;            ///< replicas listen on 127.0.0.1 from here on
  int last_port = 18999;
  Duration health_interval{1'000};
  Duration lease_ttl{60'000};  ///< an RL replica whose lease was not renewed for so long drains itself
  Launcher launcher = Launcher::automatic;
};

struct ServiceConfig {
  ServiceId name;
  Owner owner = Owner::external;
  std::string model;
  std::shared_ptr<const CapacityPolicy> capacity;
  Duration blind_after{300'000};  ///< unknown for longer: it is taken to need its max
  std::vector<DeploymentConfig> deployments;
};

/// Who loads weights into the replicas of a deployment, and how it is told to. What each can honour is said by
/// config/hotload_rules.hpp.
struct HotloadConfig {
  HotloadKind kind = HotloadKind::none;
  // fireworks, coreweave
  EndpointConfig endpoint;  ///< url empty: the vendor's own; with vllm and sglang only its credentials are used
  std::string account;      ///< fireworks
  std::string deployment;   ///< fireworks: its id; coreweave: its UUID
  std::string base_model;   ///< fireworks: accounts/<account>/models/<model>
  ResetEncoding reset_encoding = ResetEncoding::word;  ///< fireworks: how reset_prompt_cache is written
  // vllm, sglang
  WeightsFrom weights_from = WeightsFrom::store;
  std::string puller;                             ///< ebb_pull: its URL; {host} is the engine's host
  std::string checkpoint_dir;                     ///< engine: where /pull_weights keeps its checkpoint
  VllmUpdate vllm_update = VllmUpdate::transfer;  ///< which of the two /update_weights bodies
  std::string adapter_name = "policy";            ///< LoRA: the name that requests use
  Duration update_timeout{300'000};               ///< one engine's update, its generation standing still
  friend bool operator==(const HotloadConfig&, const HotloadConfig&) = default;
};

/// Replicas that load a job's snapshots, but that somebody else scales.
struct ElsewhereConfig {
  std::string name;
  DeploymentId id;  ///< "<job>@<name>", set by the loader
  HotloadConfig hotload;
  std::vector<std::string> engines;  ///< vllm, sglang: base URLs
};

/// How an S3 store is reached.
struct S3Config {
  std::string endpoint;  ///< http(s)://host[:port]; empty: AWS in `region`
  std::string region = "us-east-1";
  bool path_style = false;  ///< the bucket is in the path instead of the host name: MinIO, Ceph
  SecretRef access_key_id, secret_access_key, session_token;
  std::string ca_file;
  friend bool operator==(const S3Config&, const S3Config&) = default;
};

/// How a job's snapshots reach its replicas.
struct SnapshotsConfig {
  bool enabled = false;  ///< without: replicas serve the weights that they start with
  std::string store;     ///< s3://bucket/prefix or an absolute path; an identity is a directory below it
  S3Config s3;
  HotloadConfig hotload;                   ///< of the job's own deployments
  std::vector<ElsewhereConfig> elsewhere;  ///< further deployments
  Duration prune_after{0};                 ///< what no chain needs for so long is deleted from the store; 0: never
  bool adapter = false;  ///< LoRA: always full, no chain
  std::shared_ptr<const CadencePolicy> cadence;
  double ready_fraction = 1;    ///< of the replicas that served when the load began
  double max_unavailable = 1;   ///< of a deployment's serving replicas, loading at a time; 1: all at once
  int max_versions_behind = 1;  ///< what a replica may serve rollouts with (I8)
  LoadTransitionMode transition = LoadTransitionMode::async;
  ResetCache reset_prompt_cache = ResetCache::all;
  Duration poll_interval{1'000};
  Duration verify_timeout{600'000};    ///< a snapshot that is not whole by then is rejected
  Duration signal_timeout{60'000};     ///< one attempt to signal
  Duration load_timeout{600'000};      ///< one order, from its being given to its last replica
  Duration settle{10'000};             ///< an order without an answer that nobody has heard of for so long is repeated
  Duration catch_up_timeout{900'000};  ///< a fleet that brings newcomers up to date itself has so long for it
  Duration retry_first{1'000};         ///< doubles
  Duration retry_max{30'000};
};

struct JobConfig {
  JobId name;
  std::string model;
  double weight = 1;
  int priority = 0;       ///< higher first, where the pool's allocation looks at it
  Replicas guarantee{0};  ///< first out of the slack; never out of production's reserve
  Replicas max{1'000};    ///< over all pools
  DemandKind demand = DemandKind::unlimited;
  SourceConfig demand_source;  ///< demand: metric; a prometheus source with the query "replicas"
  int rollouts_per_replica = 32;
  std::shared_ptr<const VictimPolicy> victim;
  Replicas grow_step{2};              ///< at most so many more per tick and deployment
  Duration grow_cooldown{10'000};     ///< between two growths
  Duration reclaim_cooldown{60'000};  ///< no growth so long after a reclaim
  bool evict_when_short = false;      ///< what production waits for right now is evicted, not drained
  SnapshotsConfig snapshots;
  std::vector<DeploymentConfig> deployments;
};

struct TokenConfig {
  std::string name;
  SecretRef secret;
  std::vector<std::string> scopes{"read"};  ///< read, operate
};

struct ApiConfig {
  std::string listen = "127.0.0.1:8470";
  std::vector<TokenConfig> tokens;
  int max_connections = 256;
  int max_body_kib = 256;
  Duration request_timeout{30'000};
};

struct LedgerConfig {
  std::string path;  ///< empty: <state_dir>/ebb.db
  Duration keep{7LL * 86'400'000};
  int max_decisions = 500'000;
};

struct FailureConfig {
  Duration backoff_first{5'000};  ///< after a replica ended unasked; doubles
  Duration backoff_max{300'000};
};

/// What a signal shows when one replica's worth of work is being done.
struct BacktestSignal {
  std::string signal;
  double per_busy_replica = 1;
};

/// A capacity policy that a back-test compares with the service's own.
struct BacktestPolicy {
  std::string name;
  std::shared_ptr<const CapacityPolicy> capacity;
};

/// How `ebbd backtest` models the world; the daemon itself does not look at it.
struct BacktestConfig {
  std::string trace;  ///< empty: a synthetic week
  int seed = 1;
  double bridge = 0.05;         ///< roughness between two rows, see backtest/demand.hpp
  double scale_to_peak = 0.95;  ///< share of the pool that production needs at the trace's peak; 0: the trace as it is
  double prefill_tokens_per_s = 8'000;
  double decode_tokens_per_s = 1'000;
  double target_utilisation = 0.7;  ///< load / this = replicas needed
  Duration observe_delay{15'000};
  Duration production_start{120'000};
  Duration rl_start{90'000};
  Duration rl_drain{60'000};
  Duration rl_evict{5'000};
  // owner external: how often it decides, and over how long it takes the largest need
  Duration owner_sync{15'000};
  Duration owner_window{300'000};
  Duration learn{0};  ///< the trace's first part teaches and does not count
  double rollout_median_s = 120;
  double rollout_p95_s = 900;
  bool handoff = false;
  Duration handoff_cost{2'000};
  std::vector<BacktestSignal> signals;
  std::vector<BacktestPolicy> policies;
};

struct Config {
  Mode mode = Mode::advise;
  Duration tick{5'000};
  Duration sample_interval{1'000};
  Duration observe_timeout{800};  ///< one deadline over all sources
  Duration stale_after{15'000};   ///< an older sample is Missing
  Duration warm_up{60'000};       ///< no growth so long after a start, or one policy window if longer
  Duration lost_after{60'000};    ///< past its drain deadline by this: lost
  std::string state_dir = "/var/lib/ebb";
  std::string log_level = "info";
  FailureConfig failures;
  ApiConfig api;
  LedgerConfig ledger;
  BacktestConfig backtest;
  std::vector<PoolConfig> pools;  ///< sorted by name, as all lists below
  std::vector<FleetConfig> fleets;
  std::vector<ServiceConfig> services;
  std::vector<JobConfig> jobs;
  std::string hash;  ///< of the effective configuration, 16 hex digits, set by the loader
  std::string text;  ///< as it was read; secrets are only named there
};

}  // namespace ebb
