// Names, references and sums: what one part of the configuration says about another.
#include "config/validate.hpp"

#include <algorithm>
#include <cstdint>
#include <set>

#include "config/text.hpp"

namespace ebb {
namespace {

// A pool's books are kept in ints, with room for sums of several.
constexpr std::int64_t kMostGpus = 100'000'000;

/// Names of one kind: well-formed and unique.
class Names {
 public:
  Names(Report& report, std::string what) : report_(report), what_(std::move(what)) {}

  void add(const std::string& path, const std::string& name) {
    if (!report_.sound({path + ".name"})) {
      complete_ = false;
    } else if (!is_name(name)) {
      report_.add(path + ".name",
                  "a name is made of a-z, 0-9 and '-', starts with a letter and has at most 63 characters, got " +
                      in_quotes(name));
      seen_.insert(name);
    } else if (!seen_.insert(name).second) {
      report_.add(path + ".name", "there is another " + what_ + " called " + in_quotes(name));
    }
  }
  /// The list could not be read in full, so what is not in it may be.
  void incomplete() { complete_ = false; }
  /// Reports a reference to a name that is not there.
  void expect(const std::string& path, const std::string& name) const {
    if (seen_.contains(name) || !complete_ || !report_.sound({path})) return;
    report_.add(path,
                "there is no " + what_ + " " + in_quotes(name) + did_you_mean(name, {seen_.begin(), seen_.end()}));
  }

 private:
  Report& report_;
  std::string what_;
  std::set<std::string> seen_;
  bool complete_ = true;
};

class Validator {
 public:
  Validator(const Config& config, Report& report)
      : config_(config),
        report_(report),
        pools_(report, "pool"),
        fleets_(report, "fleet"),
        owners_(report, "service or job") {}

  void run() {
    for (const PoolConfig& pool : config_.pools) pool_of_.emplace(pool.name, &pool);
    for (const FleetConfig& fleet : config_.fleets) {
      fleet_of_.emplace(fleet.name, &fleet);
      if (fleet.kind == FleetKind::simulated) simulated_.insert(fleet.pool);
    }
    if (!report_.sound({"pools"})) pools_.incomplete();
    if (!report_.sound({"fleets"})) fleets_.incomplete();
    for (std::size_t i = 0; i < config_.pools.size(); ++i) pools_.add(at("pools", i), config_.pools[i].name.value);
    for (std::size_t i = 0; i < config_.fleets.size(); ++i) {
      fleets_.add(at("fleets", i), config_.fleets[i].name.value);
      pools_.expect(at("fleets", i) + ".pool", config_.fleets[i].pool.value);
    }
    if (config_.pools.empty() && report_.sound({"pools"})) report_.add("pools", "at least one pool is needed");
    for (std::size_t i = 0; i < config_.services.size(); ++i) check_service(config_.services[i], at("services", i));
    for (std::size_t i = 0; i < config_.jobs.size(); ++i) check_job(config_.jobs[i], at("jobs", i));
    for (std::size_t i = 0; i < config_.pools.size(); ++i) check_sums(config_.pools[i], at("pools", i));
    check_guarantees();
  }

 private:
  void check_service(const ServiceConfig& service, const std::string& path) {
    owners_.add(path, service.name.value);
    check_deployments(service.deployments, service.model, path);
    check_capacity(service, path + ".capacity");
    for (std::size_t i = 0; i < service.deployments.size(); ++i) {
      const DeploymentConfig& deployment = service.deployments[i];
      const std::string here = at(path + ".deployments", i);
      const bool fits = report_.sound({path + ".owner", here + ".fleet"});
      if (fits && service.owner == Owner::ebb && deployment.fleet.empty()) {
        report_.add(here, "owner: ebb needs a fleet that runs the replicas");
      }
      if (fits && service.owner == Owner::external && !deployment.fleet.empty()) {
        report_.add(
            here + ".fleet",
            "owner: external: somebody else runs the replicas, so fleet must be left out; name them in a source");
      }
      // What a back-test models has no metrics to read.
      if (!simulated_.contains(deployment.pool)) check_sources(service, deployment, path, here);
    }
  }

  /// What the policy itself finds between its options.
  void check_capacity(const ServiceConfig& service, const std::string& path) {
    if (service.capacity == nullptr || !report_.sound({path})) return;
    for (const OptionProblem& problem : service.capacity->problems()) {
      const std::string place = path + "." + problem.option;
      bool sound = report_.sound({place});
      for (const std::string& option : problem.involved) sound = sound && report_.sound({path + "." + option});
      if (sound) report_.add(place, problem.what);
    }
  }

  void check_sources(const ServiceConfig& service, const DeploymentConfig& deployment, const std::string& path,
                     const std::string& here) {
    // Signals of a page; what Prometheus gives is named by its queries.
    static constexpr const char* kScraped[] = {"in_flight",    "running",        "waiting", "kv_usage",
                                               "tokens_per_s", "requests_per_s", "asleep",  "busy_requests"};
    static constexpr const char* kGuards[] = {"asked_replicas", "held_replicas", "reporters", "expected_reporters",
                                              "oldest_sample_age_s"};
    std::set<std::string> served;
    bool all_read = report_.sound({here + ".sources", path + ".capacity"});
    for (std::size_t i = 0; i < deployment.sources.size(); ++i) {
      const SourceConfig& source = deployment.sources[i];
      const std::string place = at(here + ".sources", i);
      check_source(source, place, report_);
      all_read = all_read && report_.sound({place + ".kind", place + ".queries"}) &&
                 (source.kind == SourceKind::scrape || !source.queries.empty());
      for (const auto& [name, query] : source.queries) served.insert(name);
      if (source.kind != SourceKind::scrape) continue;
      served.insert(std::begin(kScraped), std::end(kScraped));
      const bool external = service.owner == Owner::external && report_.sound({path + ".owner"});
      if (external && deployment.fleet.empty() && source.targets.empty() &&
          report_.sound({place + ".targets", here + ".fleet"})) {
        report_.add(place + ".targets", "without a fleet, a scrape source must name its targets");
      }
    }
    for (const char* guard : kGuards) served.erase(guard);
    if (!all_read || service.capacity == nullptr) return;
    const std::string name(service.capacity->name());
    const std::vector<std::string> needed = service.capacity->needs();
    for (const std::string& signal : needed) {
      if (served.contains(signal)) continue;
      report_.add(here + ".sources", "the policy '" + name + "' needs the signal " + in_quotes(signal) +
                                         ", which none of the sources gives" +
                                         did_you_mean(signal, {served.begin(), served.end()}));
    }
  }

  void check_job(const JobConfig& job, const std::string& path) {
    owners_.add(path, job.name.value);
    check_deployments(job.deployments, job.model, path);
    std::int64_t most = 0, least = 0;
    for (const DeploymentConfig& deployment : job.deployments) {
      most += deployment.max.count;
      least += deployment.min.count;
    }
    const std::string got = ", got " + std::to_string(job.guarantee.count);
    if (job.guarantee > job.max && report_.sound({path + ".guarantee", path + ".max"})) {
      report_.add(path + ".guarantee",
                  "guarantee must be at most max" + got + " with max " + std::to_string(job.max.count));
    } else if (job.guarantee.count > most && report_.sound({path + ".guarantee", path + ".deployments"})) {
      report_.add(path + ".guarantee", "guarantee must be at most what the deployments' max add up to" + got +
                                           " with " + std::to_string(most));
    }
    if (least > job.max.count && report_.sound({path + ".max", path + ".deployments"})) {
      report_.add(path + ".max", "max must be at least what the deployments' min add up to, got " +
                                     std::to_string(job.max.count) + " with " + std::to_string(least));
    }
    check_demand(job, path);
    check_loads(job, path);
    check_snapshots(job, path + ".snapshots", report_);
  }

  /// Who is asked what each replica works on.
  void check_loads(const JobConfig& job, const std::string& path) {
    if (job.victim == nullptr || !report_.sound({path + ".victim", path + ".deployments"})) return;
    const std::string victim = in_quotes(job.victim->name());
    for (std::size_t i = 0; i < job.deployments.size(); ++i) {
      const DeploymentConfig& deployment = job.deployments[i];
      const std::string here = at(path + ".deployments", i);
      const std::string place = here + ".sources";
      if (!report_.sound({place})) continue;
      if (!job.victim->looks_at_load()) {
        if (!deployment.sources.empty()) report_.add(place, "the victim policy " + victim + " does not look at them");
        continue;
      }
      if (simulated_.contains(deployment.pool)) {
        if (!deployment.sources.empty()) report_.add(place, "what a back-test models has no metrics to read");
        continue;
      }
      if (deployment.sources.size() != 1) {
        report_.add(deployment.sources.empty() ? here : place,
                    "the victim policy " + victim + " needs one source that tells what each replica works on");
        continue;
      }
      const SourceConfig& source = deployment.sources[0];
      const std::string only = at(place, 0);
      if (!report_.sound({only + ".kind", only + ".targets"})) continue;
      if (source.kind != SourceKind::scrape) {
        report_.add(only + ".kind", "what each replica works on only itself can tell: kind scrape");
      } else if (!source.targets.empty()) {
        report_.add(only + ".targets", "the replicas of the fleet are asked: targets must be left out");
      } else {
        check_source(source, only, report_);
      }
    }
  }

  void check_demand(const JobConfig& job, const std::string& path) {
    const std::string place = path + ".demand_source";
    if (!report_.sound({path + ".demand", place + ".kind", place + ".queries"})) return;
    if (job.demand != DemandKind::metric) {
      if (!job.demand_source.queries.empty()) report_.add(place, "demand_source is read with demand: metric only");
      return;
    }
    if (job.demand_source.kind != SourceKind::prometheus) {
      return report_.add(place, "demand: metric needs a demand_source of kind prometheus");
    }
    check_source(job.demand_source, place, report_);
    if (!job.demand_source.queries.contains("replicas")) report_.add(place, "demand_source needs the query 'replicas'");
  }

  void check_deployments(const std::vector<DeploymentConfig>& deployments, const std::string& model,
                         const std::string& path) {
    std::set<PoolId> seen;
    for (std::size_t i = 0; i < deployments.size(); ++i) {
      const std::string here = at(path + ".deployments", i);
      check_deployment(deployments[i], here);
      const bool started = !deployments[i].fleet.empty() && !simulated_.contains(deployments[i].pool);
      if (started) check_start(deployments[i], model, here, report_);
      if (!report_.sound({here + ".pool"}) || seen.insert(deployments[i].pool).second) continue;
      report_.add(here + ".pool", "there is another deployment in pool " + in_quotes(deployments[i].pool.value));
    }
    if (deployments.empty() && report_.sound({path + ".deployments"})) {
      report_.add(path + ".deployments", "at least one deployment is needed");
    }
  }

  void check_deployment(const DeploymentConfig& deployment, const std::string& path) {
    if (deployment.max < deployment.min && report_.sound({path + ".min", path + ".max"})) {
      report_.add(path + ".max", "max must be at least min, got " + std::to_string(deployment.max.count) +
                                     " with min " + std::to_string(deployment.min.count));
    }
    pools_.expect(path + ".pool", deployment.pool.value);
    const auto pool = pool_of_.find(deployment.pool);
    if (pool != pool_of_.end() && deployment.gpus_per_replica > pool->second->gpus &&
        report_.sound({path + ".gpus_per_replica"})) {
      report_.add(path + ".gpus_per_replica", "a replica of " + std::to_string(deployment.gpus_per_replica.count) +
                                                  " GPUs does not fit into pool " + in_quotes(deployment.pool.value) +
                                                  " of " + std::to_string(pool->second->gpus.count));
    }
    if (deployment.fleet.empty()) return;
    fleets_.expect(path + ".fleet", deployment.fleet.value);
    const auto fleet = fleet_of_.find(deployment.fleet);
    const bool elsewhere = fleet != fleet_of_.end() && fleet->second->pool != deployment.pool;
    if (elsewhere && pool_of_.contains(fleet->second->pool) && report_.sound({path + ".pool", path + ".fleet"})) {
      report_.add(path + ".fleet", "fleet " + in_quotes(deployment.fleet.value) + " runs on pool " +
                                       in_quotes(fleet->second->pool.value) + ", not on " +
                                       in_quotes(deployment.pool.value));
    }
  }

  /// What production needs at the least must fit into its pool; what anybody could hold must fit into our arithmetic.
  void check_sums(const PoolConfig& pool, const std::string& path) {
    std::int64_t floor = pool.headroom.count, ceiling = 0;
    const auto count = [&](const DeploymentConfig& deployment, bool production) {
      if (deployment.pool != pool.name) return;
      const std::int64_t each = deployment.gpus_per_replica.count;
      if (production) floor += deployment.min.count * each;
      ceiling += deployment.max.count * each;
    };
    for (const ServiceConfig& service : config_.services) {
      for (const DeploymentConfig& deployment : service.deployments) count(deployment, true);
    }
    for (const JobConfig& job : config_.jobs) {
      for (const DeploymentConfig& deployment : job.deployments) count(deployment, false);
    }
    if (!report_.sound({path + ".gpus", path + ".headroom", "services", "jobs"})) return;
    if (floor > pool.gpus.count) {
      report_.add(path + ".gpus", "production's min and the headroom need " + std::to_string(floor) +
                                      " GPUs, the pool has " + std::to_string(pool.gpus.count));
    }
    if (ceiling > kMostGpus) {
      report_.add(path + ".name", "max x gpus_per_replica of its deployments add up to " + std::to_string(ceiling) +
                                      " GPUs, more than " + std::to_string(kMostGpus));
    }
  }

  /// What jobs are promised together must be there when production needs nothing.
  void check_guarantees() {
    std::int64_t promised = 0, there = 0;
    std::set<PoolId> used;
    std::string last;
    for (std::size_t i = 0; i < config_.jobs.size(); ++i) {
      const JobConfig& job = config_.jobs[i];
      if (job.guarantee.count == 0 || job.deployments.empty()) continue;
      const auto smallest =
          std::min_element(job.deployments.begin(), job.deployments.end(),
                           [](const auto& a, const auto& b) { return a.gpus_per_replica < b.gpus_per_replica; });
      promised += std::int64_t{job.guarantee.count} * smallest->gpus_per_replica.count;
      for (const DeploymentConfig& deployment : job.deployments) used.insert(deployment.pool);
      last = at("jobs", i);
    }
    for (const PoolId& name : used) {
      const auto pool = pool_of_.find(name);
      if (pool != pool_of_.end()) there += pool->second->gpus.count;
    }
    if (promised <= there || report_.count() > 0) return;  // a pool or a count may be missing from the sums
    report_.add(last + ".guarantee", "the guarantees of all jobs need " + std::to_string(promised) +
                                         " GPUs, their pools have " + std::to_string(there));
  }

  const Config& config_;
  Report& report_;
  Names pools_, fleets_, owners_;
  std::map<PoolId, const PoolConfig*> pool_of_;
  std::map<FleetId, const FleetConfig*> fleet_of_;
  std::set<PoolId> simulated_;  ///< pools whose fleet runs nothing
};

}  // namespace

bool is_name(std::string_view name) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !name.empty() && name.size() <= 63 && name.front() >= 'a' && name.front() <= 'z' &&
         std::all_of(name.begin(), name.end(), fits);
}

std::string at(const std::string& list, std::size_t i) { return list + "[" + std::to_string(i) + "]"; }

void validate(const Config& config, Report& report) {
  check_times(config, report);
  check_api(config.api, report);
  Validator(config, report).run();
  check_fleets(config, report);
  check_backtest(config, report);
  check_publish_scopes(config, report);
}

}  // namespace ebb
