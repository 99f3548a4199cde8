// The promise of `conformal` on real traffic: the share of horizons in which the load exceeds what it kept is the
// budget, also where the traffic's shape changes. The traces are those of EBB_TRACES; they are nobody's to commit.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "daemon/backtest/demand.hpp"
#include "daemon/backtest/trace.hpp"
#include "tests/policies/misses.hpp"

namespace ebb::backtest {
namespace {

using ebb::testing::argument;
using ebb::testing::Judge;
using ebb::testing::missing;
using ebb::testing::Probe;

constexpr double kBudget = 0.01;
constexpr double kTick_s = 15;  // how often a source is read
// Of the usual drain, and of a slow one.
constexpr double kHorizons_s[] = {60, 300};
// With fewer misses to expect than this, a rate is luck; so many more than twice as many are none.
constexpr double kFewestMisses = 10;
constexpr double kLuck = 3;
constexpr double kDay_s = 86'400;

/// A made-up week, and the traces of EBB_TRACES where there are any.
std::vector<Trace> traces() {
  std::vector<Trace> out{synthetic_week(1)};
  const char* said = std::getenv("EBB_TRACES");
  const std::filesystem::path folder = said != nullptr ? said : EBB_SOURCE_DIR "/../shared/traces";
  if (!std::filesystem::is_directory(folder)) {
    std::cout << "no traces in " << folder << ": the made-up week only\n";
    return out;
  }
  std::vector<std::string> files;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() == ".csv") files.push_back(file.path().string());
  }
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) {
    Result<Trace> trace = load_trace(file);
    EXPECT_TRUE(trace.ok()) << trace.error().what;
    if (trace.ok()) out.push_back(*std::move(trace));
  }
  return out;
}

DemandSeries demand(const Trace& trace) {
  DemandOptions options;
  options.tick = Duration{static_cast<std::int64_t>(kTick_s * 1'000)};
  DemandSeries series = demand_of(trace, options);
  const double peak = series.peak;
  return scaled(std::move(series), 40 / peak);
}

double second_of(std::size_t tick) { return static_cast<double>(tick) * kTick_s; }

/// Every load as a multiple of what is usual at its time of day.
DemandSeries without_season(DemandSeries series) {
  constexpr std::size_t kBins = 144;
  const auto bin_of = [](std::size_t tick) {
    return static_cast<std::size_t>(std::fmod(second_of(tick), kDay_s) / kDay_s * kBins);
  };
  std::vector<double> sum(kBins, 0), count(kBins, 0);
  for (std::size_t i = 0; i < series.size(); ++i) {
    sum[bin_of(i)] += series.load[i];
    count[bin_of(i)] += 1;
  }
  for (std::size_t i = 0; i < series.size(); ++i) {
    series.load[i] *= sum[bin_of(i)] > 0 ? 20 * count[bin_of(i)] / sum[bin_of(i)] : 0;
  }
  return series;
}

DemandSeries shifted(DemandSeries series) {
  for (std::size_t i = series.size() / 2; i < series.size(); ++i) series.load[i] *= 3;
  return series;
}

DemandSeries with_gap(DemandSeries series) {
  const std::size_t from = series.size() / 2;
  const auto ticks = static_cast<std::size_t>(6 * 3'600 / kTick_s);
  for (std::size_t i = from; i < std::min(from + ticks, series.size()); ++i) series.gap[i] = true;
  return series;
}

Judge judged(const DemandSeries& series, double horizon_s) {
  Probe probe{ebb::testing::policy_with("conformal", {{"shortfall_budget", kBudget}})};
  probe.reclaim = Duration{static_cast<std::int64_t>(horizon_s * 1'000)};
  Judge judge;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const double second = second_of(i);
    if (series.gap[i]) {
      (void)probe.need_of(second, missing(second));
      judge.until = -1;
      continue;
    }
    (void)probe.need(second, series.load[i]);
    judge.see(second, series.load[i], argument(probe.last, "location") + argument(probe.last, "margin"), horizon_s);
  }
  return judge;
}

struct Scene {
  const char* name;
  DemandSeries (*made)(DemandSeries);
};

TEST(MissRate, IsTheBudgetOnRealTrafficHoweverItsShapeChanges) {
  const Scene scenes[] = {{"as it is", [](DemandSeries series) { return series; }},
                          {"without its season", without_season},
                          {"three times the level half-way", shifted},
                          {"a gap of six hours half-way", with_gap}};
  std::vector<std::pair<Scene, double>> all;
  for (const double horizon_s : kHorizons_s)
    for (const Scene& scene : scenes) all.emplace_back(scene, horizon_s);
  for (const Trace& trace : traces()) {
    const DemandSeries series = demand(trace);
    for (const auto& [scene, horizon_s] : all) {
      const Judge judge = judged(scene.made(series), horizon_s);
      const std::string what = fmt::format("{}, {}, {} s: {} of {} horizons missed", trace.name, scene.name, horizon_s,
                                           judge.misses, judge.horizons);
      std::cout << what << "\n";
      if (judge.horizons * kBudget < kFewestMisses) {
        EXPECT_LE(judge.misses, 2 * judge.horizons * kBudget + kLuck) << what;
        continue;
      }
      EXPECT_LE(judge.rate(), 2 * kBudget) << what;
      EXPECT_GE(judge.rate(), kBudget / 2) << what << ": keeps more than was asked for";
    }
  }
}

}  // namespace
}  // namespace ebb::backtest
