#include "daemon/backtest/informed.hpp"

#include <gtest/gtest.h>

#include "daemon/backtest/backtest.hpp"
#include "tests/backtest/made.hpp"

namespace ebb::backtest {
namespace {

std::vector<RunResult> runs(const Config& config, const Trace& trace, const std::vector<double>& deviations) {
  const auto world = world_of(config, trace);
  EXPECT_TRUE(world.ok()) << (world.ok() ? "" : world.error().what);
  std::vector<RunResult> out;
  for (const Contender& reader : informed(*world, trace, deviations)) {
    std::atomic<std::int64_t> progress{0};
    out.push_back(simulated(*world, reader, progress));
  }
  return out;
}

const std::vector<double> kDay{2, 3, 7, 4, 8, 8, 2, 5, 1, 6, 3, 3};

TEST(Informed, MissesNothingWhereTheRowsAreAllThereIs) {
  const RunResult reader = runs(config_with(), busy(kDay), {0}).front();
  EXPECT_EQ(reader.shortfall.attributable, 0);
  EXPECT_GT(reader.harvested_gpu_hours, 0);
}

TEST(Informed, CannotKnowTheNoiseAndKeepsMoreAgainstIt) {
  const auto readers = runs(config_with("bridge: 0,", "bridge: 0.1,"), busy(kDay), {0, 2, 4});
  EXPECT_GT(readers[0].shortfall.attributable, readers[1].shortfall.attributable);
  EXPECT_GE(readers[1].shortfall.attributable, readers[2].shortfall.attributable);
  EXPECT_LT(readers[2].shortfall.attributable, readers[0].shortfall.attributable / 20);
  EXPECT_GT(readers[0].harvested_gpu_hours, readers[1].harvested_gpu_hours);
  EXPECT_GT(readers[1].harvested_gpu_hours, readers[2].harvested_gpu_hours);
}

TEST(Informed, LooksAsFarAheadAsProductionTakesToStartWhereEbbScalesIt) {
  Config config = config_with("{policy: fixed, replicas: 4}\n    deployments: [{pool: p,",
                              "{policy: fixed, replicas: 4}\n    owner: ebb\n    deployments: [{pool: p, fleet: sim,");
  config.backtest.learn = Duration{1'200'000};  // its first replicas have to start, too
  EXPECT_EQ(runs(config, busy(kDay), {0}).front().shortfall.total, 0);
}

TEST(Informed, OfATraceOfSingleRequestsThereIsNoNoiseToBeUnsureOf) {
  Trace trace;
  trace.name = "requests";
  for (int i = 0; i < 100; ++i) trace.requests.push_back({i * 3.0, 0, 4});
  const auto world = world_of(config_with(), trace);
  ASSERT_TRUE(world.ok());
  EXPECT_TRUE(informed(*world, trace, {1, 2}).empty());
}

}  // namespace
}  // namespace ebb::backtest
