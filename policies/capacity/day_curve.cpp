#include "policies/capacity/day_curve.hpp"

#include <cmath>

namespace ebb {
namespace {

constexpr double kQuarterMs = 15 * 60'000;

/// The quarter of its day, also of a time before the epoch.
std::size_t quarter_of(double at_ms) {
  constexpr double kCount = DayCurve::kQuarters;
  const double quarter = std::floor(at_ms / kQuarterMs);
  return static_cast<std::size_t>(quarter - kCount * std::floor(quarter / kCount));
}

}  // namespace

void DayCurve::see(double at_ms, double value, double weight) {
  double& mean = means[quarter_of(at_ms)];
  mean += weight * (value - mean);
}

double DayCurve::at(double at_ms) const {
  const double before_ms = at_ms - kQuarterMs / 2, after_ms = at_ms + kQuarterMs / 2;
  const double share = after_ms / kQuarterMs - std::floor(after_ms / kQuarterMs);
  return (1 - share) * means[quarter_of(before_ms)] + share * means[quarter_of(after_ms)];
}

}  // namespace ebb
