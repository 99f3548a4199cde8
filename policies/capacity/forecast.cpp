#include "policies/capacity/forecast.hpp"

#include <cstddef>

namespace ebb {

double forecast_constant(const std::vector<double>& series, double otherwise) {
  for (std::size_t i = series.size(); i-- > 0;) {
    if (series[i] >= 0) return series[i];
  }
  return otherwise;
}

double forecast_linear(const std::vector<double>& series, double otherwise) {
  double count = 0, sum_x = 0, sum_y = 0;
  for (std::size_t i = 0; i < series.size(); ++i) {
    if (series[i] < 0) continue;
    count += 1;
    sum_x += static_cast<double>(i);
    sum_y += series[i];
  }
  if (count < 2) return forecast_constant(series, otherwise);
  const double mean_x = sum_x / count, mean_y = sum_y / count;
  double xx = 0, xy = 0;
  for (std::size_t i = 0; i < series.size(); ++i) {
    if (series[i] < 0) continue;
    const double x = static_cast<double>(i) - mean_x;
    xx += x * x;
    xy += x * (series[i] - mean_y);
  }
  return mean_y + xy / xx * (static_cast<double>(series.size()) - mean_x);
}

double forecast_holt(const std::vector<double>& series, double level_gain, double trend_gain, double otherwise) {
  double level = 0, trend = 0;
  int known = 0;
  for (const double y : series) {
    if (y < 0) {
      level += trend;
      continue;
    }
    const double before = level;
    if (known == 0) {
      level = y;
    } else if (known == 1) {
      trend = y - level;
      level = y;
    } else {
      level = level_gain * y + (1 - level_gain) * (level + trend);
      trend = trend_gain * (level - before) + (1 - trend_gain) * trend;
    }
    ++known;
  }
  return known == 0 ? otherwise : level + trend;
}

double forecast_seasonal(const std::vector<double>& series, std::size_t season, double otherwise) {
  const std::size_t size = series.size();
  if (size <= season || season == 0) return forecast_constant(series, otherwise);
  const double now = series[size - 1];
  const double then = series[size - 1 - season], next = series[size - season];
  if (now < 0 || then < 0 || next < 0) return forecast_constant(series, otherwise);
  return now + next - then;
}

}  // namespace ebb
