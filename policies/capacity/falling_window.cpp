#include "policies/capacity/falling_window.hpp"

namespace ebb {

FallingWindow falling_window(const std::vector<double>& before, double value, TimePoint now, Duration window) {
  const double now_ms = static_cast<double>(now.time_since_epoch().count());
  const double oldest = now_ms - static_cast<double>(window.count());
  FallingWindow out;
  for (std::size_t i = 0; i + 1 < before.size(); i += 2) {
    const bool inside = before[i] > oldest && before[i] <= now_ms;
    if (inside && before[i + 1] > value) out.kept.insert(out.kept.end(), {before[i], before[i + 1]});
  }
  out.kept.insert(out.kept.end(), {now_ms, value});
  if (out.kept.size() > kMostWindowNumbers) {
    out.kept[2 + 1] = out.kept[1];
    out.kept.erase(out.kept.begin(), out.kept.begin() + 2);
  }
  out.largest = out.kept[1];
  return out;
}

}  // namespace ebb
