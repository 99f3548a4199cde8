#include "policies/capacity/day_curve.hpp"

#include <algorithm>
#include <cmath>

namespace ebb {
namespace {

/// The quarter of its day, also of a time before the epoch.
std::size_t quarter_of(double at_ms) {
  constexpr double kDayMs = DayCurve::kQuarters * DayCurve::kQuarterMs;
  const double into_day = std::fmod(at_ms, kDayMs);
  const double quarter = (into_day < 0 ? into_day + kDayMs : into_day) / DayCurve::kQuarterMs;
  return std::min(static_cast<std::size_t>(quarter), DayCurve::kQuarters - 1);
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
