// One step ahead of a series with holes, in a few lines each. y is the series, oldest first, y(t) its newest value.
//
//   constant   y(t)
//   linear     the least-squares line through what is known, one step on
//   holt       level l = a y + (1 - a)(l + b), trend b = c (l - l before) + (1 - c) b, forecast l + b
//   seasonal   y(t) + y(t + 1 - season) - y(t - season): what the last season did next, from today's level
//
// Sources: Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 8.2 (Holt's linear trend) and 9.9 (the
// seasonal difference of a seasonal random walk).
#pragma once

#include <vector>

namespace ebb {

/// A hole; loads are never negative.
inline constexpr double kUnknown = -1;

/// The newest known value, `otherwise` where all are holes.
double forecast_constant(const std::vector<double>& series, double otherwise);
/// With fewer than two known values as `forecast_constant`.
double forecast_linear(const std::vector<double>& series, double otherwise);
/// Holes follow the trend.
double forecast_holt(const std::vector<double>& series, double level_gain, double trend_gain, double otherwise);
/// As `forecast_constant` until the season before is known.
double forecast_seasonal(const std::vector<double>& series, std::size_t season, double otherwise);

}  // namespace ebb
