#include "daemon/backtest/production.hpp"

#include <algorithm>
#include <cmath>
#include <deque>

namespace ebb::backtest {

std::vector<int> needed(const std::vector<double>& load, double utilisation, Replicas min, Replicas max) {
  std::vector<int> out;
  out.reserve(load.size());
  for (const double busy : load) {
    // One part in a billion of slack, or 3 x 0.1 / 0.1 would need four replicas.
    const double exact = std::ceil(busy / utilisation - 1e-9);
    out.push_back(static_cast<int>(std::clamp<double>(exact, min.count, max.count)));
  }
  return out;
}

std::vector<int> wanted(const std::vector<int>& needed, Duration tick, Duration sync, Duration window) {
  const std::size_t every = static_cast<std::size_t>(std::max<std::int64_t>(sync / tick, 1));
  const std::size_t span = static_cast<std::size_t>(std::max<std::int64_t>(window / tick, 1));
  std::vector<int> out;
  out.reserve(needed.size());
  std::deque<std::size_t> falling;  // indexes with descending need: the front is the window's largest
  for (std::size_t i = 0; i < needed.size(); ++i) {
    while (!falling.empty() && needed[falling.back()] <= needed[i]) falling.pop_back();
    falling.push_back(i);
    if (falling.front() + span <= i) falling.pop_front();
    out.push_back(i % every == 0 ? needed[falling.front()] : out.back());
  }
  return out;
}

}  // namespace ebb::backtest
