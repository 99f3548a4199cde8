// What happened between two decisions, folded into the state. Restart = fold over the ledger.
#pragma once

#include "daemon/model/record.hpp"
#include "daemon/model/state.hpp"

namespace ebb {

/// override_set, override_cleared and demand_set change the state; every other event leaves it as it is.
State reduce(State state, const Event& event);

/// An action's end. Replicas that certainly do not exist give their lease back at once; all else waits for the
/// fleet's next word, because "failed" does not prove that nothing happened.
State reduce(State state, const Outcome& outcome, const Action& action);

/// For a restart: where the wall clock went back since the last run, every stamp that was made then moves back with it.
/// A drain that was due in a minute would else be due in an hour and a minute. Overrides end by the wall clock, and
/// stay.
State rebased(State state, TimePoint now);

}  // namespace ebb
