#include "tests/emulators/engine/metrics.hpp"

#include <algorithm>

namespace ebb::emulator {

namespace {

// The buckets of the real engines, from their documentation.
std::vector<double> first_token_bounds(Dialect dialect) {
  if (dialect == Dialect::sglang) return {.1, .2, .4, .6, .8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400};
  return {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560};
}

std::vector<double> inter_token_bounds(Dialect dialect) {
  if (dialect == Dialect::sglang) {
    return {.002, .004, .006, .008, .01, .015, .02, .025, .03, .035, .04, .06, .08, .1, .2, .4, .6, .8, 1, 2, 4, 6, 8};
  }
  return {.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80};
}

std::vector<double> latency_bounds(Dialect dialect) {
  if (dialect == Dialect::sglang) {
    return {.1, .2, .4, .6, .8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400, 600, 1200, 1800, 2400};
  }
  return {.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680};
}

std::vector<double> queue_bounds(Dialect dialect) {
  if (dialect == Dialect::vllm) return latency_bounds(dialect);
  std::vector<double> bounds{0, .1, .2, .5, 1, 2, 3, 4, 5, 10, 15};
  for (int s = 20; s <= 100; s += 10) bounds.push_back(s);
  for (int s = 200; s <= 1000; s += 100) bounds.push_back(s);
  for (int s = 1200; s <= 3000; s += 200) bounds.push_back(s);
  return bounds;
}

std::vector<double> token_bounds() { return {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}; }

}  // namespace

Histogram::Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

void Histogram::observe(double value) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  ++count_;
  sum_ += value;
}

std::vector<std::uint64_t> Histogram::cumulative() const {
  std::vector<std::uint64_t> sums;
  std::uint64_t sum = 0;
  for (const std::uint64_t n : counts_) sums.push_back(sum += n);
  return sums;
}

EngineMetrics::EngineMetrics(Dialect dialect)
    : time_to_first_token(first_token_bounds(dialect)),
      inter_token_latency(inter_token_bounds(dialect)),
      e2e_latency(latency_bounds(dialect)),
      queue_time(queue_bounds(dialect)),
      iteration_tokens(token_bounds()) {}

}  // namespace ebb::emulator
