// A yardstick for forecasts: somebody who has read the trace.
#pragma once

#include <vector>

#include "daemon/backtest/simulation.hpp"
#include "daemon/backtest/trace.hpp"

namespace ebb::backtest {

/// One contender for each of `deviations`. It knows every row ahead, the load of `observe_delay` ago (in gaps too) and
/// how much noise the bridge adds between rows, and not which; it keeps the largest load to be expected within the
/// horizon plus so many standard deviations of the noise. Slack is lent by the pool's own growth policy. It is a rule
/// and no proof of a bound, but what is lacking of it to 100 % is the price of that noise, and of a growth that cannot
/// foresee it. Nothing for a per-request trace, which has no rows.
std::vector<Contender> informed(const World& world, const Trace& trace, const std::vector<double>& deviations);

}  // namespace ebb::backtest
