#include "adapters/factory.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "adapters/advisor/exec_advisor.hpp"
#include "adapters/coreweave/coreweave_hotload.hpp"
#include "adapters/directory/directory_store.hpp"
#include "adapters/engines/engine_hotload.hpp"
#include "adapters/exposition/scrape_source.hpp"
#include "adapters/fireworks/fireworks_hotload.hpp"
#include "adapters/process/process_fleet.hpp"
#include "adapters/prometheus/prometheus_source.hpp"
#include "adapters/s3/s3_store.hpp"
#include "adapters/sglang/sglang.hpp"
#include "adapters/vllm/vllm.hpp"
#include "daemon/runtime/store_verifier.hpp"

namespace ebb {
namespace {

class PrometheusDemand final : public DemandSource {
 public:
  PrometheusDemand(SourceConfig config, HttpClient& http, Clock& clock)
      : config_(std::move(config)), http_(http), clock_(clock) {}
  awaitable<Reading<double>> read(TimePoint deadline) override {
    std::string name = "replicas";
    co_return co_await query_one(config_, std::move(name), http_, clock_, deadline);
  }

 private:
  SourceConfig config_;
  HttpClient& http_;
  Clock& clock_;
};

std::map<DeploymentId, ProcessDeployment> deployments_on(const Config& config, const FleetId& fleet) {
  std::map<DeploymentId, ProcessDeployment> out;
  const auto add = [&](const DeploymentConfig& deployment, const std::string& model, bool rl) {
    if (deployment.fleet == fleet) out[deployment.id] = {deployment, model, rl};
  };
  for (const ServiceConfig& service : config.services) {
    for (const DeploymentConfig& deployment : service.deployments) add(deployment, service.model, false);
  }
  for (const JobConfig& job : config.jobs) {
    for (const DeploymentConfig& deployment : job.deployments) add(deployment, job.model, true);
  }
  return out;
}

Gpus pool_gpus(const Config& config, const PoolId& name) {
  const auto pool =
      std::find_if(config.pools.begin(), config.pools.end(), [&](const PoolConfig& p) { return p.name == name; });
  return pool == config.pools.end() ? Gpus{0} : pool->gpus;
}

/// Names of environment variables that hold secrets: no engine inherits them.
std::set<std::string> secret_variables(const Config& config) {
  std::set<std::string> out;
  const auto add = [&](const SecretRef& ref) {
    if (ref.where.rfind("env:", 0) == 0) out.insert(ref.where.substr(4));
  };
  const auto add_source = [&](const SourceConfig& source) {
    add(source.endpoint.bearer_token);
    add(source.endpoint.basic_password);
  };
  for (const TokenConfig& token : config.api.tokens) add(token.secret);
  for (const JobConfig& job : config.jobs) {
    add_source(job.demand_source);
    for (const DeploymentConfig& deployment : job.deployments) {
      for (const SourceConfig& source : deployment.sources) add_source(source);
    }
    const auto add_hotload = [&](const HotloadConfig& hotload) {
      add(hotload.endpoint.bearer_token);
      add(hotload.endpoint.basic_password);
    };
    add_hotload(job.snapshots.hotload);
    for (const ElsewhereConfig& elsewhere : job.snapshots.elsewhere) add_hotload(elsewhere.hotload);
    add(job.snapshots.s3.access_key_id);
    add(job.snapshots.s3.secret_access_key);
    add(job.snapshots.s3.session_token);
  }
  for (const ServiceConfig& service : config.services) {
    for (const DeploymentConfig& deployment : service.deployments) {
      for (const SourceConfig& source : deployment.sources) add_source(source);
    }
  }
  return out;
}

std::shared_ptr<Fleet> process_fleet(const Config& config, const FleetConfig& fleet, std::shared_ptr<Fleet> before,
                                     const FactoryParts& parts) {
  auto deployments = deployments_on(config, fleet.name);
  const Gpus gpus = pool_gpus(config, fleet.pool);
  if (const auto kept = std::dynamic_pointer_cast<ProcessFleet>(before)) {
    kept->configure(fleet, gpus, std::move(deployments));
    kept->hide(secret_variables(config));
    return kept;
  }
  ProcessFleetOptions options;
  options.fleet = fleet;
  options.gpus = gpus;
  options.deployments = std::move(deployments);
  options.directory = fleet.directory.empty() ? config.state_dir + "/fleets/" + fleet.name.value : fleet.directory;
  options.shim_path = parts.shim_path;
  options.secret_variables = secret_variables(config);
  return std::make_shared<ProcessFleet>(std::move(options), parts.http, parts.clock, parts.executor);
}

std::shared_ptr<MetricSource> source_of(const SourceConfig& config, const FactoryParts& parts) {
  if (config.kind == SourceKind::prometheus) return std::make_shared<PrometheusSource>(config, parts.http, parts.clock);
  return std::make_shared<ScrapeSource>(config, parts.http, parts.clock);
}

/// The adviser of a service's policy; the one before when nothing about it has changed, so that it keeps what it
/// learnt.
std::shared_ptr<Advisor> advisor_of(const Config& config, const ServiceConfig& service, const AdviserSpec& spec,
                                    const Wiring* before, const FactoryParts& parts) {
  ExecAdvisorOptions options;
  options.name = service.name.value;
  options.command = spec.plugin.empty() ? spec.command : std::vector<std::string>{parts.plugin_host_path, spec.plugin};
  options.deadline = spec.deadline;
  options.hidden = secret_variables(config);
  if (before != nullptr) {
    for (const auto& [id, advisor] : before->advisors) {
      const auto kept = std::dynamic_pointer_cast<ExecAdvisor>(advisor);
      if (kept != nullptr && kept->options() == options) return kept;
    }
  }
  return std::make_shared<ExecAdvisor>(std::move(options), parts.clock, parts.executor);
}

std::shared_ptr<Hotload> engine_hotload(const HotloadConfig& config, const SnapshotsConfig& snapshots,
                                        const FactoryParts& parts) {
  EngineHttp http(config.endpoint, parts.http, parts.clock);
  const std::string adapter = snapshots.adapter ? config.adapter_name : "";
  std::unique_ptr<const EngineDialect> dialect;
  if (config.kind == HotloadKind::vllm) {
    dialect = vllm_dialect(VllmOptions{config.vllm_update, adapter}, std::move(http));
  } else {
    dialect = sglang_dialect(SglangOptions{snapshots.store, config.checkpoint_dir, adapter}, std::move(http));
  }
  EngineHotloadOptions options{config, snapshots.store, snapshots.adapter};
  return std::make_shared<EngineHotload>(std::move(options), std::move(dialect), parts.http, parts.clock,
                                         parts.executor);
}

/// What loads the weights of one deployment. Null: nothing does.
std::shared_ptr<Hotload> hotload_of(const HotloadConfig& config, const JobConfig& job, const FactoryParts& parts) {
  switch (config.kind) {
    case HotloadKind::fireworks: {
      FireworksHotload::Options options{config, job.snapshots.adapter, job.snapshots.transition, {}};
      return std::make_shared<FireworksHotload>(std::move(options), parts.http, parts.clock);
    }
    case HotloadKind::coreweave: {
      CoreweaveHotload::Options options{config, {}};
      return std::make_shared<CoreweaveHotload>(std::move(options), parts.http, parts.clock);
    }
    case HotloadKind::vllm:
    case HotloadKind::sglang: return engine_hotload(config, job.snapshots, parts);
    default: return nullptr;
  }
}

/// Where a job's snapshots are. Null: no store is configured.
std::shared_ptr<SnapshotStore> store_of(const SnapshotsConfig& config, const FactoryParts& parts) {
  if (config.store.empty()) return nullptr;
  if (config.store.front() == '/') return std::make_shared<DirectoryStore>(config.store);
  return std::make_shared<S3Store>(config.store, config.s3, parts.http, parts.clock);
}

/// A store that is configured as before is kept, with what its verifier remembers of the chain.
void wire_store(const JobConfig& job, const Wiring* before, const FactoryParts& parts, Wiring& wiring) {
  const StoreSetting setting{job.snapshots.store, job.snapshots.s3, job.snapshots.adapter};
  SnapshotWiring& now = wiring.snapshots;
  wiring.store_settings[job.name] = setting;
  const bool same = before != nullptr && before->store_settings.contains(job.name) &&
                    before->store_settings.at(job.name) == setting && before->snapshots.stores.contains(job.name);
  if (same) {
    now.stores[job.name] = before->snapshots.stores.at(job.name);
    now.verifiers[job.name] = before->snapshots.verifiers.at(job.name);
  } else if (auto store = store_of(job.snapshots, parts)) {
    now.verifiers[job.name] = std::make_shared<StoreVerifier>(store, job.snapshots.adapter, parts.clock);
    now.stores[job.name] = std::move(store);
  }
}

/// Those of deployments about which nothing has changed are kept: they know of updates under way.
void wire_snapshots(const Config& config, const Wiring* before, const FactoryParts& parts, Wiring& wiring) {
  for (const JobConfig& job : config.jobs) {
    if (!job.snapshots.enabled) continue;
    const auto add = [&](const DeploymentId& id, const HotloadConfig& hotload) {
      HotloadSetting setting{hotload, job.snapshots.store, job.snapshots.adapter, job.snapshots.transition};
      if (before != nullptr) {
        const auto known = before->snapshots.hotloads.find(id);
        const auto was = before->hotload_settings.find(id);
        if (known != before->snapshots.hotloads.end() && was->second == setting) {
          wiring.snapshots.hotloads[id] = known->second;
        }
      }
      if (!wiring.snapshots.hotloads.contains(id)) {
        if (auto made = hotload_of(hotload, job, parts)) wiring.snapshots.hotloads[id] = std::move(made);
      }
      wiring.hotload_settings[id] = std::move(setting);
    };
    for (const DeploymentConfig& deployment : job.deployments) add(deployment.id, job.snapshots.hotload);
    for (const ElsewhereConfig& deployment : job.snapshots.elsewhere) add(deployment.id, deployment.hotload);
    wire_store(job, before, parts, wiring);
  }
}

}  // namespace

std::shared_ptr<const Wiring> make_wiring(const Config& config, const Wiring* before, const FactoryParts& parts) {
  auto wiring = std::make_shared<Wiring>();
  for (const FleetConfig& fleet : config.fleets) {
    std::shared_ptr<Fleet> known;
    if (before != nullptr && before->fleets.contains(fleet.name)) known = before->fleets.at(fleet.name);
    wiring->fleets[fleet.name] = process_fleet(config, fleet, known, parts);
  }
  for (const ServiceConfig& service : config.services) {
    for (const DeploymentConfig& deployment : service.deployments) {
      for (const SourceConfig& source : deployment.sources) {
        wiring->sources[deployment.id].push_back(source_of(source, parts));
      }
    }
    const std::optional<AdviserSpec> spec = service.capacity->adviser();
    if (!spec) continue;
    const std::shared_ptr<Advisor> advisor = advisor_of(config, service, *spec, before, parts);
    for (const DeploymentConfig& deployment : service.deployments) wiring->advisors[deployment.id] = advisor;
  }
  for (const JobConfig& job : config.jobs) {
    for (const DeploymentConfig& deployment : job.deployments) {
      if (deployment.sources.empty()) continue;  // one at most, of kind scrape: config/validate
      wiring->loads[deployment.id] = std::make_shared<ScrapeSource>(deployment.sources[0], parts.http, parts.clock);
    }
    if (job.demand != DemandKind::metric) continue;
    wiring->demand[job.name] = std::make_shared<PrometheusDemand>(job.demand_source, parts.http, parts.clock);
  }
  wire_snapshots(config, before, parts, *wiring);
  return wiring;
}

void close_wiring(const Wiring& wiring) {
  for (const auto& [id, fleet] : wiring.fleets) {
    if (const auto process = std::dynamic_pointer_cast<ProcessFleet>(fleet)) process->close();
  }
  for (const auto& [id, advisor] : wiring.advisors) {
    if (const auto child = std::dynamic_pointer_cast<ExecAdvisor>(advisor)) child->close();
  }
  for (const auto& [id, store] : wiring.snapshots.stores) store->close();
}

}  // namespace ebb
