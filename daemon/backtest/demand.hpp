// What production's traffic asks of its replicas, tick by tick: the truth, and where nobody measured it.
#pragma once

#include <cstdint>
#include <vector>

#include "daemon/backtest/trace.hpp"
#include "daemon/model/time.hpp"

namespace ebb::backtest {

struct DemandOptions {
  Duration tick{5'000};
  std::uint64_t seed = 1;
  double bridge = 0.05;
  double prefill_tokens_per_s = 8'000;
  double decode_tokens_per_s = 1'000;
};

/// One entry a tick, from the trace's first row to its last.
struct DemandSeries {
  Duration tick{5'000};
  /// Replicas that are busy: request rate x work of one request, in replica-seconds a second.
  std::vector<double> load;
  std::vector<bool> gap;  ///< nothing was collected then; `load` is interpolated across it
  double peak = 0;        ///< largest load over the rows of the trace, without the bridge
  [[nodiscard]] std::size_t size() const { return load.size(); }
};

/// Between rows the rate is the straight line plus a Brownian bridge, so that nobody reads the future off the line. Its
/// standard deviation at the middle of a step of S seconds is `bridge` x rate x sqrt(S / 600). A run of zero rows
/// between others is a gap. Work of a request = prompt / prefill_tokens_per_s + output / decode_tokens_per_s. Requests
/// of a per-request trace are counted per tick. Deterministic in (trace, options).
DemandSeries demand_of(const Trace& trace, const DemandOptions& options);

/// Variance a second of the bridge, relative to the rate, while it is far from its ends.
double bridge_variance(double bridge);

/// Every load times `factor`.
DemandSeries scaled(DemandSeries series, double factor);

}  // namespace ebb::backtest
