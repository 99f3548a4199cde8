#include "tests/emulators/load/router.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace ebb::emulator {

namespace {

std::string text_of(const nlohmann::json& item, const char* key) {
  const auto found = item.find(key);
  return found != item.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool belongs(const nlohmann::json& item, const std::string& deployment) {
  for (const char* key : {"deployment", "service", "job", "workload"}) {
    const std::string name = text_of(item, key);
    if (name == deployment || name.starts_with(deployment + "@")) return true;
  }
  return false;
}

bool serves(const nlohmann::json& item) {
  // Said by the daemon itself: a job's replica may be ready and still lack the weights it should have.
  if (const auto said = item.find("serves"); said != item.end() && said->is_boolean()) return said->get<bool>();
  const std::string phase = text_of(item, "phase");
  return phase == "ready" || phase == "serving";
}

}  // namespace

Result<std::vector<ListedReplica>> listed_from(std::string_view text, const std::string& deployment) {
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  const Error bad{ErrorCode::malformed, "no list of replicas", true};
  if (parsed.is_discarded()) return bad;
  const bool wrapped = parsed.is_object() && parsed.contains("replicas");
  const nlohmann::json list = wrapped ? parsed.at("replicas") : parsed;
  if (!list.is_array()) return bad;
  std::vector<ListedReplica> found;
  for (const auto& item : list) {
    if (!item.is_object() || !belongs(item, deployment) || !serves(item)) continue;
    const auto address = host_port_from(text_of(item, "address"));
    if (!address) continue;
    ListedReplica replica;
    replica.at = *address;
    replica.id = text_of(item, "id");
    found.push_back(std::move(replica));
  }
  std::sort(found.begin(), found.end());
  const auto same = [](const ListedReplica& a, const ListedReplica& b) { return a.at == b.at; };
  found.erase(std::unique(found.begin(), found.end(), same), found.end());
  return found;
}

Result<std::vector<HostPort>> replicas_from(std::string_view text, const std::string& deployment) {
  const auto listed = listed_from(text, deployment);
  if (!listed) return listed.error();
  std::vector<HostPort> found;
  for (const ListedReplica& replica : *listed) found.push_back(replica.at);
  return found;
}

void Router::set_endpoints(std::vector<HostPort> endpoints) {
  endpoints_ = std::move(endpoints);
  std::erase_if(loads_, [this](const auto& entry) { return entry.second.in_flight == 0 && !knows(entry.first); });
}

std::optional<HostPort> Router::pick(double now) {
  const HostPort* best = nullptr;
  for (const HostPort& endpoint : endpoints_) {
    const Load& load = loads_[endpoint];
    if (load.avoid_until > now) continue;
    if (best == nullptr) {
      best = &endpoint;
      continue;
    }
    const Load& least = loads_[*best];
    if (std::pair(load.in_flight, load.last_used) < std::pair(least.in_flight, least.last_used)) best = &endpoint;
  }
  if (best == nullptr) return std::nullopt;
  return *best;
}

void Router::began(const HostPort& to) {
  Load& load = loads_[to];
  ++load.in_flight;
  load.last_used = ++uses_;
}

void Router::ended(const HostPort& to) { --loads_[to].in_flight; }

void Router::avoid(const HostPort& to, double until) { loads_[to].avoid_until = until; }

int Router::in_flight(const HostPort& to) const {
  const auto found = loads_.find(to);
  return found == loads_.end() ? 0 : found->second.in_flight;
}

bool Router::knows(const HostPort& to) const {
  return std::find(endpoints_.begin(), endpoints_.end(), to) != endpoints_.end();
}

Discovery::Discovery(DiscoveryConfig config, Router& router, Signal& changed)
    : config_(std::move(config)), router_(router), changed_(changed) {}

Status Discovery::prepare() {
  std::vector<HostPort> fixed;
  for (const std::string& target : config_.targets) {
    const auto address = host_port_from(target);
    if (!address) return address.error();
    fixed.push_back(*address);
  }
  if (config_.api.empty() == fixed.empty()) {
    return Error{ErrorCode::invalid, "give either --ebb or --targets", false};
  }
  router_.set_endpoints(fixed);
  if (config_.api.empty()) return Done{};
  const auto api = host_port_from(config_.api);
  if (!api) return api.error();
  api_ = *api;
  return Done{};
}

std::string Discovery::name_of(const HostPort& at) const {
  const auto found = names_.find(at);
  return found == names_.end() ? std::string() : found->second;
}

awaitable<void> Discovery::run() {
  while (!stopped_ && !config_.api.empty()) {
    co_await poll();
    co_await pause(config_.every_s);
  }
}

awaitable<void> Discovery::poll() {
  const auto answer = co_await fetch(api_, "GET", "/v1/replicas", "", 2);
  if (!answer || answer->status != 200) {
    ++failures_;
    co_return;
  }
  const auto listed = listed_from(answer->body, config_.deployment);
  if (!listed) {
    ++failures_;
    co_return;
  }
  std::vector<HostPort> list;
  for (const ListedReplica& replica : *listed) {
    list.push_back(replica.at);
    names_[replica.at] = replica.id;
  }
  const bool differs = list != router_.endpoints();
  router_.set_endpoints(std::move(list));
  if (differs) changed_.notify();
}

}  // namespace ebb::emulator
