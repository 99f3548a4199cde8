#include "config/options.hpp"

#include <array>

#include "policies/registry.hpp"

namespace ebb {
namespace {

using std::string_view;

constexpr Duration kMs{1};
constexpr Duration kSecond{1'000};
constexpr Duration kMinute{60'000};
constexpr Duration kHour{3'600'000};
constexpr Duration kDay{86'400'000};
constexpr Range<int> kGpuRange{1, 1'000'000};
// So that replicas times GPUs stay far inside an int.
constexpr Range<int> kGpusPerReplica{1, 1'024};
constexpr Range<int> kReplicaRange{0, 100'000};

constexpr std::array<string_view, 2> kModes{"advise", "act"};
constexpr std::array<string_view, 2> kOwners{"external", "ebb"};
constexpr std::array<string_view, 2> kFleetKinds{"process", "simulated"};
constexpr std::array<string_view, 2> kSourceKinds{"scrape", "prometheus"};
constexpr std::array<string_view, 3> kDemandKinds{"unlimited", "api", "metric"};
constexpr std::array<string_view, 3> kLaunchers{"automatic", "direct", "systemd"};
constexpr std::array<string_view, 7> kDialects{"auto", "vllm", "sglang", "tgi", "llamacpp", "dynamo", "triton"};
constexpr std::array<string_view, 2> kTransitions{"async", "sync"};
constexpr std::array<string_view, 3> kResets{"all", "new_session", "none"};
constexpr std::array<string_view, 5> kHotloadKinds{"none", "vllm", "sglang", "fireworks", "coreweave"};
constexpr std::array<string_view, 3> kWeightsFrom{"store", "ebb_pull", "engine"};
constexpr std::array<string_view, 2> kVllmUpdates{"transfer", "weight_dir"};
constexpr std::array<string_view, 3> kResetEncodings{"word", "boolean", "absent"};
constexpr std::array<string_view, 5> kLevels{"trace", "debug", "info", "warn", "error"};

template <class E>
void word(OptionVisitor& v, const OptionInfo& info, E& value, std::span<const string_view> names) {
  int index = static_cast<int>(value);
  v.choice(info, index, names);
  value = static_cast<E>(index);
}

/// A word that is kept as text.
void word(OptionVisitor& v, const OptionInfo& info, std::string& value, std::span<const string_view> names) {
  int index = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == value) index = static_cast<int>(i);
  }
  v.choice(info, index, names);
  value = names[static_cast<std::size_t>(index)];
}

/// A policy by name with its own options. `made` is what the loader fills before anybody shares it.
template <class P>
void policy(OptionVisitor& v, const OptionInfo& info, std::shared_ptr<const P>& value, const char* otherwise,
            std::span<const string_view> names, std::unique_ptr<P> (*make)(string_view)) {
  std::shared_ptr<P> made;
  if (value == nullptr)
    made = make(otherwise);
  else
    made = std::const_pointer_cast<P>(value);
  const auto select = [&](const std::string& name) {
    std::shared_ptr<P> chosen = make(name);
    if (chosen != nullptr) made = std::move(chosen);
    return made->name() == name;
  };
  v.selected(info, std::string(made->name()), names, select, [&](OptionVisitor& fields) { made->options(fields); });
  value = made;
}

}  // namespace

// Not in the unnamed namespace: visit_list finds them by the namespace of their type.
static void options(FailureConfig& c, OptionVisitor& v) {
  v.value({"backoff_first", "Pause before a replica that ended unasked is replaced; doubles with every further one."},
          c.backoff_first, {100 * kMs, kHour});
  v.value({"backoff_max", "The longest such pause; two of them without a failure end the row."}, c.backoff_max,
          {100 * kMs, kDay});
}

static void options(TokenConfig& c, OptionVisitor& v) {
  v.value({"name", "Who it is for; appears in the log.", true}, c.name);
  v.value({"secret", "Where the token is: file:/absolute/path or env:NAME. Never the token itself.", true},
          c.secret.where);
  v.value({"scopes", "What it may do: read, operate, publish (snapshots of every job) or publish:JOB."}, c.scopes);
}

static void options(ApiConfig& c, OptionVisitor& v) {
  v.value({"listen", "Address and port of the API, the status page and /metrics. Beyond loopback tokens are required."},
          c.listen);
  visit_list(v, {"tokens", "Bearer tokens. Without any, everybody on this host may read and operate."}, c.tokens);
  v.value({"max_connections", "Open connections; more are answered 503."}, c.max_connections, {1, 65'536});
  v.value({"max_body_kib", "Largest request body, KiB."}, c.max_body_kib, {1, 65'536});
  v.value({"request_timeout", "Time a client has to send a request and to take the answer."}, c.request_timeout,
          {100 * kMs, kHour});
}

static void options(LedgerConfig& c, OptionVisitor& v) {
  v.value({"path", "The ledger's file. Empty: ebb.db in state_dir."}, c.path);
  v.value({"keep", "Decisions, ended actions and events older than this are removed."}, c.keep, {kHour, 3'650 * kDay});
  v.value({"max_decisions", "No more decisions than this are kept."}, c.max_decisions, {1'000, 100'000'000});
}

static void options(PoolConfig& c, OptionVisitor& v) {
  v.value({"name", "Name of the pool: interchangeable GPUs in one place.", true}, c.name.value);
  v.value({"gpus", "GPUs in the pool."}, c.gpus, kGpuRange);
  v.value({"headroom", "GPUs kept for production on top of its need."}, c.headroom, {0, 1'000'000});
  v.value({"quiet_window", "Slack is lent once it has lasted this long."}, c.quiet_window, {Duration{0}, kDay});
  policy(v, {"allocation", "How slack is shared between jobs."}, c.allocation, kDefaultAllocation,
         allocation_policies(), make_allocation);
  policy(v, {"growth", "Which slack is worth starting a replica on."}, c.growth, kDefaultGrowth, growth_policies(),
         make_growth);
}

static void options(FleetConfig& c, OptionVisitor& v) {
  v.value({"name", "Name of the fleet: the system that runs replicas.", true}, c.name.value);
  word(v, {"kind", "process: local processes, one ebb-shim beside each. simulated: for back-tests only."}, c.kind,
       kFleetKinds);
  v.value({"pool", "The pool whose GPUs are its slots.", true}, c.pool.value);
  v.value({"directory", "Replica records, locks and logs. Empty: fleets/<name> in state_dir."}, c.directory);
  v.value({"gpu_ids", "Values for CUDA_VISIBLE_DEVICES, one per GPU of the pool. Empty: 0, 1, 2, ..."}, c.gpu_ids);
  v.value({"first_port", "Replicas listen on 127.0.0.1 from this port on."}, c.first_port, {1'024, 65'535});
  v.value({"last_port", "The last port replicas may use."}, c.last_port, {1'024, 65'535});
  v.value({"health_interval", "Time between two health checks of a replica."}, c.health_interval, {50 * kMs, kHour});
  v.value({"lease_ttl",
           "An RL replica whose lease was not renewed for so long drains itself: the bound for a dead daemon."},
          c.lease_ttl, {kSecond, kDay});
  word(v,
       {"launcher",
        "How shims leave the daemon's unit: systemd uses systemd-run --scope, automatic only where ebbd runs as a "
        "unit."},
       c.launcher, kLaunchers);
}

static void options(EndpointConfig& c, OptionVisitor& v) {
  v.value({"url", "http(s)://host:port[/prefix]"}, c.url);
  v.value({"bearer_token", "file:/path or env:NAME; sent as Authorization: Bearer, read anew for every request."},
          c.bearer_token.where);
  v.value({"basic_user", "User of HTTP basic authentication."}, c.basic_user);
  v.value({"basic_password", "file:/path or env:NAME."}, c.basic_password.where);
  v.value({"headers", "Further headers, e.g. X-Scope-OrgID."}, c.headers);
  v.value({"ca_file", "Certificates to trust instead of the system's."}, c.ca_file);
}

static void options(SourceConfig& c, OptionVisitor& v) {
  word(v, {"kind", "scrape: the engines' own /metrics. prometheus: instant queries."}, c.kind, kSourceKinds);
  word(v, {"dialect", "scrape: whose metric names to expect."}, c.dialect, kDialects);
  v.value({"path", "scrape: path of the metrics page."}, c.path);
  v.value({"targets", "scrape: base URLs. Empty: the ready replicas of the deployment's fleet."}, c.targets);
  v.value({"model_name", "scrape: only series of this model. Empty: all."}, c.model_name);
  v.value(
      {"frozen_after", "scrape: requests running while token counters stand still for so long is unknown, not busy."},
      c.frozen_after, {kSecond, kHour});
  v.object({"endpoint", "prometheus: where it is and how to log in."},
           [&c](OptionVisitor& o) { options(c.endpoint, o); });
  v.value({"queries",
           "prometheus: signal -> PromQL. asked_replicas, held_replicas, reporters, expected_reporters and "
           "oldest_sample_age_s are special."},
          c.queries);
  v.value({"accept_warnings", "prometheus: take answers that carry warnings (partial data)."}, c.accept_warnings);
  v.value({"timeout", "Time one answer may take; the observer's deadline holds as well."}, c.timeout,
          {50 * kMs, kMinute});
}

static void deployment(DeploymentConfig& c, OptionVisitor& v, bool production) {
  v.value({"pool", "The pool whose GPUs it uses.", true}, c.pool.value);
  v.value({"fleet",
           production ? "The fleet that runs it. Empty: nobody Ebb knows (owner external)." : "The fleet that runs it.",
           !production},
          c.fleet.value);
  v.value({"gpus_per_replica", "GPUs of one replica."}, c.gpus_per_replica, kGpusPerReplica);
  v.value({"min", production ? "Fewest replicas." : "Fewest replicas, out of the slack."}, c.min, kReplicaRange);
  v.value({"max", "Most replicas."}, c.max, kReplicaRange);
  v.value(
      {"command", "process fleet: program and arguments; {port} {gpus} {deployment} {replica} {model} are filled in."},
      c.command);
  v.value({"environment", "process fleet: further environment variables."}, c.environment);
  v.value({"health_path", "process fleet: a replica is ready when this answers 200."}, c.health_path);
  v.value({"start_timeout", "A replica that is not ready by then is ended and counted as a failure."}, c.start_timeout,
          {kSecond, kDay});
  v.value({"drain_timeout", "Time from SIGTERM to SIGKILL."}, c.drain_timeout, {Duration{0}, kDay});
  visit_list(
      v,
      {"sources",
       production
           ? "Where its signals come from."
           : "victim: least_lost reads what each replica works on: one, of kind scrape, without targets; frozen_after "
             "does not matter there."},
      c.sources);
}

static void deployments(std::vector<DeploymentConfig>& list, OptionVisitor& v, bool production) {
  v.list(
      {"deployments", "One per pool it may use.", true}, list.size(), [&list](std::size_t n) { list.resize(n); },
      [&list, production](std::size_t i, OptionVisitor& o) { deployment(list[i], o, production); });
}

static void options(ServiceConfig& c, OptionVisitor& v) {
  v.value({"name", "Name of the production workload.", true}, c.name.value);
  word(v, {"owner", "external: somebody else scales it, Ebb gets out of the way. ebb: Ebb scales it too."}, c.owner,
       kOwners);
  v.value({"model", "Model name, for {model} in commands."}, c.model);
  policy(v, {"capacity", "How many replicas it needs."}, c.capacity, kDefaultCapacity, capacity_policies(),
         make_capacity);
  v.value({"blind_after", "Unknown for longer than this, it is taken to need its max."}, c.blind_after,
          {kSecond, kDay});
  deployments(c.deployments, v, true);
}

static void options(HotloadConfig& c, OptionVisitor& v) {
  word(v, {"kind", "Who loads the weights: the engines themselves (vllm, sglang) or a vendor."}, c.kind, kHotloadKinds);
  v.object({"endpoint",
            "fireworks, coreweave: where and how to log in; url empty: the vendor's. vllm, sglang: how to "
            "log in to the engines' admin routes, without a url."},
           [&c](OptionVisitor& o) { options(c.endpoint, o); });
  v.value({"account", "fireworks: the account's id."}, c.account);
  v.value({"deployment", "fireworks: the deployment's id. coreweave: its UUID."}, c.deployment);
  v.value({"base_model", "fireworks: accounts/ACCOUNT/models/MODEL of the deployment."}, c.base_model);
  word(v, {"reset_encoding", "fireworks: how reset_prompt_cache is written; some backends know a bool or nothing."},
       c.reset_encoding, kResetEncodings);
  word(v,
       {"weights_from",
        "vllm, sglang: store: engines see the store's directory under the same path; ebb_pull: it brings each snapshot "
        "to the engine's host; engine: SGLang's /pull_weights."},
       c.weights_from, kWeightsFrom);
  v.value({"puller", "ebb_pull: its URL; {host} stands for the engine's host, e.g. http://{host}:8475."}, c.puller);
  v.value({"checkpoint_dir", "engine: the directory on the engine's host in which /pull_weights keeps its checkpoint."},
          c.checkpoint_dir);
  word(v,
       {"vllm_update",
        "vllm: the body of /update_weights: transfer is vLLM's own (backend disk), weight_dir that of prime-rl."},
       c.vllm_update, kVllmUpdates);
  v.value({"adapter_name", "vllm, sglang with LoRA: the adapter's name in requests."}, c.adapter_name);
  v.value({"update_timeout", "vllm, sglang: time one engine's update may take."}, c.update_timeout, {kSecond, kHour});
}

static void options(ElsewhereConfig& c, OptionVisitor& v) {
  v.value({"name", "Name of the deployment, next to those of the job's pools.", true}, c.name);
  v.object({"hotload", "Who loads its weights."}, [&c](OptionVisitor& o) { options(c.hotload, o); });
  v.value({"engines", "vllm, sglang: base URLs of its engines."}, c.engines);
}

static void options(S3Config& c, OptionVisitor& v) {
  v.value({"endpoint", "http(s)://host[:port] of the store. Empty: AWS in this region."}, c.endpoint);
  v.value({"region", "Region that requests are signed for."}, c.region);
  v.value({"path_style", "The bucket stands in the path, not in the host name: MinIO, Ceph, loopback."}, c.path_style);
  v.value({"access_key_id", "file:/path or env:NAME. Empty: requests are not signed."}, c.access_key_id.where);
  v.value({"secret_access_key", "file:/path or env:NAME."}, c.secret_access_key.where);
  v.value({"session_token", "file:/path or env:NAME, of temporary credentials."}, c.session_token.where);
  v.value({"ca_file", "Certificates to trust instead of the system's."}, c.ca_file);
}

static void options(SnapshotsConfig& c, OptionVisitor& v) {
  v.value({"enabled", "Snapshots are loaded into its replicas. Without: they serve the weights they start with."},
          c.enabled);
  v.value(
      {"store", "Where they are: s3://bucket/prefix or an absolute path; each is a directory of its identity there."},
      c.store);
  v.object({"s3", "How an S3 store is reached."}, [&c](OptionVisitor& o) { options(c.s3, o); });
  v.object({"hotload", "Who loads the weights into the replicas of the job's own deployments."},
           [&c](OptionVisitor& o) { options(c.hotload, o); });
  visit_list(v, {"elsewhere", "Further deployments that load the job's snapshots; somebody else scales them."},
             c.elsewhere);
  v.value({"prune_after", "What no chain has needed for so long is deleted from the store; 0: nothing ever is."},
          c.prune_after, {Duration{0}, 365 * kDay});
  v.value({"adapter", "They are LoRA adapters: always full."}, c.adapter);
  policy(v, {"cadence", "Which snapshots are full."}, c.cadence, kDefaultCadence, cadence_policies(), make_cadence);
  v.value({"ready_fraction", "A snapshot serves once so many of the replicas that served before have it."},
          c.ready_fraction, {0.01, 1.0});
  v.value({"max_unavailable", "Share of a deployment's serving replicas that loads at a time; 1: all at once."},
          c.max_unavailable, {0.01, 1.0});
  v.value({"max_versions_behind", "A replica further behind the newest snapshot takes no rollouts."},
          c.max_versions_behind, {0, 64});
  word(v,
       {"transition", "async: generations pause and go on with the new weights. sync: they end on the old ones first."},
       c.transition, kTransitions);
  word(v,
       {"reset_prompt_cache", "What becomes of cached prompts of the old weights, where a publication does not say."},
       c.reset_prompt_cache, kResets);
  v.value({"poll_interval", "Time between two looks at the replicas."}, c.poll_interval, {50 * kMs, kHour});
  v.value({"verify_timeout", "A snapshot that is not whole by then is rejected."}, c.verify_timeout, {kSecond, kDay});
  v.value({"signal_timeout", "Time one attempt to tell a deployment may take."}, c.signal_timeout, {kSecond, kHour});
  v.value({"load_timeout", "Time from telling a deployment to its last replica; who is late has failed."},
          c.load_timeout, {kSecond, kDay});
  v.value({"settle", "A deployment that did not answer is told again when no replica has heard of it for so long."},
          c.settle, {kSecond, kHour});
  v.value(
      {"catch_up_timeout", "A vendor that brings new replicas up to date itself has so long; then a full one is due."},
      c.catch_up_timeout, {kSecond, kDay});
  v.value({"retry_first", "Pause before something is tried again; doubles."}, c.retry_first, {10 * kMs, kHour});
  v.value({"retry_max", "The longest such pause."}, c.retry_max, {10 * kMs, kHour});
}

static void options(JobConfig& c, OptionVisitor& v) {
  v.value({"name", "Name of the RL run.", true}, c.name.value);
  v.value({"model", "Model name, for {model} in commands."}, c.model);
  v.value({"weight", "Share of the slack relative to other jobs."}, c.weight, {0.001, 1'000'000});
  v.value({"priority", "Higher goes first, in pools whose allocation is priority."}, c.priority, {-1'000, 1'000});
  v.value({"guarantee", "Replicas served first out of the slack; never out of production's reserve."}, c.guarantee,
          kReplicaRange);
  v.value({"max", "Most replicas over all pools."}, c.max, kReplicaRange);
  word(v, {"demand", "What it can use: unlimited, api (PUT /v1/jobs/<job>/demand) or metric."}, c.demand, kDemandKinds);
  v.object({"demand_source", "demand: metric reads the query 'replicas' of this prometheus source."},
           [&c](OptionVisitor& o) { options(c.demand_source, o); });
  v.value({"rollouts_per_replica", "Rollouts one replica holds at a time."}, c.rollouts_per_replica, {1, 100'000});
  policy(v, {"victim", "Who leaves first."}, c.victim, kDefaultVictim, victim_policies(), make_victim);
  v.value({"grow_step", "At most so many more replicas a tick in each deployment."}, c.grow_step, {1, 100'000});
  v.value({"grow_cooldown", "Pause between two growths."}, c.grow_cooldown, {Duration{0}, kDay});
  v.value({"reclaim_cooldown", "No growth so long after a reclaim."}, c.reclaim_cooldown, {Duration{0}, kDay});
  v.value({"evict_when_short",
           "GPUs that production waits for right now are taken without a drain: seconds, at the price of rollouts."},
          c.evict_when_short);
  v.object({"snapshots", "How its weights are kept current."}, [&c](OptionVisitor& o) { options(c.snapshots, o); });
  deployments(c.deployments, v, false);
}

static void options(BacktestSignal& c, OptionVisitor& v) {
  v.value({"signal", "Name of a signal that a policy needs.", true}, c.signal);
  v.value({"per_busy_replica", "What it shows when one replica's worth of work is being done."}, c.per_busy_replica,
          {1e-9, 1e12});
}

static void options(BacktestPolicy& c, OptionVisitor& v) {
  v.value({"name", "Name in the report.", true}, c.name);
  policy(v, {"capacity", "How many replicas production needs."}, c.capacity, kDefaultCapacity, capacity_policies(),
         make_capacity);
}

static void options(BacktestConfig& c, OptionVisitor& v) {
  v.value({"trace", "CSV file of production traffic. Empty: a synthetic week."}, c.trace);
  v.value({"seed", "Of everything that is drawn; the same seed gives the same figures."}, c.seed, {0, 1'000'000'000});
  v.value({"bridge", "Standard deviation of the rate half-way between two rows 600 s apart, as a share; 0: smooth."},
          c.bridge, {0.0, 1.0});
  v.value({"scale_to_peak", "Share of the pool production needs at the trace's peak; 0: the trace as it is."},
          c.scale_to_peak, {0.0, 100.0});
  v.value({"prefill_tokens_per_s", "Prompt tokens one production replica takes in a second."}, c.prefill_tokens_per_s,
          {1e-3, 1e12});
  v.value({"decode_tokens_per_s", "Output tokens one production replica gives in a second, over its whole batch."},
          c.decode_tokens_per_s, {1e-3, 1e12});
  v.value({"target_utilisation", "Busy share at which a production replica is full."}, c.target_utilisation,
          {0.01, 1.0});
  v.value({"observe_delay", "Age of everything a policy reads."}, c.observe_delay, {Duration{0}, kHour});
  v.value({"production_start", "A production replica's start-up."}, c.production_start, {Duration{0}, kHour});
  v.value({"rl_start", "An RL replica's start-up, weights included."}, c.rl_start, {Duration{0}, kHour});
  v.value({"rl_drain", "An RL replica's drain takes exactly this."}, c.rl_drain, {Duration{0}, kHour});
  v.value({"rl_evict", "Its eviction takes exactly this."}, c.rl_evict, {Duration{0}, kHour});
  v.value({"owner_sync", "owner external: how often it decides."}, c.owner_sync, {kSecond, kHour});
  v.value({"owner_window", "owner external: it wants the largest need of this long."}, c.owner_window,
          {Duration{0}, kDay});
  v.value({"learn", "The first part of the trace teaches and does not count."}, c.learn, {Duration{0}, 365 * kDay});
  v.value({"rollout_median_s", "Median length of a rollout, seconds; lengths are log-normal."}, c.rollout_median_s,
          {0.001, 1e6});
  v.value({"rollout_p95_s", "95th percentile of a rollout's length, seconds."}, c.rollout_p95_s, {0.001, 1e7});
  v.value({"handoff", "Rollouts that a reclaim interrupts move to another replica instead of being lost."}, c.handoff);
  v.value({"handoff_cost", "What moving one costs: its prefill again."}, c.handoff_cost, {Duration{0}, kHour});
  visit_list(v, {"signals", "Signals other than load, which shows busy replicas."}, c.signals);
  visit_list(v, {"policies", "Compared with the service's own."}, c.policies);
}

void options(Config& c, OptionVisitor& v) {
  word(v, {"mode", "advise: everything but the writes. act: acts."}, c.mode, kModes);
  v.value({"tick", "Time between two decisions; a reclaim does not wait for it."}, c.tick, {100 * kMs, kHour});
  v.value({"sample_interval", "Time between two looks at production; at most the tick."}, c.sample_interval,
          {50 * kMs, kHour});
  v.value({"observe_timeout", "One deadline over all sources and fleets; less than sample_interval."},
          c.observe_timeout, {10 * kMs, kHour});
  v.value({"stale_after", "An older sample is unknown."}, c.stale_after, {kSecond, kHour});
  v.value({"warm_up", "No growth so long after a start, or one policy window if that is longer."}, c.warm_up,
          {Duration{0}, kDay});
  v.value({"lost_after",
           "A replica still there this long after its eviction is lost: counted, alarmed, its GPUs not lent."},
          c.lost_after, {kSecond, kDay});
  v.value({"state_dir", "Where the ledger and the fleets' records live."}, c.state_dir);
  word(v, {"log_level", "Least severe lines that are logged."}, c.log_level, kLevels);
  v.object({"failures", "Replicas that end unasked."}, [&c](OptionVisitor& o) { options(c.failures, o); });
  v.object({"api", "The API, the status page and /metrics."}, [&c](OptionVisitor& o) { options(c.api, o); });
  v.object({"ledger", "The durable history."}, [&c](OptionVisitor& o) { options(c.ledger, o); });
  v.object({"backtest", "How `ebbd backtest` models the world; the daemon itself does not look at it."},
           [&c](OptionVisitor& o) { options(c.backtest, o); });
  visit_list(v, {"pools", "GPUs.", true}, c.pools);
  visit_list(v, {"fleets", "Systems that run replicas."}, c.fleets);
  visit_list(v, {"services", "Production workloads."}, c.services);
  visit_list(v, {"jobs", "RL runs."}, c.jobs);
}

}  // namespace ebb
