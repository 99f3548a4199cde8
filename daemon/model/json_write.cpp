#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "daemon/model/json.hpp"
#include "daemon/model/json_text.hpp"
#include "daemon/model/json_words.hpp"

namespace ebb {
namespace {

using nlohmann::json;

json value_json(double v) { return v; }
json value_json(Replicas v) { return v.count; }
json value_json(const Advice& advice) { return advice.need; }
json value_json(const ReplicaLoads& loads) {
  json out = json::object();
  // Mostly whole, and a ledger holds one for every replica.
  for (const auto& [id, load] : loads) {
    const bool whole = std::abs(load) < 1e15 && load == std::trunc(load);
    out[id.value] = whole ? json(static_cast<std::int64_t>(load)) : json(load);
  }
  return out;
}
json value_json(const FleetSeen& fleet) {
  json replicas = json::array();
  for (const ReplicaSeen& replica : fleet.replicas) replicas.push_back(to_json(replica));
  json out = json::object();
  out["replicas"] = std::move(replicas);
  out["unusable"] = fleet.unusable.count;
  return out;
}

/// What stands beside the value in a reading.
template <class T>
void add_more(json&, const T&) {}
void add_more(json& out, const Advice& advice) { out["note"] = advice.note; }

template <class T>
json reading_json(const Reading<T>& reading) {
  json out = json::object();
  if (const auto* sample = reading.sample()) {
    out["value"] = value_json(sample->value);
    out["at"] = to_iso(sample->taken_at);
    add_more(out, sample->value);
  } else {
    out["missing"] = reading.missing()->why;
    out["since"] = to_iso(reading.missing()->since);
  }
  return out;
}

json workload_json(const WorkloadSeen& workload) {
  json signals = json::object();
  for (const auto& [name, signal] : workload.signals) signals[name] = to_json(signal);
  json out = json::object();
  out["signals"] = std::move(signals);
  out["asked"] = reading_json(workload.asked);
  out["held"] = reading_json(workload.held);
  out["reported"] = workload.reported;
  out["expected"] = workload.expected;
  if (workload.advice != Reading<Advice>{}) out["advice"] = reading_json(workload.advice);
  return out;
}

json lease_json(const Lease& lease) {
  json out = json::object();
  out["deployment"] = lease.deployment.value;
  out["phase"] = to_string(lease.phase);
  out["since"] = to_iso(lease.since);
  out["asked_at"] = to_iso(lease.asked_at);
  out["drain_deadline"] = to_iso(lease.drain_deadline);
  out["said_at"] = to_iso(lease.said_at);
  out["gpus"] = lease.gpus.count;
  out["evicted"] = lease.evicted;
  out["seen"] = lease.seen;
  if (lease.start_took) out["start_took_ms"] = lease.start_took->count();
  return out;
}

json policy_json(const PolicyMemory& memory) {
  return json::object({{"version", memory.version}, {"numbers", memory.numbers}});
}

json memory_json(const DeploymentMemory& memory) {
  json out = json::object();
  out["policy"] = policy_json(memory.policy);
  out["last_need"] = memory.last_need.count;
  out["known_at"] = to_iso(memory.known_at);
  out["last_grow"] = to_iso(memory.last_grow);
  out["last_reclaim"] = to_iso(memory.last_reclaim);
  out["failures"] = memory.failures;
  out["last_failure"] = to_iso(memory.last_failure);
  return out;
}

// Types survive the way through JSON: times and durations are tagged, whole doubles stay doubles.
json arg_json(const Arg& arg) {
  struct Write {
    json operator()(std::int64_t v) const { return v; }
    json operator()(double v) const { return v; }
    json operator()(const std::string& v) const { return v; }
    json operator()(Duration v) const { return json::object({{"ms", v.count()}}); }
    json operator()(TimePoint v) const { return json::object({{"at", to_iso(v)}}); }
  };
  return std::visit(Write{}, arg);
}

json ids_json(const std::vector<ReplicaId>& ids) {
  json out = json::array();
  for (const ReplicaId& id : ids) out.push_back(id.value);
  return out;
}

}  // namespace

const char* to_string(ReplicaPhase phase) { return words::kReplicaPhases.word(phase); }
const char* to_string(LeasePhase phase) { return words::kLeasePhases.word(phase); }
const char* to_string(OverrideKind kind) { return words::kOverrideKinds.word(kind); }

json to_json(const SignalSeen& signal) {
  json out = reading_json(signal.value);
  if (signal.at_least) out["at_least"] = *signal.at_least;
  return out;
}

json to_json(const ReplicaSeen& replica) {
  json out = json::object();
  out["id"] = replica.id.value;
  out["deployment"] = replica.deployment.value;
  out["phase"] = to_string(replica.phase);
  out["since"] = to_iso(replica.since);
  out["started_at"] = to_iso(replica.started_at);
  out["gpus"] = replica.gpus.count;
  out["address"] = replica.address;
  out["slots"] = replica.slots;
  out["detail"] = replica.detail;
  out["failed"] = replica.failed;
  return out;
}

json to_json(const Observation& seen) {
  json out = json::object();
  out["at"] = to_iso(seen.at);
  out["fleets"] = json::object();
  for (const auto& [id, fleet] : seen.fleets) out["fleets"][id.value] = reading_json(fleet);
  out["workloads"] = json::object();
  for (const auto& [id, workload] : seen.workloads) out["workloads"][id.value] = workload_json(workload);
  out["demand"] = json::object();
  for (const auto& [id, demand] : seen.demand) out["demand"][id.value] = reading_json(demand);
  out["busy"] = json::array();
  for (const DeploymentId& id : seen.busy) out["busy"].push_back(id.value);
  for (const DeploymentId& id : seen.loading) out["loading"].push_back(id.value);
  for (const auto& [id, loads] : seen.loads) out["loads"][id.value] = reading_json(loads);
  for (const auto& [job, replicas] : seen.current) {
    json& names = out["current"][job.value] = json::array();
    for (const ReplicaId& id : replicas) names.push_back(id.value);
  }
  return out;
}

json to_json(const State& state) {
  json out = json::object();
  out["tick"] = state.tick;
  out["started_at"] = to_iso(state.started_at);
  out["leases"] = json::object();
  for (const auto& [id, lease] : state.leases) out["leases"][id.value] = lease_json(lease);
  out["deployments"] = json::object();
  for (const auto& [id, memory] : state.deployments) out["deployments"][id.value] = memory_json(memory);
  out["slack"] = json::object();
  for (const auto& [id, window] : state.slack) {
    json entries = json::array();
    for (const SlackSeen& entry : window) {
      entries.push_back(json::object({{"at", to_iso(entry.at)}, {"gpus", entry.slack.count}}));
    }
    out["slack"][id.value] = std::move(entries);
  }
  out["growth"] = json::object();
  for (const auto& [id, memory] : state.growth) out["growth"][id.value] = policy_json(memory);
  out["overrides"] = json::object();
  for (const auto& [id, value] : state.overrides) out["overrides"][id.value] = to_json(value);
  out["demand"] = json::object();
  for (const auto& [id, value] : state.demand) out["demand"][id.value] = to_json(value);
  return out;
}

json to_json(const Action& action) {
  json out = json::object();
  out["id"] = action.id.value;
  out["kind"] = to_string(action.kind);
  out["fleet"] = action.fleet.value;
  out["deployment"] = action.deployment.value;
  out["replicas"] = ids_json(action.replicas);
  out["gpus_each"] = action.gpus_each.count;
  out["deadline"] = to_iso(action.deadline);
  return out;
}

json to_json(const Plan& plan) {
  json out = json::array();
  for (const Action& action : plan.actions) out.push_back(to_json(action));
  return out;
}

json to_json(const Outcome& outcome) {
  json out = json::object();
  out["action"] = outcome.action.value;
  out["outcome"] = to_string(outcome.kind);
  out["detail"] = outcome.detail;
  out["at"] = to_iso(outcome.at);
  out["attempts"] = outcome.attempts;
  out["not_started"] = ids_json(outcome.not_started);
  return out;
}

json to_json(const Override& value) {
  json out = json::object();
  out["id"] = value.id.value;
  out["kind"] = to_string(value.kind);
  out["target"] = value.target;
  out["replicas"] = value.replicas.count;
  out["reason"] = value.reason;
  out["owner"] = value.owner;
  out["created_at"] = to_iso(value.created_at);
  out["expires_at"] = to_iso(value.expires_at);
  return out;
}

json to_json(const Demand& demand) {
  json out = json::object();
  if (demand.replicas) out["replicas"] = *demand.replicas;
  if (demand.rollouts) out["rollouts"] = *demand.rollouts;
  out["set_at"] = to_iso(demand.set_at);
  out["expires_at"] = to_iso(demand.expires_at);
  return out;
}

json to_json(const Event& event) {
  json out = json::object();
  out["seq"] = event.seq;
  out["at"] = to_iso(event.at);
  out["kind"] = event.kind;
  out["subject"] = event.subject;
  out["detail"] = event.detail;
  if (event.set) out["set"] = to_json(*event.set);
  if (event.cleared) out["cleared"] = event.cleared->value;
  if (event.demand) out["demand"] = to_json(*event.demand);
  return out;
}

json to_json(const Step& step) {
  json args = json::array();
  for (const auto& [name, value] : step.args) args.push_back(json::array({name, arg_json(value)}));
  json out = json::object();
  out["stage"] = to_string(step.stage);
  out["rule"] = step.rule;
  out["subject"] = step.subject;
  out["args"] = std::move(args);
  out["text"] = to_sentence(step);
  return out;
}

json to_json(const Explanation& why) {
  json out = json::array();
  for (const Step& step : why) out.push_back(to_json(step));
  return out;
}

json to_json(const PoolSummary& pool) {
  json out = json::object();
  out["gpus"] = pool.gpus.count;
  out["reserve"] = pool.reserve.count;
  out["slack"] = pool.slack.count;
  out["production"] = pool.production.count;
  out["rl"] = pool.rl.count;
  out["unusable"] = pool.unusable.count;
  out["blind"] = pool.blind;
  return out;
}

json to_json(const DeploymentSummary& deployment) {
  json out = json::object();
  out["need"] = deployment.need.count;
  out["target"] = deployment.target.count;
  out["ready"] = deployment.ready.count;
  out["starting"] = deployment.starting.count;
  out["draining"] = deployment.draining.count;
  out["held"] = deployment.held.count;
  out["known"] = deployment.known;
  return out;
}

namespace {

json all_but_why(const Decision& decision) {
  json out = json::object();
  out["tick"] = decision.tick;
  out["at"] = to_iso(decision.at);
  out["early"] = decision.early;
  out["plan"] = to_json(decision.plan);
  out["pools"] = json::object();
  for (const auto& [id, pool] : decision.pools) out["pools"][id.value] = to_json(pool);
  out["deployments"] = json::object();
  for (const auto& [id, deployment] : decision.deployments) out["deployments"][id.value] = to_json(deployment);
  out["admission"] = json::object();
  for (const auto& [id, limit] : decision.admission) out["admission"][id.value] = limit;
  out["alarms"] = json::array();
  for (const Alarm& alarm : decision.alarms) {
    out["alarms"].push_back(json::object({{"rule", alarm.rule}, {"subject", alarm.subject}}));
  }
  return out;
}

/// Half of what is recorded in a tick: written without building a document of it first.
void append_row(std::string& out, const Step& step) {
  char before = '[';
  out += "{\"args\":";
  for (const auto& [name, value] : step.args) {
    out += std::exchange(before, ',');
    out += '[';
    append_json_string(out, name);
    out += ',';
    if (const auto* words = std::get_if<std::string>(&value))
      append_json_string(out, *words);
    else
      append_json(out, arg_json(value));
    out += ']';
  }
  out += before == '[' ? "[]" : "]";
  out += ",\"rule\":";
  append_json_string(out, step.rule);
  out += ",\"stage\":";
  append_json_string(out, to_string(step.stage));
  out += ",\"subject\":";
  append_json_string(out, step.subject);
  out += '}';
}

}  // namespace

json to_json(const Decision& decision) {
  json out = all_but_why(decision);
  out["why"] = to_json(decision.why);
  return out;
}

std::string decision_row(const Decision& decision) {
  std::string out = json_text(all_but_why(decision));
  // Members stand in the order of their names: this one is the last.
  out.back() = ',';
  out += "\"why\":";
  char before = '[';
  for (const Step& step : decision.why) {
    out += std::exchange(before, ',');
    append_row(out, step);
  }
  out += before == '[' ? "[]}" : "]}";
  return out;
}

}  // namespace ebb
