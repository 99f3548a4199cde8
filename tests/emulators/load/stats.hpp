// Latencies in bounded memory, and random numbers that are the same on every machine.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace ebb::emulator {

/// Counts durations in buckets that grow by 1 %, from 10 microseconds to about 3 hours: a percentile is off by at most
/// 1 %, whatever the number of samples.
class Latencies {
 public:
  Latencies();
  void add(double seconds);
  /// The smallest bucket bound such that at least `p` percent are at or below it; 0 without samples.
  [[nodiscard]] double percentile(double p) const;
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  [[nodiscard]] double max() const { return max_; }

 private:
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
  double max_ = 0;
};

/// The distributions the generators need. The standard's own may differ between libraries; these do not.
class Random {
 public:
  explicit Random(std::uint64_t seed) : bits_(seed) {}
  /// In [0, 1).
  double uniform();
  double exponential(double mean);
  /// Log-normal with this mean; sigma 0 gives the mean itself.
  double log_normal(double mean, double sigma);
  std::uint64_t next() { return bits_(); }

 private:
  std::mt19937_64 bits_;
};

/// A length in tokens: log-normal, rounded, in [min, max].
int draw_length(Random& random, double mean, double sigma, int min, int max);

}  // namespace ebb::emulator
