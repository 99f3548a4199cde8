// What changed from one observation or state to the next. Most of 10,000 replicas say the same at every tick, and a
// policy's memory changes in a few numbers: a history kept in deltas is a hundredth of one kept whole.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "daemon/model/observation.hpp"
#include "daemon/model/result.hpp"
#include "daemon/model/state.hpp"

namespace ebb {

/// {"patch": what is new or differs, in the words of to_json; "gone": names that ended, by section; "numbers": sparse
/// policy memories; "fleets": replicas that ended, by fleet known before and after}.
nlohmann::json delta(const Observation& from, const Observation& to);
nlohmann::json delta(const State& from, const State& to);

/// The way back: applied(from, delta(from, to)) is `to`. Errors are `malformed`.
Result<Observation> applied(Observation from, const nlohmann::json& delta);
Result<State> applied(State from, const nlohmann::json& delta);

}  // namespace ebb
