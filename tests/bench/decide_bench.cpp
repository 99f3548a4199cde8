// decide() at the size one daemon must carry: 1,000 deployments and 10,000 replicas. Target: 5 ms.
#include <benchmark/benchmark.h>

#include <chrono>

#include "tests/bench/fleetful.hpp"

namespace ebb::testing {
namespace {

/// One decision by itself: the state goes in by value, and making and dropping the copies is measured below.
void decide_once(benchmark::State& bench, const Fleetful& fleet) {
  for (auto _ : bench) {
    State state = fleet.state;
    const auto start = std::chrono::steady_clock::now();
    Decision decision = decide(fleet.seen, std::move(state), fleet.config, fleet.now);
    bench.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    benchmark::DoNotOptimize(decision);
  }
  bench.counters["replicas"] = static_cast<double>(fleet.state.leases.size());
}

void decide_tick(benchmark::State& bench) {
  decide_once(bench, fleet_of(static_cast<int>(bench.range(0)), static_cast<int>(bench.range(1)),
                              static_cast<int>(bench.range(2))));
}
BENCHMARK(decide_tick)
    ->ArgNames({"pools", "deployments", "replicas"})
    ->Args({1, 2, 8})
    ->Args({10, 10, 10})
    ->Args({100, 10, 10})
    ->Args({1, 1000, 10})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

/// What the loop pays besides at every sample, since it keeps the state it had.
void copy_state(benchmark::State& bench) {
  const Fleetful fleet = fleet_of(100, 10, 10);
  for (auto _ : bench) {
    State copy = fleet.state;
    benchmark::DoNotOptimize(copy);
  }
}
BENCHMARK(copy_state)->Unit(benchmark::kMillisecond);

/// Production everywhere doubles: the tick that drains thousands at once.
void decide_surge(benchmark::State& bench) {
  Fleetful fleet = fleet_of(100, 10, 10);
  for (auto& [id, workload] : fleet.seen.workloads)
    workload.signals["in_flight"].value = Sample<double>{160, fleet.now};
  decide_once(bench, fleet);
}
BENCHMARK(decide_surge)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ebb::testing

BENCHMARK_MAIN();
