#include "config/validate.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace ebb {
namespace {

std::string at(const std::string& list, std::size_t i) { return list + "[" + std::to_string(i) + "]"; }

bool is_name(const std::string& name) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !name.empty() && name.size() <= 63 && name.front() >= 'a' && name.front() <= 'z' &&
         std::all_of(name.begin(), name.end(), fits);
}

/// Names of one list: well-formed and unique.
class Names {
 public:
  Names(Report& report, std::string what) : report_(report), what_(std::move(what)) {}
  void add(const std::string& path, const std::string& name) {
    if (name.empty()) return;  // reported as missing already
    if (!is_name(name)) {
      report_.add(
          path + ".name",
          "a name is made of a-z, 0-9 and '-', starts with a letter and has at most 63 characters, got '" + name + "'");
    } else if (!seen_.insert(name).second) {
      report_.add(path + ".name", "there is another " + what_ + " called '" + name + "'");
    }
  }
  /// Reports a reference to a name that is not there.
  [[nodiscard]] bool has(const std::string& path, const std::string& name) {
    if (name.empty() || seen_.contains(name)) return true;
    const std::string meant = nearest(name, {seen_.begin(), seen_.end()});
    report_.add(path,
                "there is no " + what_ + " '" + name + "'" + (meant.empty() ? "" : "; did you mean '" + meant + "'?"));
    return false;
  }

 private:
  Report& report_;
  std::string what_;
  std::set<std::string> seen_;
};

void check_secret(const SecretRef& secret, const std::string& path, Report& report) {
  const std::string& where = secret.where;
  const bool file = where.rfind("file:/", 0) == 0 && where.size() > 6;
  const bool env = where.rfind("env:", 0) == 0 && where.size() > 4;
  // The text is not repeated: it may be the secret itself.
  if (!where.empty() && !file && !env)
    report.add(path, "a secret is given as file:/absolute/path or env:NAME, never as it is");
}

bool is_url(const std::string& url) { return url.rfind("http://", 0) == 0 || url.rfind("https://", 0) == 0; }

void check_prometheus(const SourceConfig& source, const std::string& path, Report& report) {
  if (!is_url(source.endpoint.url)) {
    report.add(path + ".endpoint.url",
               "a prometheus source needs endpoint.url, http:// or https://, got '" + source.endpoint.url + "'");
  }
  if (source.queries.empty()) report.add(path + ".queries", "a prometheus source needs at least one query");
  for (const auto& [name, query] : source.queries) {
    std::string spaceless;
    std::copy_if(query.begin(), query.end(), std::back_inserter(spaceless), [](char c) { return c != ' '; });
    if (spaceless.find("orvector(") != std::string::npos) {
      report.add(path + ".queries." + name,
                 "'or vector(...)' makes a number out of no data, and production would look idle: absence is not zero");
    }
    if (query.empty()) report.add(path + ".queries." + name, "the query is empty");
  }
  check_secret(source.endpoint.bearer_token, path + ".endpoint.bearer_token", report);
  check_secret(source.endpoint.basic_password, path + ".endpoint.basic_password", report);
}

class Validator {
 public:
  Validator(const Config& config, Report& report)
      : config_(config),
        report_(report),
        pools_(report, "pool"),
        fleets_(report, "fleet"),
        owners_(report, "service or job") {}

  void run() {
    check_times();
    check_api();
    for (std::size_t i = 0; i < config_.pools.size(); ++i) pools_.add(at("pools", i), config_.pools[i].name.value);
    for (std::size_t i = 0; i < config_.fleets.size(); ++i) fleets_.add(at("fleets", i), config_.fleets[i].name.value);
    for (std::size_t i = 0; i < config_.fleets.size(); ++i) check_fleet(config_.fleets[i], at("fleets", i));
    check_host();
    for (std::size_t i = 0; i < config_.services.size(); ++i) check_service(config_.services[i], at("services", i));
    for (std::size_t i = 0; i < config_.jobs.size(); ++i) check_job(config_.jobs[i], at("jobs", i));
    check_floors();
  }

 private:
  void check_times() {
    const auto span = [](Duration d) { return to_text(d); };
    if (config_.sample_interval > config_.tick) {
      report_.add("sample_interval", "sample_interval must be at most the tick, got " + span(config_.sample_interval) +
                                         " with tick " + span(config_.tick));
    }
    if (config_.observe_timeout >= config_.sample_interval) {
      report_.add("observe_timeout", "observe_timeout must be less than sample_interval, got " +
                                         span(config_.observe_timeout) + " with sample_interval " +
                                         span(config_.sample_interval));
    }
    if (config_.stale_after < 2 * config_.sample_interval) {
      report_.add("stale_after", "stale_after must be at least two sample_intervals, got " + span(config_.stale_after) +
                                     " with sample_interval " + span(config_.sample_interval));
    }
    if (config_.failures.backoff_max < config_.failures.backoff_first) {
      report_.add("failures.backoff_max", "backoff_max must be at least backoff_first");
    }
    if (config_.state_dir.empty() || config_.state_dir.front() != '/') {
      report_.add("state_dir", "state_dir must be an absolute path, got '" + config_.state_dir + "'");
    }
    if (config_.pools.empty() && !report_.places.contains("pools")) return;
    if (config_.pools.empty()) report_.add("pools", "at least one pool is needed");
  }

  void check_api() {
    const std::string& listen = config_.api.listen;
    const auto colon = listen.rfind(':');
    int port = -1;
    if (colon != std::string::npos) {
      const auto [end, error] = std::from_chars(listen.data() + colon + 1, listen.data() + listen.size(), port);
      if (error != std::errc{} || end != listen.data() + listen.size()) port = -1;
    }
    if (port < 0 || port > 65'535) {
      report_.add("api.listen", "api.listen must be address:port, got '" + listen + "'");
      return;
    }
    const std::string host = listen.substr(0, colon);
    const bool loopback = host == "localhost" || host == "[::1]" || host.rfind("127.", 0) == 0;
    if (!loopback && config_.api.tokens.empty()) {
      report_.add("api.listen", "to listen beyond loopback (" + host + "), api.tokens must name at least one token");
    }
    std::set<std::string> names;
    for (std::size_t i = 0; i < config_.api.tokens.size(); ++i) {
      const TokenConfig& token = config_.api.tokens[i];
      const std::string path = at("api.tokens", i);
      check_secret(token.secret, path + ".secret", report_);
      if (!names.insert(token.name).second)
        report_.add(path + ".name", "there is another token called '" + token.name + "'");
      if (token.scopes.empty()) report_.add(path + ".scopes", "a token needs a scope: read, operate");
      for (const std::string& scope : token.scopes) {
        if (scope != "read" && scope != "operate")
          report_.add(path + ".scopes", "a scope is read or operate, got '" + scope + "'");
      }
    }
  }

  void check_fleet(const FleetConfig& fleet, const std::string& path) {
    if (fleet.last_port < fleet.first_port) {
      report_.add(path + ".last_port", "last_port must be at least first_port, got " + std::to_string(fleet.last_port) +
                                           " with first_port " + std::to_string(fleet.first_port));
    }
    if (!fleet.directory.empty() && fleet.directory.front() != '/') {
      report_.add(path + ".directory", "directory must be an absolute path, got '" + fleet.directory + "'");
    }
    if (!pools_.has(path + ".pool", fleet.pool.value)) return;
    const PoolConfig* pool = pool_of(fleet.pool);
    if (pool == nullptr) return;
    const auto other = std::find_if(config_.fleets.begin(), config_.fleets.end(),
                                    [&](const FleetConfig& f) { return f.pool == fleet.pool; });
    if (&*other != &fleet)
      report_.add(path + ".pool", "pool '" + fleet.pool.value + "' has a process fleet already, '" + other->name.value +
                                      "': one GPU cannot have two owners");
    const auto ids = static_cast<int>(fleet.gpu_ids.size());
    if (ids != 0 && ids != pool->gpus.count) {
      report_.add(path + ".gpu_ids", "gpu_ids must name each GPU of its pool, got " + std::to_string(ids) + " for " +
                                         std::to_string(pool->gpus.count));
    }
    if (std::set<std::string>(fleet.gpu_ids.begin(), fleet.gpu_ids.end()).size() != fleet.gpu_ids.size()) {
      report_.add(path + ".gpu_ids", "gpu_ids names a GPU twice");
    }
    if (fleet.last_port - fleet.first_port + 1 < pool->gpus.count) {
      report_.add(path + ".last_port", "a port for each GPU is needed: " + std::to_string(pool->gpus.count) + ", got " +
                                           std::to_string(fleet.last_port - fleet.first_port + 1));
    }
  }

  /// The names of the GPUs a fleet hands out.
  [[nodiscard]] std::set<std::string> gpus_of(const FleetConfig& fleet) const {
    if (!fleet.gpu_ids.empty()) return {fleet.gpu_ids.begin(), fleet.gpu_ids.end()};
    std::set<std::string> ids;
    const PoolConfig* pool = pool_of(fleet.pool);
    for (int i = 0; pool != nullptr && i < pool->gpus.count; ++i) ids.insert(std::to_string(i));
    return ids;
  }

  /// Process fleets share this host: its ports and its GPUs.
  void check_host() {
    for (std::size_t i = 0; i < config_.fleets.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const FleetConfig& a = config_.fleets[i];
        const FleetConfig& b = config_.fleets[j];
        const std::set<std::string> others = gpus_of(b);
        for (const std::string& id : a.pool == b.pool ? std::set<std::string>{} : gpus_of(a)) {
          if (!others.contains(id)) continue;
          report_.add(at("fleets", i) + ".gpu_ids",
                      "GPU " + id + " belongs to fleet '" + b.name.value + "' too: name each fleet's own in gpu_ids");
          break;
        }
        if (a.first_port <= b.last_port && b.first_port <= a.last_port) {
          report_.add(at("fleets", i) + ".first_port", "its ports overlap those of fleet '" + b.name.value + "'");
        }
      }
    }
  }

  void check_deployment(const DeploymentConfig& deployment, const std::string& path) {
    if (deployment.max < deployment.min) {
      report_.add(path + ".max", "max must be at least min, got " + std::to_string(deployment.max.count) +
                                     " with min " + std::to_string(deployment.min.count));
    }
    const bool pool_known = pools_.has(path + ".pool", deployment.pool.value);
    const PoolConfig* pool = pool_known ? pool_of(deployment.pool) : nullptr;
    if (pool != nullptr && deployment.gpus_per_replica > pool->gpus) {
      report_.add(path + ".gpus_per_replica", "a replica of " + std::to_string(deployment.gpus_per_replica.count) +
                                                  " GPUs does not fit into pool '" + pool->name.value + "' of " +
                                                  std::to_string(pool->gpus.count));
    }
    if (deployment.fleet.empty() || !fleets_.has(path + ".fleet", deployment.fleet.value)) return;
    const auto fleet = std::find_if(config_.fleets.begin(), config_.fleets.end(),
                                    [&](const FleetConfig& f) { return f.name == deployment.fleet; });
    if (fleet != config_.fleets.end() && fleet->pool != deployment.pool) {
      report_.add(path + ".fleet", "fleet '" + fleet->name.value + "' runs on pool '" + fleet->pool.value +
                                       "', not on '" + deployment.pool.value + "'");
    }
    if (deployment.command.empty()) {
      report_.add(path + ".command", "a process fleet needs the command that starts a replica");
    } else if (std::none_of(deployment.command.begin(), deployment.command.end(),
                            [](const std::string& word) { return word.find("{port}") != std::string::npos; })) {
      report_.add(path + ".command", "the command must contain {port}: each replica listens on its own");
    }
    if (deployment.health_path.empty() || deployment.health_path.front() != '/')
      report_.add(path + ".health_path", "health_path must start with /");
  }

  void check_unique_pools(const std::vector<DeploymentConfig>& deployments, const std::string& path) {
    std::set<PoolId> seen;
    for (std::size_t i = 0; i < deployments.size(); ++i) {
      if (!deployments[i].pool.empty() && !seen.insert(deployments[i].pool).second) {
        report_.add(at(path + ".deployments", i) + ".pool",
                    "there is another deployment in pool '" + deployments[i].pool.value + "'");
      }
    }
    if (deployments.empty() && report_.places.contains(path + ".deployments"))
      report_.add(path + ".deployments", "at least one deployment is needed");
  }

  void check_service(const ServiceConfig& service, const std::string& path) {
    owners_.add(path, service.name.value);
    check_unique_pools(service.deployments, path);
    for (std::size_t i = 0; i < service.deployments.size(); ++i) {
      const DeploymentConfig& deployment = service.deployments[i];
      const std::string here = at(path + ".deployments", i);
      check_deployment(deployment, here);
      if (service.owner == Owner::ebb && deployment.fleet.empty()) {
        report_.add(here, "owner: ebb needs a fleet that runs the replicas");
      }
      if (service.owner == Owner::external && !deployment.fleet.empty()) {
        report_.add(
            here + ".fleet",
            "owner: external: somebody else runs the replicas, so fleet must be left out; name them in a source");
      }
      check_sources(service, deployment, here);
    }
  }

  void check_sources(const ServiceConfig& service, const DeploymentConfig& deployment, const std::string& path) {
    std::set<std::string> served;
    for (std::size_t i = 0; i < deployment.sources.size(); ++i) {
      const SourceConfig& source = deployment.sources[i];
      const std::string here = at(path + ".sources", i);
      if (source.kind == SourceKind::prometheus) {
        check_prometheus(source, here, report_);
        for (const auto& [name, query] : source.queries) served.insert(name);
        continue;
      }
      served.insert(
          {"in_flight", "running", "waiting", "kv_usage", "tokens_per_s", "requests_per_s", "asleep", "busy_requests"});
      if (deployment.fleet.empty() && source.targets.empty())
        report_.add(here + ".targets", "without a fleet, a scrape source must name its targets");
      for (const std::string& target : source.targets) {
        if (!is_url(target))
          report_.add(here + ".targets", "a target is a URL, http:// or https://, got '" + target + "'");
      }
    }
    if (service.capacity == nullptr) return;  // the element was no mapping, which is reported already
    for (const std::string& signal : service.capacity->needs()) {
      if (served.contains(signal)) continue;
      report_.add(path + ".sources", "the policy '" + std::string(service.capacity->name()) + "' needs the signal '" +
                                         signal + "', which none of the sources gives");
    }
  }

  void check_job(const JobConfig& job, const std::string& path) {
    owners_.add(path, job.name.value);
    check_unique_pools(job.deployments, path);
    for (std::size_t i = 0; i < job.deployments.size(); ++i)
      check_deployment(job.deployments[i], at(path + ".deployments", i));
    if (job.guarantee > job.max)
      report_.add(path + ".guarantee", "guarantee must be at most max, got " + std::to_string(job.guarantee.count) +
                                           " with max " + std::to_string(job.max.count));
    if (job.demand != DemandKind::metric) return;
    if (job.demand_source.kind != SourceKind::prometheus)
      return report_.add(path + ".demand_source", "demand: metric needs a demand_source of kind prometheus");
    check_prometheus(job.demand_source, path + ".demand_source", report_);
    if (!job.demand_source.queries.contains("replicas"))
      report_.add(path + ".demand_source", "demand_source needs the query 'replicas'");
  }

  /// What production needs at the least must fit into its pool.
  void check_floors() {
    for (std::size_t i = 0; i < config_.pools.size(); ++i) {
      const PoolConfig& pool = config_.pools[i];
      Gpus floor = pool.headroom;
      for (const ServiceConfig& service : config_.services) {
        for (const DeploymentConfig& deployment : service.deployments) {
          if (deployment.pool == pool.name) floor += deployment.min * deployment.gpus_per_replica;
        }
      }
      if (floor > pool.gpus) {
        report_.add(at("pools", i) + ".gpus", "production's min and the headroom need " + std::to_string(floor.count) +
                                                  " GPUs, the pool has " + std::to_string(pool.gpus.count));
      }
    }
  }

  [[nodiscard]] const PoolConfig* pool_of(const PoolId& name) const {
    for (const PoolConfig& pool : config_.pools) {
      if (pool.name == name) return &pool;
    }
    return nullptr;
  }

  const Config& config_;
  Report& report_;
  Names pools_, fleets_, owners_;
};

}  // namespace

void validate(const Config& config, Report& report) { Validator(config, report).run(); }

}  // namespace ebb
