// The only place that knows the field names of the model in JSON (API, ledger, golden files).
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "daemon/model/decision.hpp"
#include "daemon/model/observation.hpp"
#include "daemon/model/record.hpp"
#include "daemon/model/result.hpp"

namespace ebb {

nlohmann::json to_json(const Observation& seen);
nlohmann::json to_json(const SignalSeen& signal);
nlohmann::json to_json(const ReplicaSeen& replica);
nlohmann::json to_json(const State& state);
nlohmann::json to_json(const Plan& plan);
nlohmann::json to_json(const Action& action);
nlohmann::json to_json(const Outcome& outcome);
nlohmann::json to_json(const Override& override_);
nlohmann::json to_json(const Demand& demand);
nlohmann::json to_json(const Event& event);
/// With "rule", "stage", "subject", "args" and the rendered "text".
nlohmann::json to_json(const Step& step);
nlohmann::json to_json(const Explanation& why);
nlohmann::json to_json(const PoolSummary& pool);
nlohmann::json to_json(const DeploymentSummary& deployment);
/// Everything but `next`: tick, at, early, plan, why, pools, deployments, admission, alarms.
nlohmann::json to_json(const Decision& decision);
/// The same as the text of a ledger's row, in which steps lack their "text": kept, sentences would be two thirds of the
/// file, and they are rendered again when read.
std::string decision_row(const Decision& decision);

/// The way back. Errors are `malformed` and name the field.
Result<Observation> observation_from(const nlohmann::json& json);
Result<SignalSeen> signal_from(const nlohmann::json& json);
Result<State> state_from(const nlohmann::json& json);
Result<Plan> plan_from(const nlohmann::json& json);
Result<Action> action_from(const nlohmann::json& json);
Result<Outcome> outcome_from(const nlohmann::json& json);
Result<Override> override_from(const nlohmann::json& json);
Result<Demand> demand_from(const nlohmann::json& json);
Result<Event> event_from(const nlohmann::json& json);
Result<Explanation> explanation_from(const nlohmann::json& json);

}  // namespace ebb
