#include "daemon/backtest/oracle.hpp"

#include <algorithm>

namespace ebb::backtest {

Oracle oracle_of(const OracleInput& input) {
  Oracle out;
  std::vector<std::int64_t> opened;  // of each open level, in counted ticks; -1: before the counting began
  std::int64_t counted = 0;
  double useful_ms = 0;
  std::vector<int> change(input.free.size() + 1, 0);  // of serving GPUs, by counted tick
  const auto close = [&](std::int64_t at, Duration cost) {
    const Duration start = at < 0 ? Duration{0} : input.start;
    const Duration length = (counted - std::max<std::int64_t>(at, 0)) * input.tick;
    const Duration useful = length - start - cost;
    if (useful <= Duration{0}) return;
    useful_ms += static_cast<double>(useful.count());
    ++out.intervals;
    const std::int64_t from = std::max<std::int64_t>(at, 0) + start / input.tick;
    change[static_cast<std::size_t>(from)] += input.each.count;
    change[static_cast<std::size_t>(from + useful / input.tick)] -= input.each.count;
  };
  for (std::size_t i = 0; i < input.free.size(); ++i) {
    const bool counts = i >= input.first && !input.gap[i];
    if (i >= input.first && !counts) continue;
    const auto level = static_cast<std::size_t>(fitting({input.free[i]}, input.each).count);
    while (opened.size() > level) {
      if (i >= input.first) close(opened.back(), input.give_back);
      opened.pop_back();
    }
    while (opened.size() < level) opened.push_back(i < input.first ? -1 : counted);
    if (counts) ++counted;
  }
  while (!opened.empty()) {
    close(opened.back(), Duration{0});
    opened.pop_back();
  }
  out.gpu_hours = useful_ms / 3'600'000 * input.each.count;
  std::size_t place = 0;
  int serving = 0;
  for (std::size_t i = 0; i < input.free.size(); ++i) {
    const bool counts = i >= input.first && !input.gap[i];
    if (counts) serving += change[place++];
    out.serving.push_back(counts ? serving : 0);
  }
  return out;
}

}  // namespace ebb::backtest
