// The deployment as a REST resource.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

#include "tests/emulators/fireworks/site.hpp"

namespace ebb::emulator::fireworks {

using nlohmann::json;

namespace {

constexpr std::array kMutable{
    "displayName",     "description",      "annotations",       "minReplicaCount",       "maxReplicaCount",
    "placement",       "precision",        "autoscalingPolicy", "enableHotLoad",         "hotLoadBucketType",
    "acceleratorType", "acceleratorCount", "hotLoadTrainerJob", "hotLoadTransitionType", "hotLoadBucketUrl",
    "deploymentShape", "enableAddons",     "enableMtp",         "enableSessionAffinity", "maxConcurrencyPerReplica",
};
constexpr std::array kOthers{"name", "baseModel", "region", "extraArgs", "extraValues", "preemptible", "forTraining"};

bool is_mutable(const std::string& name) { return std::find(kMutable.begin(), kMutable.end(), name) != kMutable.end(); }
bool is_known(const std::string& name) {
  return is_mutable(name) || std::find(kOthers.begin(), kOthers.end(), name) != kOthers.end();
}

/// Fields whose change puts new pods in place of the old ones.
json rolling(const json& fields) {
  json out;
  out["job"] = fields.value("hotLoadTrainerJob", "");
  const std::string transition = fields.value("hotLoadTransitionType", "");
  out["transition"] = transition == "SYNC" ? "SYNC" : "ASYNC";
  return out;
}

std::string problem_of_values(const json& fields) {
  for (const char* name : {"minReplicaCount", "maxReplicaCount"}) {
    if (fields.contains(name) && (!fields[name].is_number_integer() || fields[name] < 0)) {
      return fmt::format("{} must not be negative", name);
    }
  }
  if (fields.contains("hotLoadTransitionType") && !fields["hotLoadTransitionType"].is_string()) {
    return "invalid hot_load_transition_type";
  }
  const int least = fields.value("minReplicaCount", 0);
  if (fields.value("maxReplicaCount", std::max(least, 1)) < least) return "max_replica_count is below the minimum";
  const std::string job = fields.value("hotLoadTrainerJob", "");
  const std::string url = fields.value("hotLoadBucketUrl", "");
  if (!job.empty() && !url.empty()) {
    return fmt::format("hot_load_bucket_url \"{}\" conflicts with hot_load_trainer_job {}; set exactly one", url, job);
  }
  return {};
}

}  // namespace

Said Site::patch(const json& body, const std::optional<std::vector<std::string>>& mask, double now) {
  if (!body.is_object()) return refusal(400, "invalid JSON");
  for (const auto& [name, value] : body.items()) {
    if (!is_known(name)) return refusal(400, fmt::format("unknown field \"{}\"", name));
  }
  json next = fields_;
  const auto replace = [&](const std::string& name) {
    if (body.contains(name)) {
      next[name] = body[name];
    } else {
      next.erase(name);
    }
  };
  if (mask) {
    for (const std::string& name : *mask) {
      if (!is_mutable(name)) return refusal(400, fmt::format("update_mask: \"{}\" cannot be updated", name));
      replace(name);
    }
  } else {
    for (const char* name : kMutable) replace(name);
  }
  if (const std::string why = problem_of_values(next); !why.empty()) return refusal(400, why);
  const bool rolls = rolling(next) != rolling(fields_);
  fields_ = std::move(next);
  desired_ = std::max(desired_, fields_.value("minReplicaCount", 0));
  resize(now);
  if (rolls) roll(now);
  return {200, resource(now)};
}

void Site::scale(int replicas, double now) {
  desired_ = replicas;
  resize(now);
}

void Site::set_deleted(bool deleted, double now) {
  deleted_ = deleted;
  resize(now);
}

json Site::resource(double now) const {
  json out = fields_;
  out["name"] = fmt::format("accounts/{}/deployments/{}", account_, id_);
  const auto up = std::count_if(replicas_.begin(), replicas_.end(),
                                [&](const Replica& replica) { return replica.manager_at <= now; });
  const bool whole = up == static_cast<std::ptrdiff_t>(replicas_.size());
  const char* state = whole ? "READY" : taken_.empty() ? "CREATING" : "UPDATING";
  if (knobs_.flag("creating")) state = "CREATING";
  out["state"] = deleted_ ? "DELETED" : state;
  out["status"]["code"] = now < sick_until_ ? "INTERNAL" : "OK";
  out["status"]["message"] = now < sick_until_ ? "container crash loop: back-off restarting" : "";
  out["replicaCount"] = replicas_.size();
  out["desiredReplicaCount"] = desired_;
  out["replicaStats"]["readyReplicaCount"] = up;
  out["replicaStats"]["initializingReplicaCount"] = static_cast<std::ptrdiff_t>(replicas_.size()) - up;
  return out;
}

}  // namespace ebb::emulator::fireworks
