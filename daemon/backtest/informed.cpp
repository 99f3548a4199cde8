#include "daemon/backtest/informed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ebb::backtest {
namespace {

/// Needs what a list says for each tick.
class Told final : public CapacityPolicy {
 public:
  Told(std::vector<int> needs, Duration tick) : needs_(std::move(needs)), tick_(tick) {}
  [[nodiscard]] std::string_view name() const override { return "informed"; }
  void options(OptionVisitor& /*visitor*/) override {}
  [[nodiscard]] std::vector<std::string> needs() const override { return {}; }
  [[nodiscard]] CapacityProposal propose(const CapacityInput& input) const override {
    CapacityProposal out;
    out.need = Replicas{needs_.at(static_cast<std::size_t>((input.now - kBegin) / tick_))};
    return out;
  }

 private:
  std::vector<int> needs_;
  Duration tick_;
};

/// The bridge as seen from one moment: how far off the line it is, and when it is back on it.
struct Bridge {
  double off = 0;       ///< relative to the line
  double left_s = 0;    ///< to the next row
  double next_s = 0;    ///< how long the step after it lasts; 0: it is the last one
  double variance = 0;  ///< a second

  /// What the relative distance will be `ahead_s` later: its mean plus so many standard deviations.
  [[nodiscard]] double upper(double ahead_s, double deviations) const {
    if (ahead_s <= left_s) {
      const double keep = left_s > 0 ? (left_s - ahead_s) / left_s : 0;
      return off * keep + deviations * std::sqrt(variance * ahead_s * keep);
    }
    if (next_s <= 0) return 0;
    const double into = std::min(ahead_s - left_s, next_s);
    return deviations * std::sqrt(variance * into * (next_s - into) / next_s);
  }
};

class Reader {
 public:
  Reader(const World& world, const Trace& trace) : world_(world), model_(world.config.backtest) {
    DemandOptions options = demand_options(model_, world.config.tick);
    options.bridge = 0;
    line_ = demand_of(trace, options);
    line_ = scaled(std::move(line_), world.demand.peak / line_.peak);
    for (const TraceRow& row : trace.rows) rows_s_.push_back(row.time_s);
  }

  [[nodiscard]] std::vector<int> needs(double deviations) const {
    const std::vector<double>& truth = world_.demand.load;
    const Duration tick = world_.config.tick;
    const auto late = static_cast<std::size_t>(model_.observe_delay / tick);
    const Duration horizon = model_.observe_delay + give_back(world_) + tick;
    const auto ahead = static_cast<std::size_t>(horizon / tick);
    const int most = fitting(world_.pool().gpus, world_.production().gpus_per_replica).count;
    std::vector<int> out;
    out.reserve(truth.size());
    for (std::size_t now = 0; now < truth.size(); ++now) {
      const std::size_t seen = now - std::min(now, late);
      const Bridge bridge = bridge_at(seen);
      double largest = 0;
      for (std::size_t i = 0; i <= ahead && seen + i < truth.size(); ++i) {
        const double upper = bridge.upper(static_cast<double>(i) * tick_s(), deviations);
        largest = std::max(largest, line_.load[seen + i] * (1 + upper));
      }
      const double replicas = std::ceil(largest / model_.target_utilisation - 1e-9);
      out.push_back(static_cast<int>(std::clamp(replicas, 0.0, static_cast<double>(most))));
    }
    return out;
  }

 private:
  [[nodiscard]] double tick_s() const { return static_cast<double>(world_.config.tick.count()) / 1'000; }

  [[nodiscard]] Bridge bridge_at(std::size_t tick) const {
    const double at_s = static_cast<double>(tick) * tick_s();
    const auto next = std::upper_bound(rows_s_.begin(), rows_s_.end(), at_s);
    Bridge out;
    out.variance = bridge_variance(model_.bridge);
    if (line_.load[tick] > 0) out.off = world_.demand.load[tick] / line_.load[tick] - 1;
    if (next == rows_s_.end()) return out;
    out.left_s = *next - at_s;
    if (next + 1 != rows_s_.end()) out.next_s = *(next + 1) - *next;
    return out;
  }

  const World& world_;
  const BacktestConfig& model_;
  DemandSeries line_;
  std::vector<double> rows_s_;
};

}  // namespace

std::vector<Contender> informed(const World& world, const Trace& trace, const std::vector<double>& deviations) {
  std::vector<Contender> out;
  if (trace.rows.empty()) return out;
  const Reader reader(world, trace);
  for (const double d : deviations) {
    out.push_back(
        {fmt::format("(rows known, {:g} sd)", d), std::make_shared<Told>(reader.needs(d), world.config.tick)});
  }
  return out;
}

}  // namespace ebb::backtest
