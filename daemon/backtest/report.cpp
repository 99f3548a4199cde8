// The comparison as a table and as JSON.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "daemon/backtest/backtest.hpp"
#include "daemon/model/json_text.hpp"

namespace ebb::backtest {
namespace {

std::string percent(double share) { return fmt::format("{:.2f} %", share * 100); }

/// Shares far below a percent are told by their exponent.
std::string small(double share) { return share == 0 ? "0" : fmt::format("{:.1e}", share); }

using Row = std::vector<std::string>;

std::string aligned(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line = fmt::format("{:<{}}", row[0], widths[0]);
    for (std::size_t i = 1; i < row.size(); ++i) line += fmt::format("  {:>{}}", row[i], widths[i]);
    out += line + "\n";
  }
  return out;
}

}  // namespace

std::string table(const Comparison& comparison) {
  const World& world = comparison.world;
  const bool external = world.external();
  std::vector<Row> rows{{"policy", "efficiency", "goodput", "GPU-hours", external ? "attributable" : "shortfall",
                         "short minutes", "unmet", "of it without RL", "actions", "flaps", "reclaim p99", "wasted",
                         "blind"}};
  for (const RunResult& run : comparison.runs) {
    rows.push_back({run.name, percent(efficiency(run, world.oracle)), percent(goodput(run, world.oracle)),
                    fmt::format("{:.0f}", run.harvested_gpu_hours), small(run.shortfall.attributable),
                    percent(run.short_minutes), small(run.shortfall.total), small(run.shortfall.baseline),
                    fmt::format("{}", run.scale_actions), fmt::format("{}", run.flaps),
                    fmt::format("{:.0f} s", run.reclaim_p99_s), fmt::format("{:.0f}", run.wasted_gpu_hours),
                    percent(run.blind_share)});
  }
  rows.push_back({"(the future known)", "100.00 %", "", fmt::format("{:.0f}", world.oracle.gpu_hours), "0", "", "", "",
                  fmt::format("{}", 2 * world.oracle.intervals), "", "", "", ""});
  return fmt::format("{}, {} ticks of {}, seed {}, {} GPUs, owner {}, configuration {}\n\n", comparison.trace,
                     world.need.size(), to_text(world.config.tick), comparison.seed, world.pool().gpus.count,
                     external ? "external" : "ebb", comparison.config_hash) +
         aligned(rows);
}

std::string json(const Comparison& comparison) {
  const Oracle& oracle = comparison.world.oracle;
  nlohmann::json policies = nlohmann::json::array();
  for (const RunResult& run : comparison.runs) {
    policies.push_back({{"name", run.name},
                        {"efficiency", efficiency(run, oracle)},
                        {"goodput", goodput(run, oracle)},
                        {"harvested_gpu_hours", run.harvested_gpu_hours},
                        {"oracle_gpu_hours", oracle.gpu_hours},
                        {"shortfall",
                         {{"total", run.shortfall.total},
                          {"baseline", run.shortfall.baseline},
                          {"attributable", run.shortfall.attributable}}},
                        {"short_minutes", run.short_minutes},
                        {"scale_actions", run.scale_actions},
                        {"oracle_scale_actions", 2 * oracle.intervals},
                        {"flaps", run.flaps},
                        {"reclaims", run.reclaims},
                        {"reclaim_p99_s", run.reclaim_p99_s},
                        {"reclaim_worst_s", run.reclaim_worst_s},
                        {"blind_share", run.blind_share},
                        {"wasted_rollout_gpu_hours", run.wasted_gpu_hours}});
  }
  const nlohmann::json out{{"trace", comparison.trace},
                           {"seed", comparison.seed},
                           {"config_hash", comparison.config_hash},
                           {"policies", policies}};
  return json_lines(out) + "\n";
}

}  // namespace ebb::backtest
