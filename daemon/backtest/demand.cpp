#include "daemon/backtest/demand.hpp"

#include <algorithm>
#include <cmath>

#include "daemon/backtest/random.hpp"

namespace ebb::backtest {
namespace {

/// A row as the truth has it: rate and work.
struct Point {
  double time_s = 0;
  double rate = 0;
  double work = 0;
  bool gap = false;
};

double work_of(double prompt, double output, const DemandOptions& options) {
  return prompt / options.prefill_tokens_per_s + output / options.decode_tokens_per_s;
}

/// Rows with their gaps closed by straight lines. Zeros at either end are idleness that nobody can tell from a gap, and
/// are taken at their word.
std::vector<Point> points_of(const Trace& trace, const DemandOptions& options) {
  std::vector<Point> points;
  for (const TraceRow& row : trace.rows) {
    points.push_back({row.time_s, row.requests_per_s, work_of(row.prompt_tokens, row.output_tokens, options), false});
  }
  std::size_t last = points.size();  // the last row with traffic
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].rate <= 0) continue;
    for (std::size_t j = last + 1; last < points.size() && j < i; ++j) {
      const double share = (points[j].time_s - points[last].time_s) / (points[i].time_s - points[last].time_s);
      points[j].rate = std::lerp(points[last].rate, points[i].rate, share);
      points[j].work = std::lerp(points[last].work, points[i].work, share);
      points[j].gap = true;
    }
    last = i;
  }
  return points;
}

/// One step of a bridge that is 0 at both ends: from `at` with `left` seconds to go, `ahead` seconds further.
double bridged(double at, double left, double ahead, Random& random) {
  if (left <= ahead) return 0;
  const double keep = (left - ahead) / left;
  return at * keep + std::sqrt(ahead * keep) * random.normal();
}

DemandSeries from_rows(const Trace& trace, const DemandOptions& options) {
  const std::vector<Point> points = points_of(trace, options);
  DemandSeries out;
  out.tick = options.tick;
  for (const Point& point : points) out.peak = std::max(out.peak, point.rate * point.work);
  const double spread = std::sqrt(bridge_variance(options.bridge));
  const double tick_s = static_cast<double>(options.tick.count()) / 1'000;
  Random random(options.seed);
  std::size_t step = 0;
  double bridge = 0, before_s = 0;
  for (std::size_t k = 0; static_cast<double>(k) * tick_s <= points.back().time_s; ++k) {
    const double now_s = static_cast<double>(k) * tick_s;
    while (step + 2 < points.size() && points[step + 1].time_s <= now_s) {
      ++step;
      bridge = 0;
      before_s = points[step].time_s;
    }
    const Point &a = points[step], &b = points[step + 1];
    bridge = bridged(bridge, b.time_s - before_s, now_s - before_s, random);
    before_s = now_s;
    const double share = (now_s - a.time_s) / (b.time_s - a.time_s);
    const double rate = std::lerp(a.rate, b.rate, share) * (1 + spread * bridge);
    out.load.push_back(std::max(rate, 0.0) * std::lerp(a.work, b.work, share));
    out.gap.push_back((a.gap && now_s < b.time_s) || (b.gap && now_s > a.time_s));
  }
  return out;
}

DemandSeries from_requests(const Trace& trace, const DemandOptions& options) {
  const double tick_s = static_cast<double>(options.tick.count()) / 1'000;
  DemandSeries out;
  out.tick = options.tick;
  out.load.assign(static_cast<std::size_t>(trace.seconds() / tick_s) + 1, 0.0);
  out.gap.assign(out.load.size(), false);
  for (const TraceRequest& request : trace.requests) {
    out.load[static_cast<std::size_t>(request.time_s / tick_s)] +=
        work_of(request.prompt_tokens, request.output_tokens, options) / tick_s;
  }
  out.peak = *std::max_element(out.load.begin(), out.load.end());
  return out;
}

}  // namespace

DemandSeries demand_of(const Trace& trace, const DemandOptions& options) {
  return trace.requests.empty() ? from_rows(trace, options) : from_requests(trace, options);
}

double bridge_variance(double bridge) {
  // A bridge over S seconds with variance v a second has v S / 4 in its middle, which is bridge^2 S / 600.
  return 4 * bridge * bridge / 600;
}

DemandSeries scaled(DemandSeries series, double factor) {
  for (double& load : series.load) load *= factor;
  series.peak *= factor;
  return series;
}

}  // namespace ebb::backtest
