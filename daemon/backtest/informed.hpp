// What no forecast can beat: somebody who has read the trace.
#pragma once

#include <vector>

#include "daemon/backtest/simulation.hpp"
#include "daemon/backtest/trace.hpp"

namespace ebb::backtest {

/// One contender for each of `deviations`. It knows every row ahead, the load of a moment ago and how much noise the
/// bridge adds between rows, and not which; it keeps the largest expected load of the horizon plus so many standard
/// deviations of the noise. A policy that does as well has nothing left to learn from this traffic; a target that even
/// this one misses cannot be met. Nothing for a per-request trace, which has no bridge: all of it is known.
std::vector<Contender> informed(const World& world, const Trace& trace, const std::vector<double>& deviations);

}  // namespace ebb::backtest
