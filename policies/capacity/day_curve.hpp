// What is usual at each time of day: a moving mean for every quarter of an hour, in UTC, 0 to begin with.
#pragma once

#include <array>
#include <cstddef>

namespace ebb {

struct DayCurve {
  static constexpr std::size_t kQuarters = 96;
  static constexpr double kQuarterMs = 15 * 60'000;

  std::array<double, kQuarters> means{};

  /// `value`, at `at_ms` since the epoch, enters the mean of its quarter with `weight` (0 to 1).
  void see(double at_ms, double value, double weight);
  /// A quarter's mean holds in its middle; straight lines lead from one to the next.
  [[nodiscard]] double at(double at_ms) const;
};

}  // namespace ebb
