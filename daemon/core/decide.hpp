// The decision. Pure: no clock, no I/O, no log, no randomness; the same inputs give the same bytes.
#pragma once

#include "config/config.hpp"
#include "daemon/model/decision.hpp"
#include "daemon/model/observation.hpp"
#include "daemon/model/state.hpp"

namespace ebb {

/// One tick: what was seen and remembered becomes a plan, a new state and the reasons. The plan is for the caller to
/// record and to carry out; in mode advise too, `next` is the state as if it were carried out only for what the
/// fleets confirm later.
Decision decide(const Observation& seen, State state, const Config& config, TimePoint now);

/// True when the decision takes something away from RL: it must not wait for the next tick.
bool is_urgent(const Decision& decision, const Config& config);

}  // namespace ebb
