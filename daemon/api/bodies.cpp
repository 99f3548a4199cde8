#include "daemon/api/bodies.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "daemon/api/fields.hpp"

namespace ebb {
namespace {

constexpr int kReplicasMax = 1'000'000;
constexpr double kDemandMax = 1e9;

std::optional<OverrideKind> kind_from(const std::string& word) {
  for (const OverrideKind kind : {OverrideKind::freeze, OverrideKind::pin, OverrideKind::drain_all}) {
    if (word == to_string(kind)) return kind;
  }
  return std::nullopt;
}

template <class Workloads>
bool has_deployment(const Workloads& workloads, const std::string& id) {
  return std::any_of(workloads.begin(), workloads.end(), [&](const auto& workload) {
    return std::any_of(workload.deployments.begin(), workload.deployments.end(),
                       [&](const DeploymentConfig& deployment) { return deployment.id.value == id; });
  });
}

bool is_deployment(const Config& config, const std::string& id) {
  return has_deployment(config.services, id) || has_deployment(config.jobs, id);
}

bool is_pool_or_job(const Config& config, const std::string& name) {
  return std::any_of(config.pools.begin(), config.pools.end(),
                     [&](const PoolConfig& p) { return p.name.value == name; }) ||
         std::any_of(config.jobs.begin(), config.jobs.end(), [&](const JobConfig& j) { return j.name.value == name; });
}

/// Empty, or what is wrong with the target.
std::string target_fault(const Override& wanted, const Config& config) {
  const std::string& target = wanted.target;
  if (wanted.kind == OverrideKind::pin) {
    return is_deployment(config, target)
               ? ""
               : "'target' must be a deployment (name@pool) to pin, there is no '" + target + "'";
  }
  if (target.empty() || is_pool_or_job(config, target) || is_deployment(config, target)) return "";
  return "'target' must be a pool, a job, a deployment (name@pool) or empty for everything; there is no '" + target +
         "'";
}

}  // namespace

Result<Override> override_from_body(const std::string& body, const Config& config, TimePoint now) {
  Result<BodyFields> parsed = BodyFields::parse(body);
  if (!parsed.ok()) return parsed.error();
  BodyFields& fields = *parsed;
  for (const char* name : {"kind", "reason", "owner", "ttl"}) fields.require(name);
  Override wanted;
  const auto word = fields.text("kind", 1, 32);
  const auto kind = word ? kind_from(*word) : std::nullopt;
  if (word && !kind) fields.fault("'kind' must be freeze, pin or drain_all");
  wanted.kind = kind.value_or(OverrideKind::freeze);
  wanted.target = fields.text("target", 0, 200).value_or("");
  wanted.reason = fields.text("reason", 1, kReasonMax).value_or("");
  wanted.owner = fields.text("owner", 1, kOwnerMax).value_or("");
  wanted.expires_at = now + fields.span("ttl", kTtlMin, kTtlMax).value_or(kTtlMin);
  const bool pins = wanted.kind == OverrideKind::pin;
  if (pins) fields.require("replicas");
  if (!pins && fields.has("replicas")) fields.fault("'replicas' goes with the kind pin only");
  wanted.replicas = {fields.integer("replicas", 0, kReplicasMax).value_or(0)};
  if (kind) {
    if (const std::string fault = target_fault(wanted, config); !fault.empty()) fields.fault(fault);
  }
  const Status status = fields.finish();
  if (!status.ok()) return status.error();
  return wanted;
}

Result<Demand> demand_from_body(const std::string& body, TimePoint now) {
  Result<BodyFields> parsed = BodyFields::parse(body);
  if (!parsed.ok()) return parsed.error();
  BodyFields& fields = *parsed;
  fields.require("ttl");
  if (fields.has("replicas") == fields.has("rollouts")) fields.fault("give either 'replicas' or 'rollouts'");
  Demand demand;
  demand.replicas = fields.number("replicas", 0, kDemandMax);
  demand.rollouts = fields.number("rollouts", 0, kDemandMax);
  demand.set_at = now;
  demand.expires_at = now + fields.span("ttl", kTtlMin, kTtlMax).value_or(kTtlMin);
  const Status status = fields.finish();
  if (!status.ok()) return status.error();
  return demand;
}

}  // namespace ebb
