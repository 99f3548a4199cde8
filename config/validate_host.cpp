// What belongs to this host: times, the listener, and what process fleets share.
#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "config/text.hpp"
#include "config/validate.hpp"

namespace ebb {
namespace {

struct Listen {
  std::string host;
  int port = 0;
};

std::optional<Listen> listen_from(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  Listen out{text.substr(0, colon), -1};
  const auto [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), out.port);
  if (error != std::errc{} || end != text.data() + text.size() || out.port < 0 || out.port > 65'535)
    return std::nullopt;
  const bool bracketed = out.host.front() == '[' && out.host.back() == ']';
  if (!bracketed && out.host.find(':') != std::string::npos) return std::nullopt;
  return out;
}

/// 127.0.0.0/8 in full, [::1] or localhost. "127.example.com" is somebody's host.
bool is_loopback(const std::string& host) {
  if (host == "localhost" || host == "[::1]") return true;
  const auto dots = std::count(host.begin(), host.end(), '.');
  const bool numeric = host.find_first_not_of("0123456789.") == std::string::npos;
  return numeric && dots == 3 && host.rfind("127.", 0) == 0;
}

bool is_absolute(const std::string& path) { return !path.empty() && path.front() == '/'; }

void expect_absolute(const std::string& value, const std::string& path, Report& report) {
  if (is_absolute(value) || !report.sound({path})) return;
  const std::string name = path.substr(path.find_last_of(']') == std::string::npos ? 0 : path.find_last_of('.') + 1);
  report.add(path, name + " must be an absolute path, got " + in_quotes(value));
}

void check_token(const TokenConfig& token, const std::string& path, Report& report) {
  check_secret(token.secret, path + ".secret", report);
  if (!report.sound({path + ".scopes"})) return;
  if (token.scopes.empty())
    report.add(path + ".scopes", "a token needs a scope: read, operate, publish or publish:JOB");
  for (const std::string& scope : token.scopes) {
    if (scope != "read" && scope != "operate" && scope != "publish" && scope.rfind("publish:", 0) != 0) {
      report.add(path + ".scopes", "a scope is read, operate, publish or publish:JOB, got " + in_quotes(scope));
    }
  }
}

using PoolOf = std::map<PoolId, const PoolConfig*>;

void check_ports(const FleetConfig& fleet, const std::string& path, const PoolConfig* pool, int api_port,
                 Report& report) {
  if (!report.sound({path + ".first_port", path + ".last_port"})) return;
  const int ports = fleet.last_port - fleet.first_port + 1;
  if (ports < 1) {
    return report.add(path + ".last_port", "last_port must be at least first_port, got " +
                                               std::to_string(fleet.last_port) + " with first_port " +
                                               std::to_string(fleet.first_port));
  }
  if (pool != nullptr && ports < pool->gpus.count && report.sound({path + ".pool"})) {
    report.add(path + ".last_port",
               "a port for each GPU is needed: " + std::to_string(pool->gpus.count) + ", got " + std::to_string(ports));
  }
  if (fleet.first_port <= api_port && api_port <= fleet.last_port) {
    report.add(path + ".first_port", "its ports contain that of api.listen, " + std::to_string(api_port));
  }
}

void check_gpu_ids(const FleetConfig& fleet, const std::string& path, const PoolConfig* pool, Report& report) {
  if (fleet.gpu_ids.empty() || !report.sound({path + ".gpu_ids"})) return;
  const std::set<std::string> distinct(fleet.gpu_ids.begin(), fleet.gpu_ids.end());
  if (distinct.size() != fleet.gpu_ids.size()) report.add(path + ".gpu_ids", "gpu_ids names a GPU twice");
  // A comma would hand an engine two GPUs and book one.
  const auto odd = std::find_if(distinct.begin(), distinct.end(), [](const std::string& id) {
    return id.empty() || id.find_first_of(", \t\n/") != std::string::npos;
  });
  if (odd != distinct.end())
    report.add(path + ".gpu_ids", "a GPU's name is one word as CUDA_VISIBLE_DEVICES takes it, got " + in_quotes(*odd));
  if (pool != nullptr && std::cmp_not_equal(fleet.gpu_ids.size(), pool->gpus.count)) {
    report.add(path + ".gpu_ids", "gpu_ids must name each GPU of its pool, got " +
                                      std::to_string(fleet.gpu_ids.size()) + " for " +
                                      std::to_string(pool->gpus.count));
  }
}

/// The names of the GPUs a fleet hands out.
std::vector<std::string> gpus_of(const FleetConfig& fleet, const PoolConfig* pool) {
  if (!fleet.gpu_ids.empty() || pool == nullptr) return fleet.gpu_ids;
  std::vector<std::string> ids;
  // There are no more GPUs than ports, or that was said already.
  for (int i = 0; i < std::min(pool->gpus.count, 65'536); ++i) ids.push_back(std::to_string(i));
  return ids;
}

/// Finds what two fleets claim. Each GPU, pool and directory goes to the first that names it.
class Claims {
 public:
  Claims(const Config& config, const PoolOf& pools, Report& report) : config_(config), pools_(pools), report_(report) {}

  void add(const FleetConfig& fleet, const std::string& path) {
    const auto pool = pools_.find(fleet.pool);
    const auto [owner, first] = by_pool_.emplace(fleet.pool, &fleet);
    if (!first && report_.sound({path + ".pool"})) {
      report_.add(path + ".pool", "pool " + in_quotes(fleet.pool.value) + " has a process fleet already, " +
                                      in_quotes(owner->second->name.value) + ": one GPU cannot have two owners");
    }
    if (first && report_.sound({path + ".gpu_ids"}))
      claim_gpus(fleet, path, pool == pools_.end() ? nullptr : pool->second);
    const std::string directory =
        fleet.directory.empty() ? config_.state_dir + "/fleets/" + fleet.name.value : fleet.directory;
    const auto [holder, fresh] = by_directory_.emplace(directory, &fleet);
    if (!fresh && report_.sound({path + ".directory", path + ".name"}) && holder->second->name != fleet.name) {
      report_.add(path + ".directory", "fleet " + in_quotes(holder->second->name.value) + " has the same directory, " +
                                           in_quotes(directory));
    }
    claim_ports(fleet, path);
  }

 private:
  void claim_gpus(const FleetConfig& fleet, const std::string& path, const PoolConfig* pool) {
    for (const std::string& id : gpus_of(fleet, pool)) {
      const auto [other, fresh] = by_gpu_.emplace(id, &fleet);
      if (fresh || other->second == &fleet) continue;
      report_.add(path + ".gpu_ids", "GPU " + in_quotes(id) + " belongs to fleet " +
                                         in_quotes(other->second->name.value) +
                                         " too: name each fleet's own in gpu_ids");
      return;
    }
  }

  void claim_ports(const FleetConfig& fleet, const std::string& path) {
    if (!report_.sound({path + ".first_port", path + ".last_port"}) || fleet.last_port < fleet.first_port) return;
    // The claimed ranges do not overlap, so only the last one that begins at or before our end can reach into ours.
    const auto after = by_port_.upper_bound(fleet.last_port);
    if (after != by_port_.begin() && std::prev(after)->second->last_port >= fleet.first_port) {
      report_.add(path + ".first_port",
                  "its ports overlap those of fleet " + in_quotes(std::prev(after)->second->name.value));
      return;
    }
    by_port_.emplace(fleet.first_port, &fleet);
  }

  const Config& config_;
  const PoolOf& pools_;
  Report& report_;
  std::map<PoolId, const FleetConfig*> by_pool_;
  std::map<std::string, const FleetConfig*> by_gpu_, by_directory_;
  std::map<int, const FleetConfig*> by_port_;
};

}  // namespace

void check_times(const Config& config, Report& report) {
  const auto rule = [&](bool holds, const std::string& option, Duration value, const std::string& than, Duration bound,
                        const std::string& relation) {
    if (holds || !report.sound({option, than})) return;
    report.add(option, option.substr(option.find_last_of('.') + 1) + " must be " + relation + ", got " +
                           to_text(value) + " with " + than.substr(than.find_last_of('.') + 1) + " " + to_text(bound));
  };
  rule(config.sample_interval <= config.tick, "sample_interval", config.sample_interval, "tick", config.tick,
       "at most the tick");
  rule(config.observe_timeout < config.sample_interval, "observe_timeout", config.observe_timeout, "sample_interval",
       config.sample_interval, "less than sample_interval");
  rule(config.stale_after >= 2 * config.sample_interval, "stale_after", config.stale_after, "sample_interval",
       config.sample_interval, "at least two sample_intervals");
  rule(config.failures.backoff_max >= config.failures.backoff_first, "failures.backoff_max",
       config.failures.backoff_max, "failures.backoff_first", config.failures.backoff_first, "at least backoff_first");
  for (std::size_t i = 0; i < config.services.size(); ++i) {
    // Fleets may take half of the time and sources must keep a quarter, or asking would cost the signals.
    const auto adviser = config.services[i].capacity ? config.services[i].capacity->adviser() : std::nullopt;
    if (!adviser) continue;
    rule(4 * adviser->deadline <= config.observe_timeout, at("services", i) + ".capacity.deadline", adviser->deadline,
         "observe_timeout", config.observe_timeout, "at most a quarter of observe_timeout");
  }
  for (std::size_t i = 0; i < config.fleets.size(); ++i) {
    // Leases are renewed six times in their time to live, but never more often than production is looked at.
    const FleetConfig& fleet = config.fleets[i];
    rule(fleet.lease_ttl >= 3 * config.sample_interval, at("fleets", i) + ".lease_ttl", fleet.lease_ttl,
         "sample_interval", config.sample_interval,
         "at least three sample_intervals, or RL would drain itself between two renewals");
  }
  expect_absolute(config.state_dir, "state_dir", report);
  if (!config.ledger.path.empty()) expect_absolute(config.ledger.path, "ledger.path", report);
}

void check_api(const ApiConfig& api, Report& report) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < api.tokens.size(); ++i) {
    const std::string path = at("api.tokens", i);
    check_token(api.tokens[i], path, report);
    if (report.sound({path + ".name"}) && !names.insert(api.tokens[i].name).second) {
      report.add(path + ".name", "there is another token called " + in_quotes(api.tokens[i].name));
    }
  }
  if (!report.sound({"api.listen"})) return;
  const std::optional<Listen> listen = listen_from(api.listen);
  if (!listen) {
    return report.add("api.listen",
                      "api.listen must be address:port, or [address]:port for IPv6, got " + in_quotes(api.listen));
  }
  if (!is_loopback(listen->host) && api.tokens.empty() && report.sound({"api.tokens"})) {
    report.add("api.listen",
               "to listen beyond loopback (" + in_quotes(listen->host) + "), api.tokens must name at least one token");
  }
}

void check_fleets(const Config& config, Report& report) {
  PoolOf pools;
  for (const PoolConfig& pool : config.pools) pools.emplace(pool.name, &pool);
  const std::optional<Listen> listen = listen_from(config.api.listen);
  Claims claims(config, pools, report);
  for (std::size_t i = 0; i < config.fleets.size(); ++i) {
    const FleetConfig& fleet = config.fleets[i];
    if (fleet.kind == FleetKind::simulated) continue;  // takes nothing of this host
    const std::string path = at("fleets", i);
    const auto found = pools.find(fleet.pool);
    const PoolConfig* pool = found == pools.end() ? nullptr : found->second;
    if (!fleet.directory.empty()) expect_absolute(fleet.directory, path + ".directory", report);
    check_ports(fleet, path, pool, listen ? listen->port : -1, report);
    check_gpu_ids(fleet, path, pool, report);
    claims.add(fleet, path);
  }
}

}  // namespace ebb
