#include "daemon/backtest/rollouts.hpp"

#include <cmath>

namespace ebb::backtest {
namespace {

constexpr double kNormal95 = 1.6448536269514722;
// After so many mean lengths a slot no longer knows when it began, and its state is drawn instead of replayed. Lengths
// have a heavy tail: after 8 of them rollouts are still a third younger than they will be.
constexpr double kForgotten = 100;

}  // namespace

Rollouts::Rollouts(const RolloutOptions& options)
    : options_(options),
      mu_(std::log(options.median_s)),
      sigma_(std::log(options.p95_s / options.median_s) / kNormal95) {}

Rollouts::InFlight Rollouts::in_flight(double served_s, Random& random) const {
  const double mean_s = std::exp(mu_ + sigma_ * sigma_ / 2);
  if (served_s > kForgotten * mean_s) {
    // The rollout that a moment falls into is drawn in proportion to its length: log-normal again, shifted by the
    // variance; and the moment lies anywhere in it (renewal theory, inspection paradox).
    const double length = std::exp(mu_ + sigma_ * sigma_ + sigma_ * random.normal());
    const double age = length * random.uniform();
    return {age, length - age};
  }
  double began = 0;
  while (true) {
    const double length = std::exp(mu_ + sigma_ * random.normal());
    if (began + length > served_s) return {served_s - began, began + length - served_s};
    began += length;
  }
}

double Rollouts::wasted_s(Duration served, Duration drain, Random& random) const {
  const double served_s = static_cast<double>(served.count()) / 1'000;
  const double drain_s = static_cast<double>(drain.count()) / 1'000;
  double wasted = 0;
  for (int slot = 0; slot < options_.per_replica; ++slot) {
    const InFlight rollout = in_flight(served_s, random);
    if (rollout.left_s <= drain_s) continue;
    wasted += options_.handoff ? static_cast<double>(options_.handoff_cost.count()) / 1'000 : rollout.age_s + drain_s;
  }
  return wasted;
}

}  // namespace ebb::backtest
