// Production as somebody else scales it: the Kubernetes HPA with its scale-down stabilisation.
#pragma once

#include <vector>

#include "daemon/model/time.hpp"
#include "daemon/model/units.hpp"

namespace ebb::backtest {

/// Replicas needed per tick: ceil(load / utilisation) within the bounds.
std::vector<int> needed(const std::vector<double>& load, double utilisation, Replicas min, Replicas max);

/// What the owner wants per tick: every `sync` the largest need of the last `window`, kept until the next sync.
std::vector<int> wanted(const std::vector<int>& needed, Duration tick, Duration sync, Duration window);

}  // namespace ebb::backtest
