// What a reclaim costs the rollouts that are in flight.
#pragma once

#include "daemon/backtest/random.hpp"
#include "daemon/model/time.hpp"

namespace ebb::backtest {

struct RolloutOptions {
  double median_s = 120;
  double p95_s = 900;
  int per_replica = 32;          ///< a replica always holds as many
  bool handoff = false;          ///< what does not end in time moves on instead of being lost
  Duration handoff_cost{2'000};  ///< of moving one: its prefill once more
};

/// Lengths are log-normal with the given median and 95th percentile.
class Rollouts {
 public:
  explicit Rollouts(const RolloutOptions& options);

  /// Seconds of rollout that are thrown away when a replica that has served for `served` drains for `drain`: of each
  /// rollout that does not end by itself before that, all its time (lost) or `handoff_cost` (handed over).
  double wasted_s(Duration served, Duration drain, Random& random) const;

 private:
  struct InFlight {
    double age_s = 0;
    double left_s = 0;
  };
  /// One slot as the drain begins.
  InFlight in_flight(double served_s, Random& random) const;

  RolloutOptions options_;
  double mu_ = 0;
  double sigma_ = 0;
};

}  // namespace ebb::backtest
