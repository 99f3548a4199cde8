#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "daemon/model/json.hpp"
#include "daemon/model/json_words.hpp"

namespace ebb {
namespace {

using namespace words;
using nlohmann::json;

// ---------------------------------------------------------------- reading, checked (STYLE 46-48)

/// Inside this file only; every public function turns it into Error{malformed}.
struct Bad : std::runtime_error {
  using std::runtime_error::runtime_error;
};

const json& field(const json& object, const char* name) {
  if (!object.is_object()) throw Bad(std::string("expected an object with '") + name + "'");
  const auto it = object.find(name);
  if (it == object.end()) throw Bad(std::string("'") + name + "' is missing");
  return *it;
}

template <class T>
T read(const json& object, const char* name);

template <>
std::int64_t read(const json& object, const char* name) {
  const json& v = field(object, name);
  if (!v.is_number_integer()) throw Bad(std::string("'") + name + "' is not an integer");
  if (v.is_number_unsigned() && v.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    throw Bad(std::string("'") + name + "' is too large");
  }
  return v.get<std::int64_t>();
}
template <>
int read(const json& object, const char* name) {
  const auto v = read<std::int64_t>(object, name);
  if (v < INT32_MIN || v > INT32_MAX) throw Bad(std::string("'") + name + "' is out of range");
  return static_cast<int>(v);
}
template <>
std::uint64_t read(const json& object, const char* name) {
  const auto v = read<std::int64_t>(object, name);
  if (v < 0) throw Bad(std::string("'") + name + "' is negative");
  return static_cast<std::uint64_t>(v);
}
template <>
double read(const json& object, const char* name) {
  const json& v = field(object, name);
  if (!v.is_number() || !std::isfinite(v.get<double>()))
    throw Bad(std::string("'") + name + "' is not a finite number");
  return v.get<double>();
}
template <>
bool read(const json& object, const char* name) {
  const json& v = field(object, name);
  if (!v.is_boolean()) throw Bad(std::string("'") + name + "' is not true or false");
  return v.get<bool>();
}
template <>
std::string read(const json& object, const char* name) {
  const json& v = field(object, name);
  if (!v.is_string()) throw Bad(std::string("'") + name + "' is not a string");
  return v.get<std::string>();
}
template <>
TimePoint read(const json& object, const char* name) {
  const auto at = from_iso(read<std::string>(object, name));
  if (!at) throw Bad(std::string("'") + name + "' is not a time like 2026-03-01T14:03:20.125Z");
  return *at;
}
template <>
Replicas read(const json& object, const char* name) {
  return {read<int>(object, name)};
}
template <>
Gpus read(const json& object, const char* name) {
  return {read<int>(object, name)};
}

template <class E, std::size_t N>
E read_word(const json& object, const char* name, const Words<E, N>& words) {
  const auto word = read<std::string>(object, name);
  for (const auto& [value, text] : words.table) {
    if (word == text) return value;
  }
  throw Bad(std::string("'") + name + "' is '" + word + "', which is none of its words");
}

const json& read_array(const json& object, const char* name) {
  const json& v = field(object, name);
  if (!v.is_array()) throw Bad(std::string("'") + name + "' is not a list");
  return v;
}
const json& read_object(const json& object, const char* name) {
  const json& v = field(object, name);
  if (!v.is_object()) throw Bad(std::string("'") + name + "' is not an object");
  return v;
}
bool has(const json& object, const char* name) { return object.is_object() && object.contains(name); }

template <class F>
auto guarded(F read_all) -> Result<decltype(read_all())> {
  try {
    return read_all();
  } catch (const std::exception& e) {
    return Error{ErrorCode::malformed, e.what(), false};
  }
}

ReplicaSeen replica_from(const json& j) {
  ReplicaSeen replica;
  replica.id = ReplicaId(read<std::string>(j, "id"));
  replica.deployment = DeploymentId(read<std::string>(j, "deployment"));
  replica.phase = read_word(j, "phase", kReplicaPhases);
  replica.since = read<TimePoint>(j, "since");
  replica.started_at = read<TimePoint>(j, "started_at");
  replica.gpus = read<Gpus>(j, "gpus");
  replica.address = read<std::string>(j, "address");
  replica.slots = read<std::string>(j, "slots");
  replica.detail = read<std::string>(j, "detail");
  replica.failed = read<bool>(j, "failed");
  return replica;
}

void value_from(const json& object, double& v) { v = read<double>(object, "value"); }
void value_from(const json& object, Replicas& v) { v = read<Replicas>(object, "value"); }
void value_from(const json& object, Advice& v) {
  v.need = read<double>(object, "value");
  v.note = read<std::string>(object, "note");
}
void value_from(const json& object, ReplicaLoads& v) {
  const json& loads = read_object(object, "value");
  for (const auto& [id, load] : loads.items()) v[ReplicaId(id)] = read<double>(loads, id.c_str());
}
void value_from(const json& object, FleetSeen& v) {
  const json& fleet = read_object(object, "value");
  for (const json& replica : read_array(fleet, "replicas")) v.replicas.push_back(replica_from(replica));
  v.unusable = read<Gpus>(fleet, "unusable");
}

template <class T>
Reading<T> reading_from(const json& j) {
  if (has(j, "missing")) return Missing{read<std::string>(j, "missing"), read<TimePoint>(j, "since")};
  Sample<T> sample{};
  value_from(j, sample.value);
  sample.taken_at = read<TimePoint>(j, "at");
  return sample;
}

SignalSeen signal_of(const json& j) {
  SignalSeen seen;
  seen.value = reading_from<double>(j);
  if (has(j, "at_least")) seen.at_least = read<double>(j, "at_least");
  return seen;
}

WorkloadSeen workload_from(const json& j) {
  WorkloadSeen workload;
  for (const auto& [name, signal] : read_object(j, "signals").items()) workload.signals[name] = signal_of(signal);
  workload.asked = reading_from<Replicas>(field(j, "asked"));
  workload.held = reading_from<Replicas>(field(j, "held"));
  workload.reported = read<int>(j, "reported");
  workload.expected = read<int>(j, "expected");
  if (has(j, "advice")) workload.advice = reading_from<Advice>(field(j, "advice"));
  return workload;
}

Lease lease_from(const json& j) {
  Lease lease;
  lease.deployment = DeploymentId(read<std::string>(j, "deployment"));
  lease.phase = read_word(j, "phase", kLeasePhases);
  lease.since = read<TimePoint>(j, "since");
  lease.asked_at = read<TimePoint>(j, "asked_at");
  lease.drain_deadline = read<TimePoint>(j, "drain_deadline");
  lease.said_at = read<TimePoint>(j, "said_at");
  lease.gpus = read<Gpus>(j, "gpus");
  lease.evicted = read<bool>(j, "evicted");
  lease.seen = read<bool>(j, "seen");
  if (has(j, "start_took_ms")) {
    lease.start_took = Duration{read<std::int64_t>(j, "start_took_ms")};
  } else if (lease.phase == LeasePhase::serving) {
    lease.start_took = lease.since - lease.asked_at;  // written before it was kept
  }
  return lease;
}

PolicyMemory policy_from(const json& j) {
  PolicyMemory memory;
  memory.version = read<int>(j, "version");
  for (const json& number : read_array(j, "numbers")) {
    if (!number.is_number() || !std::isfinite(number.get<double>()))
      throw Bad("'numbers' holds something that is no number");
    memory.numbers.push_back(number.get<double>());
  }
  return memory;
}

DeploymentMemory memory_from(const json& j) {
  DeploymentMemory memory;
  memory.policy = policy_from(read_object(j, "policy"));
  memory.last_need = read<Replicas>(j, "last_need");
  memory.known_at = read<TimePoint>(j, "known_at");
  memory.last_grow = read<TimePoint>(j, "last_grow");
  memory.last_reclaim = read<TimePoint>(j, "last_reclaim");
  memory.failures = read<int>(j, "failures");
  memory.last_failure = read<TimePoint>(j, "last_failure");
  return memory;
}

Override override_of(const json& j) {
  Override out;
  out.id = OverrideId(read<std::string>(j, "id"));
  out.kind = read_word(j, "kind", kOverrideKinds);
  out.target = read<std::string>(j, "target");
  out.replicas = read<Replicas>(j, "replicas");
  out.reason = read<std::string>(j, "reason");
  out.owner = read<std::string>(j, "owner");
  out.created_at = read<TimePoint>(j, "created_at");
  out.expires_at = read<TimePoint>(j, "expires_at");
  return out;
}

Demand demand_of(const json& j) {
  Demand out;
  if (has(j, "replicas")) out.replicas = read<double>(j, "replicas");
  if (has(j, "rollouts")) out.rollouts = read<double>(j, "rollouts");
  out.set_at = read<TimePoint>(j, "set_at");
  out.expires_at = read<TimePoint>(j, "expires_at");
  return out;
}

State state_of(const json& j) {
  State state;
  state.tick = read<std::uint64_t>(j, "tick");
  state.started_at = read<TimePoint>(j, "started_at");
  for (const auto& [id, lease] : read_object(j, "leases").items()) state.leases[ReplicaId(id)] = lease_from(lease);
  for (const auto& [id, memory] : read_object(j, "deployments").items()) {
    state.deployments[DeploymentId(id)] = memory_from(memory);
  }
  for (const auto& [id, window] : read_object(j, "slack").items()) {
    auto& seen = state.slack[PoolId(id)];
    if (!window.is_array()) throw Bad("'slack' holds something that is no list");
    for (const json& entry : window) seen.push_back({read<TimePoint>(entry, "at"), read<Gpus>(entry, "gpus")});
  }
  for (const auto& [id, memory] : read_object(j, "growth").items()) state.growth[PoolId(id)] = policy_from(memory);
  for (const auto& [id, value] : read_object(j, "overrides").items()) {
    state.overrides[OverrideId(id)] = override_of(value);
  }
  for (const auto& [id, value] : read_object(j, "demand").items()) state.demand[JobId(id)] = demand_of(value);
  return state;
}

Arg arg_from(const json& j) {
  if (j.is_number_integer()) return j.get<std::int64_t>();
  if (j.is_number()) return j.get<double>();
  if (j.is_string()) return j.get<std::string>();
  if (has(j, "ms")) return Duration{read<std::int64_t>(j, "ms")};
  if (has(j, "at")) return read<TimePoint>(j, "at");
  throw Bad("an argument is neither number, string, time nor duration");
}

Step step_from(const json& j) {
  Step step;
  step.stage = read_word(j, "stage", kStages);
  step.rule = read<std::string>(j, "rule");
  step.subject = read<std::string>(j, "subject");
  // A list of pairs, since the order of arguments is part of the explanation.
  for (const json& pair : read_array(j, "args")) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string())
      throw Bad("'args' holds something that is no pair");
    step.args.emplace_back(pair[0].get<std::string>(), arg_from(pair[1]));
  }
  return step;
}

Action action_of(const json& j) {
  Action action;
  action.id = ActionId(read<std::string>(j, "id"));
  action.kind = read_word(j, "kind", kActionKinds);
  action.fleet = FleetId(read<std::string>(j, "fleet"));
  action.deployment = DeploymentId(read<std::string>(j, "deployment"));
  for (const json& id : read_array(j, "replicas")) {
    if (!id.is_string()) throw Bad("'replicas' holds something that is no name");
    action.replicas.emplace_back(id.get<std::string>());
  }
  action.gpus_each = read<Gpus>(j, "gpus_each");
  action.deadline = read<TimePoint>(j, "deadline");
  return action;
}

}  // namespace

Result<Observation> observation_from(const json& j) {
  return guarded([&] {
    Observation seen;
    seen.at = read<TimePoint>(j, "at");
    for (const auto& [id, fleet] : read_object(j, "fleets").items()) {
      seen.fleets[FleetId(id)] = reading_from<FleetSeen>(fleet);
    }
    for (const auto& [id, workload] : read_object(j, "workloads").items()) {
      seen.workloads[DeploymentId(id)] = workload_from(workload);
    }
    for (const auto& [id, demand] : read_object(j, "demand").items()) {
      seen.demand[JobId(id)] = reading_from<double>(demand);
    }
    for (const json& id : read_array(j, "busy")) seen.busy.insert(DeploymentId(id.get<std::string>()));
    if (has(j, "loading")) {
      for (const json& id : read_array(j, "loading")) seen.loading.insert(DeploymentId(id.get<std::string>()));
    }
    if (has(j, "loads")) {
      for (const auto& [id, loads] : read_object(j, "loads").items())
        seen.loads[DeploymentId(id)] = reading_from<ReplicaLoads>(loads);
    }
    if (has(j, "current")) {  // since schema 2
      for (const auto& [job, names] : read_object(j, "current").items()) {
        std::set<ReplicaId>& current = seen.current[JobId(job)];
        for (const json& id : names) current.insert(ReplicaId(id.get<std::string>()));
      }
    }
    return seen;
  });
}

Result<SignalSeen> signal_from(const json& j) {
  return guarded([&] { return signal_of(j); });
}

Result<State> state_from(const json& j) {
  return guarded([&] { return state_of(j); });
}

Result<Action> action_from(const json& j) {
  return guarded([&] { return action_of(j); });
}

Result<Plan> plan_from(const json& j) {
  return guarded([&] {
    if (!j.is_array()) throw Bad("a plan is a list of actions");
    Plan plan;
    for (const json& action : j) plan.actions.push_back(action_of(action));
    return plan;
  });
}

Result<Outcome> outcome_from(const json& j) {
  return guarded([&] {
    Outcome outcome;
    outcome.action = ActionId(read<std::string>(j, "action"));
    outcome.kind = read_word(j, "outcome", kOutcomeKinds);
    outcome.detail = read<std::string>(j, "detail");
    outcome.at = read<TimePoint>(j, "at");
    outcome.attempts = read<int>(j, "attempts");
    for (const json& id : read_array(j, "not_started")) outcome.not_started.emplace_back(id.get<std::string>());
    return outcome;
  });
}

Result<Override> override_from(const json& j) {
  return guarded([&] { return override_of(j); });
}

Result<Demand> demand_from(const json& j) {
  return guarded([&] { return demand_of(j); });
}

Result<Event> event_from(const json& j) {
  return guarded([&] {
    Event event;
    event.seq = read<std::uint64_t>(j, "seq");
    event.at = read<TimePoint>(j, "at");
    event.kind = read<std::string>(j, "kind");
    event.subject = read<std::string>(j, "subject");
    event.detail = read<std::string>(j, "detail");
    if (has(j, "set")) event.set = override_of(field(j, "set"));
    if (has(j, "cleared")) event.cleared = OverrideId(read<std::string>(j, "cleared"));
    if (has(j, "demand")) event.demand = demand_of(field(j, "demand"));
    return event;
  });
}

Result<Explanation> explanation_from(const json& j) {
  return guarded([&] {
    if (!j.is_array()) throw Bad("an explanation is a list of steps");
    Explanation why;
    for (const json& step : j) why.push_back(step_from(step));
    return why;
  });
}

}  // namespace ebb
