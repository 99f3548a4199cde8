// One policy against one world: the daemon's own `decide`, tick by tick, with a fleet that keeps its times exactly.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/backtest/world.hpp"

namespace ebb::backtest {

/// When every run begins: traces have no date. A Monday, so that a trace that begins with its week also begins with
/// ours.
inline constexpr TimePoint kBegin{std::chrono::sys_days{std::chrono::year{2024} / 1 / 1}};

/// A policy with the name under which it is reported.
struct Contender {
  std::string name;
  std::shared_ptr<const CapacityPolicy> capacity;
};

struct RunResult {
  std::string name;
  double harvested_gpu_hours = 0;  ///< GPUs of serving RL replicas
  double wasted_gpu_hours = 0;     ///< rollout time thrown away by reclaims
  Shortfall shortfall;
  double short_minutes = 0;  ///< share of minutes in which production missed anything that counts
  std::int64_t scale_actions = 0;
  std::int64_t flaps = 0;     ///< growths undone within start-up + drain
  std::int64_t reclaims = 0;  ///< replicas told to leave
  double reclaim_p99_s = 0;   ///< from the order to free GPUs
  double reclaim_worst_s = 0;
  double blind_share = 0;  ///< ticks in which something was unknown
  // GPUs per tick, for the report's curves.
  std::vector<int> reserve, serving;
};

/// The 99th percentile of `ascending`, which is not empty, by the nearest rank.
double percentile_99(const std::vector<double>& ascending);

/// Runs to the end of the trace; `progress` counts ticks while it does. Deterministic in its arguments.
RunResult simulated(const World& world, const Contender& contender, std::atomic<std::int64_t>& progress);

}  // namespace ebb::backtest
