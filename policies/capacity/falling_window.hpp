// The largest value of the last so-and-so long: why a need falls late and rises at once.
//
// Kept as a falling staircase of (time in ms, value), oldest and largest first, in a plain vector that lives in a
// policy's memory: its front is the maximum of the window.
#pragma once

#include <vector>

#include "daemon/model/time.hpp"

namespace ebb {

/// 512 stairs; beyond that the two oldest become one, higher and longer: the need is then kept too long, never too
/// short.
inline constexpr std::size_t kMostWindowNumbers = 1'024;

struct FallingWindow {
  double largest = 0;
  std::vector<double> kept;
};

/// The window after `value` was seen. What lies in the future was kept before the clock was set back, and says nothing.
FallingWindow falling_window(const std::vector<double>& before, double value, TimePoint now, Duration window);

}  // namespace ebb
