#include "daemon/model/json_delta.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "daemon/model/json.hpp"

namespace ebb {
namespace {

using nlohmann::json;

// A memory no longer than this is kept whole when it changes.
constexpr std::size_t kFewNumbers = 16;

const ReplicaId& key_of(const ReplicaSeen& replica) { return replica.id; }
template <class Key, class Value>
const Key& key_of(const std::pair<const Key, Value>& entry) {
  return entry.first;
}

/// Walks two ranges that are sorted by key. `changed(entry)` for what `from` lacks or has otherwise, `gone(key)` for
/// what only `from` has.
template <class Range, class Changed, class Gone>
void compare(const Range& from, const Range& to, Changed changed, Gone gone) {
  auto old = from.begin();
  for (const auto& entry : to) {
    for (; old != from.end() && key_of(*old) < key_of(entry); ++old) gone(key_of(*old));
    const bool both = old != from.end() && key_of(*old) == key_of(entry);
    if (!both || !(*old == entry)) changed(entry);
    if (both) ++old;
  }
  for (; old != from.end(); ++old) gone(key_of(*old));
}

template <class Map>
void diff(const Map& from, const Map& to, Map& patch, json& gone, const char* section) {
  json names = json::array();
  compare(
      from, to, [&](const auto& entry) { patch.insert(patch.end(), entry); },
      [&](const auto& key) { names.push_back(key.value); });
  if (!names.empty()) gone[section] = std::move(names);
}

template <class Map>
void apply(Map& into, Map& patch, const json& gone, const char* section) {
  for (auto& [key, value] : patch) into[key] = std::move(value);
  const auto names = gone.find(section);
  if (names == gone.end()) return;
  for (const json& name : *names) into.erase(typename Map::key_type(name.get<std::string>()));
}

PolicyMemory& memory_of(DeploymentMemory& value) { return value.policy; }
PolicyMemory& memory_of(PolicyMemory& value) { return value; }
const PolicyMemory& memory_of(const DeploymentMemory& value) { return value.policy; }
const PolicyMemory& memory_of(const PolicyMemory& value) { return value; }

/// Takes the numbers out of the patch where few of them changed; says those that did.
template <class Map>
json sparse_numbers(Map& patch, const Map& from) {
  json out = json::object();
  for (auto& [id, value] : patch) {
    const auto old = from.find(id);
    std::vector<double>& now = memory_of(value).numbers;
    if (old == from.end() || now.size() <= kFewNumbers) continue;
    const std::vector<double>& before = memory_of(old->second).numbers;
    if (before.size() != now.size()) continue;
    json changes = json::array();
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (before[i] != now[i]) changes.push_back(json::array({i, now[i]}));
    }
    if (changes.size() * 2 > now.size()) continue;
    out[id.value] = std::move(changes);
    now.clear();
  }
  return out;
}

/// Before the patch is applied: gives its memories their numbers back.
template <class Map>
void restore_numbers(Map& patch, Map& from, const json& sparse) {
  for (const auto& [name, changes] : sparse.items()) {
    const typename Map::key_type id(name);
    std::vector<double>& numbers = memory_of(patch.at(id)).numbers;
    numbers = memory_of(from.at(id)).numbers;
    for (const json& change : changes) numbers.at(change.at(0).get<std::size_t>()) = change.at(1).get<double>();
  }
}

template <class F>
auto guarded(F f) -> decltype(f()) {
  try {
    return f();
  } catch (const std::exception& bad) {
    return Error{ErrorCode::malformed, std::string("a delta: ") + bad.what(), false};
  }
}

const json& section(const json& delta, const char* name) {
  static const json kNone = json::object();
  const auto found = delta.find(name);
  return found == delta.end() ? kNone : *found;
}

void add(json& out, const char* name, json value) {
  if (!value.empty()) out[name] = std::move(value);
}

/// Only what changed of a fleet that was known before; null when it was not.
json fleet_diff(const Reading<FleetSeen>* from, const Reading<FleetSeen>& to, Reading<FleetSeen>& patch) {
  if (from == nullptr || !from->known() || !to.known()) {
    patch = to;
    return nullptr;
  }
  Sample<FleetSeen> sample{{}, to.sample()->taken_at};
  sample.value.unusable = to.value().unusable;
  json gone = json::array();
  compare(
      from->value().replicas, to.value().replicas,
      [&](const ReplicaSeen& replica) { sample.value.replicas.push_back(replica); },
      [&](const ReplicaId& id) { gone.push_back(id.value); });
  patch = std::move(sample);
  return gone;
}

FleetSeen merged(FleetSeen from, FleetSeen patch, const json& gone) {
  std::map<ReplicaId, ReplicaSeen> replicas;
  for (ReplicaSeen& replica : from.replicas) replicas.emplace(replica.id, std::move(replica));
  for (ReplicaSeen& replica : patch.replicas) replicas[replica.id] = replica;
  for (const json& id : gone) replicas.erase(ReplicaId(id.get<std::string>()));
  patch.replicas.clear();
  for (auto& [id, replica] : replicas) patch.replicas.push_back(std::move(replica));
  return patch;
}

}  // namespace

json delta(const Observation& from, const Observation& to) {
  Observation patch;
  patch.at = to.at;
  json gone = json::object(), fleets = json::object();
  for (const auto& [id, fleet] : to.fleets) {
    const auto old = from.fleets.find(id);
    json left = fleet_diff(old == from.fleets.end() ? nullptr : &old->second, fleet, patch.fleets[id]);
    if (!left.is_null()) fleets[id.value] = std::move(left);
  }
  diff(from.workloads, to.workloads, patch.workloads, gone, "workloads");
  diff(from.demand, to.demand, patch.demand, gone, "demand");
  diff(from.loads, to.loads, patch.loads, gone, "loads");
  diff(from.current, to.current, patch.current, gone, "current");
  patch.busy = to.busy;
  patch.loading = to.loading;
  json out = json::object();
  out["patch"] = to_json(patch);
  add(out, "gone", std::move(gone));
  add(out, "fleets", std::move(fleets));
  return out;
}

Result<Observation> applied(Observation from, const json& delta) {
  return guarded([&]() -> Result<Observation> {
    Result<Observation> patch = observation_from(delta.at("patch"));
    if (!patch.ok()) return patch.error();
    for (const auto& [name, left] : section(delta, "fleets").items()) {
      const FleetId id(name);
      Sample<FleetSeen>* sample = patch->fleets.at(id).sample();
      Sample<FleetSeen>* old = from.fleets.at(id).sample();
      if (sample == nullptr || old == nullptr) return Error{ErrorCode::malformed, "a delta of no fleet", false};
      sample->value = merged(std::move(old->value), std::move(sample->value), left);
    }
    const json& gone = section(delta, "gone");
    from.at = patch->at;
    from.fleets = std::move(patch->fleets);
    from.busy = std::move(patch->busy);
    from.loading = std::move(patch->loading);
    apply(from.workloads, patch->workloads, gone, "workloads");
    apply(from.demand, patch->demand, gone, "demand");
    apply(from.loads, patch->loads, gone, "loads");
    apply(from.current, patch->current, gone, "current");
    return from;
  });
}

json delta(const State& from, const State& to) {
  State patch;
  patch.tick = to.tick;
  patch.started_at = to.started_at;
  json gone = json::object(), numbers = json::object();
  diff(from.leases, to.leases, patch.leases, gone, "leases");
  diff(from.deployments, to.deployments, patch.deployments, gone, "deployments");
  diff(from.slack, to.slack, patch.slack, gone, "slack");
  diff(from.growth, to.growth, patch.growth, gone, "growth");
  diff(from.overrides, to.overrides, patch.overrides, gone, "overrides");
  diff(from.demand, to.demand, patch.demand, gone, "demand");
  add(numbers, "deployments", sparse_numbers(patch.deployments, from.deployments));
  add(numbers, "growth", sparse_numbers(patch.growth, from.growth));
  json out = json::object();
  out["patch"] = to_json(patch);
  add(out, "gone", std::move(gone));
  add(out, "numbers", std::move(numbers));
  return out;
}

Result<State> applied(State from, const json& delta) {
  return guarded([&]() -> Result<State> {
    Result<State> patch = state_from(delta.at("patch"));
    if (!patch.ok()) return patch.error();
    const json& numbers = section(delta, "numbers");
    restore_numbers(patch->deployments, from.deployments, section(numbers, "deployments"));
    restore_numbers(patch->growth, from.growth, section(numbers, "growth"));
    const json& gone = section(delta, "gone");
    from.tick = patch->tick;
    from.started_at = patch->started_at;
    apply(from.leases, patch->leases, gone, "leases");
    apply(from.deployments, patch->deployments, gone, "deployments");
    apply(from.slack, patch->slack, gone, "slack");
    apply(from.growth, patch->growth, gone, "growth");
    apply(from.overrides, patch->overrides, gone, "overrides");
    apply(from.demand, patch->demand, gone, "demand");
    return from;
  });
}

}  // namespace ebb
