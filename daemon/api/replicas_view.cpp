#include <nlohmann/json.hpp>

#include "daemon/api/views.hpp"
#include "daemon/model/json.hpp"

namespace ebb {
namespace {

using nlohmann::json;

struct Holder {
  std::string name;
  const char* role = "unknown";
};

using Owners = std::map<DeploymentId, Holder>;

Owners owners_of(const Config& config) {
  Owners owners;
  for (const ServiceConfig& service : config.services) {
    for (const DeploymentConfig& d : service.deployments) owners[d.id] = {service.name.value, "service"};
  }
  for (const JobConfig& job : config.jobs) {
    for (const DeploymentConfig& d : job.deployments) owners[d.id] = {job.name.value, "job"};
  }
  return owners;
}

double seconds(Duration span) { return static_cast<double>(span.count()) / 1000; }

struct Row {
  ReplicaSeen seen;
  std::string phase;
  const Lease* lease = nullptr;
};

/// Where requests may be sent: it answers, it does not leave, and a job's has the weights it should have.
bool serves(const Row& row, bool of_job, const std::map<ReplicaId, WeightsShown>* weights) {
  if (row.phase != to_string(ReplicaPhase::ready)) return false;
  if (!of_job) return true;
  const LeasePhase lease = row.lease == nullptr ? LeasePhase::starting : row.lease->phase;
  if (weights == nullptr) return lease == LeasePhase::serving;
  const auto known = weights->find(row.seen.id);
  // The coordinator knows sooner than the next decision, which is what moves a lease.
  return (lease == LeasePhase::serving || lease == LeasePhase::syncing) && known != weights->end() &&
         known->second.serves;
}

json row_json(const Row& row, const Owners& owners, const JobsWeights& jobs, TimePoint now) {
  const auto owner = owners.find(row.seen.deployment);
  const auto job = owner == owners.end() ? jobs.end() : jobs.find(JobId(owner->second.name));
  const auto* weights = job == jobs.end() ? nullptr : &job->second;
  const bool of_job = owner == owners.end() || owner->second.role == std::string_view("job");
  json out = json::object();
  out["id"] = row.seen.id.value;
  out["deployment"] = row.seen.deployment.value;
  out["owner"] = owner == owners.end() ? "" : owner->second.name;
  out["role"] = owner == owners.end() ? "unknown" : owner->second.role;
  out["phase"] = row.phase;
  out["lease"] = row.lease == nullptr ? json() : json(to_string(row.lease->phase));
  out["since"] = to_iso(row.seen.since);
  out["started_at"] = to_iso(row.seen.started_at);
  out["age_s"] = seconds(now - row.seen.started_at);
  out["address"] = row.seen.address;
  out["slots"] = row.seen.slots;
  out["gpus"] = row.seen.gpus.count;
  out["detail"] = row.seen.detail;
  out["serves"] = serves(row, of_job, weights);
  out["weights"] = json();
  if (weights != nullptr) {
    const auto known = weights->find(row.seen.id);
    if (known != weights->end() && !known->second.identity.empty()) out["weights"] = known->second.identity;
  }
  return out;
}

/// A lease that no fleet shows: asked for a moment ago, or its fleet cannot be read.
Row row_of(const ReplicaId& id, const Lease& lease) {
  Row row;
  row.seen.id = id;
  row.seen.deployment = lease.deployment;
  row.seen.since = lease.since;
  row.seen.started_at = lease.asked_at;
  row.seen.gpus = lease.gpus;
  row.seen.detail = lease.seen ? "not shown by its fleet now" : "asked for, not started yet";
  row.phase = lease.seen ? "unknown" : "starting";
  row.lease = &lease;
  return row;
}

std::map<ReplicaId, Row> rows_of(const BoardView& view) {
  std::map<ReplicaId, Row> rows;
  std::set<ReplicaId> gone;
  if (view.seen != nullptr) {
    for (const auto& [fleet, reading] : view.seen->fleets) {
      if (!reading.known()) continue;
      for (const ReplicaSeen& replica : reading.value().replicas) {
        if (replica.phase == ReplicaPhase::gone) {
          gone.insert(replica.id);
          continue;
        }
        Row& row = rows[replica.id];
        row.seen = replica;
        row.phase = to_string(replica.phase);
      }
    }
  }
  if (view.state == nullptr) return rows;
  for (const auto& [id, lease] : view.state->leases) {
    const auto found = rows.find(id);
    if (found != rows.end()) {
      found->second.lease = &lease;
    } else if (lease.phase != LeasePhase::released && !gone.contains(id)) {
      rows[id] = row_of(id, lease);
    }
  }
  return rows;
}

}  // namespace

json replicas_view(const BoardView& view, const ReplicaFilter& filter, const JobsWeights& weights) {
  const Owners owners = owners_of(*view.config);
  json list = json::array();
  for (const auto& [id, row] : rows_of(view)) {
    if (!filter.deployment.empty() && row.seen.deployment.value != filter.deployment) continue;
    if (!filter.phase.empty() && row.phase != filter.phase) continue;
    list.push_back(row_json(row, owners, weights, view.now));
  }
  json out = json::object();
  out["replicas"] = std::move(list);
  return out;
}

}  // namespace ebb
