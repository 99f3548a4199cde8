#include "tests/emulators/load/stats.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ebb::emulator {

namespace {

constexpr double kSmallest = 1e-5;
constexpr double kGrowth = 1.01;
constexpr std::size_t kBuckets = 2100;  // 1e-5 x 1.01^2100 = 11,900 s

double bound_of(std::size_t bucket) { return kSmallest * std::pow(kGrowth, static_cast<double>(bucket)); }

}  // namespace

Latencies::Latencies() : buckets_(kBuckets) {}

void Latencies::add(double seconds) {
  if (!std::isfinite(seconds)) return;
  const double position = std::ceil(std::log(std::max(seconds, kSmallest) / kSmallest) / std::log(kGrowth) - 1e-9);
  const auto bucket = std::min(static_cast<std::size_t>(std::max(0.0, position)), kBuckets - 1);
  ++buckets_[bucket];
  ++count_;
  sum_ += seconds;
  max_ = std::max(max_, seconds);
}

double Latencies::percentile(double p) const {
  if (count_ == 0) return 0;
  const auto rank = static_cast<std::uint64_t>(std::max(1.0, std::ceil(p / 100 * static_cast<double>(count_) - 1e-9)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::min(bound_of(i), max_);
  }
  return max_;
}

double Random::uniform() { return static_cast<double>(bits_() >> 11) * 0x1.0p-53; }

double Random::exponential(double mean) { return -mean * std::log(1 - uniform()); }

double Random::log_normal(double mean, double sigma) {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  const double normal = radius * std::cos(2 * std::numbers::pi * uniform());
  // The mean of exp(m + s z) is exp(m + s^2 / 2), so m must be less than log(mean).
  return mean * std::exp(sigma * normal - sigma * sigma / 2);
}

int draw_length(Random& random, double mean, double sigma, int min, int max) {
  const double drawn = std::round(random.log_normal(mean, sigma));
  return static_cast<int>(std::clamp(drawn, static_cast<double>(min), static_cast<double>(max)));
}

}  // namespace ebb::emulator
