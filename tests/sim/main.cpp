// ebb-sim: simulated lives of the daemon, one a seed. What `make sim SEEDS=N` runs.
#include <spdlog/spdlog.h>
#include <sqlite3.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/sim/run.hpp"

int main(int argc, char** argv) {
  CLI::App app("Simulated lives of ebbd under faults and crashes; exit status 1 when an invariant broke.", "ebb-sim");
  std::uint64_t first = 1;
  int seeds = 100;
  int days = 10;
  app.add_option("--seed", first, "the first seed")->capture_default_str();
  app.add_option("--seeds", seeds, "how many seeds from there on")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--days", days, "simulated days a seed")->check(CLI::PositiveNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  // Counting every allocation under one lock is nothing that a life needs.
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  spdlog::set_level(seeds == 1 ? spdlog::level::info : spdlog::level::off);

  const auto began = std::chrono::steady_clock::now();
  std::atomic<int> next{0}, broken{0};
  std::atomic<std::uint64_t> decisions{0}, crashes{0};
  std::mutex printing;
  const auto work = [&] {
    for (int i = next++; i < seeds; i = next++) {
      const std::uint64_t seed = first + static_cast<std::uint64_t>(i);
      const ebb::sim::RunReport report = ebb::sim::run({seed, days});
      decisions += report.decisions;
      crashes += static_cast<std::uint64_t>(report.crashes);
      if (report.violation.empty()) continue;
      ++broken;
      const std::lock_guard lock(printing);
      std::printf("seed %llu broke at %s: %s\n  reproduce: make sim SEED=%llu SEEDS=1 DAYS=%d\n%s",
                  static_cast<unsigned long long>(seed), report.at.c_str(), report.violation.c_str(),
                  static_cast<unsigned long long>(seed), days, seeds == 1 ? report.story.c_str() : "");
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("%d seeds from %llu, %d simulated days, %llu decisions, %llu crashes, %.1f s: %d broke\n", seeds,
              static_cast<unsigned long long>(first), seeds * days, static_cast<unsigned long long>(decisions.load()),
              static_cast<unsigned long long>(crashes.load()), took.count(), broken.load());
  return broken > 0 ? 1 : 0;
}
