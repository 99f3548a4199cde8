// Fireworks' hot-load API as bodies: what a signal says, what a status says. Source of the format: the vendor's
// documentation of RL rollouts with your own trainer, and its public SDK. No connection here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "daemon/model/result.hpp"
#include "daemon/model/weights.hpp"

namespace ebb::fireworks {

/// How a signal's body is written.
struct SignalStyle {
  bool adapter = false;  ///< LoRA: never with the metadata of an incremental one, which crashes the container
  ResetEncoding reset = ResetEncoding::word;
};

/// The body of a POST. Errors are `invalid`: an order that this API cannot express.
Result<std::string> signal_body(const LoadOrder& order, const SignalStyle& style);

/// What the status page says of one replica.
struct Replica {
  WeightsReport report;
  std::vector<Identity> adapters;  ///< LoRA: those that are loaded, in the order of the page
};

/// The page's replicas, in its order. `deployment` begins their names. `wanted`: the newest identity that was
/// signalled, empty: not known; of several loaded adapters it is the current one. Errors are `malformed`.
Result<std::vector<Replica>> replicas_from(std::string_view body, const std::string& deployment,
                                           const Identity& wanted);

struct Condition {
  std::string text;     ///< what ails the deployment; empty: nothing
  bool broken = false;  ///< its status is an error
};
/// From the deployment's resource. `serving`: whether its status page lists replicas, since one with hot-load may stay
/// CREATING while it serves.
Condition condition_from(std::string_view body, bool serving, LoadTransitionMode configured);

/// Whether a refusal is about the field reset_prompt_cache, which some backends do not know.
bool refuses_reset(int status, std::string_view body);

/// What a status other than 2xx means for a signal. 404: not routable yet; 409 and 425: in transition.
Error signal_error(int status, std::string_view body);
/// What it means for a question or a reset, which may be repeated.
Error read_error(int status, std::string_view body);

}  // namespace ebb::fireworks
