// A small world: one pool of ten GPUs, and traffic of so many busy replicas.
#pragma once

#include <gtest/gtest.h>

#include "config/load.hpp"
#include "daemon/backtest/trace.hpp"

namespace ebb::backtest {

inline constexpr const char* kConfig = R"(
tick: 5s
warm_up: 0s
pools: [{name: p, gpus: 10, quiet_window: 0s}]
fleets: [{name: sim, kind: simulated, pool: p}]
services:
  - name: chat
    capacity: {policy: fixed, replicas: 4}
    deployments: [{pool: p, min: 1, max: 10}]
jobs:
  - name: rl
    grow_step: 10
    grow_cooldown: 0s
    reclaim_cooldown: 0s
    deployments: [{pool: p, fleet: sim, max: 10}]
backtest: {bridge: 0, scale_to_peak: 0, target_utilisation: 1, prefill_tokens_per_s: 1000000000, decode_tokens_per_s: 1}
)";

inline Config config_with(const std::string& from = "", const std::string& to = "") {
  std::string text = kConfig;
  if (!from.empty()) text.replace(text.find(from), from.size(), to);
  Loaded loaded = load_config_text(text, "test.yaml");
  EXPECT_TRUE(loaded.config.has_value()) << to_text(loaded.problems);
  return *std::move(loaded.config);
}

/// Rows of busy replicas, ten minutes apart: one output token a request, one token a second.
inline Trace busy(std::vector<double> replicas) {
  Trace trace;
  trace.name = "made";
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    trace.rows.push_back({static_cast<double>(i) * 600, replicas[i], 0, 1});
  }
  return trace;
}

}  // namespace ebb::backtest
