// The weights' values in JSON: for the ledger and the API.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "daemon/model/result.hpp"
#include "daemon/model/weights.hpp"

namespace ebb {

nlohmann::json to_json(const Snapshot& snapshot);
nlohmann::json to_json(const SnapshotPlan& plan);
nlohmann::json to_json(const JobWeights& weights);

/// The way back. Errors are `malformed` and name the field.
Result<Snapshot> snapshot_from(const nlohmann::json& json);
Result<JobWeights> job_weights_from(const nlohmann::json& json);

}  // namespace ebb
