// What the stand-in counts, without a clock.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ebb::emulator {

class Histogram {
 public:
  /// `bounds` ascending, without infinity.
  explicit Histogram(std::vector<double> bounds);
  void observe(double value);
  [[nodiscard]] const std::vector<double>& bounds() const { return bounds_; }
  /// Observations at or below bounds()[i]; one more entry for infinity.
  [[nodiscard]] std::vector<std::uint64_t> cumulative() const;
  [[nodiscard]] double sum() const { return sum_; }
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  std::vector<double> bounds_;
  std::vector<std::uint64_t> counts_;
  double sum_ = 0;
  std::uint64_t count_ = 0;
};

enum class Dialect { vllm, sglang };

/// All counters of one engine. Histograms have the buckets of the dialect.
struct EngineMetrics {
  explicit EngineMetrics(Dialect dialect);
  std::uint64_t prompt_tokens = 0;
  std::uint64_t generation_tokens = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t requests = 0;
  std::uint64_t aborted = 0;
  std::map<std::string, std::uint64_t> success{{"abort", 0}, {"length", 0}, {"stop", 0}};  ///< by finished reason
  std::map<std::pair<std::string, int>, std::uint64_t> http;                               ///< by handler and status
  Histogram time_to_first_token;
  Histogram inter_token_latency;
  Histogram e2e_latency;
  Histogram queue_time;
  Histogram iteration_tokens;
};

/// The scheduler's state at the moment of a scrape.
struct Gauges {
  double running = 0;
  double waiting = 0;
  double kv_usage = 0;         ///< 0 to 1
  double generation_rate = 0;  ///< tokens/s over the last second
  int kv_blocks = 0;
  int block_size = 0;
  double started_unix = 0;  ///< when the process started, seconds since 1970
  double startup_seconds = 0;
};

/// The page `GET /metrics` shows, text format 0.0.4.
std::string render_metrics(Dialect dialect, const std::string& model, const EngineMetrics& metrics,
                           const Gauges& gauges);

}  // namespace ebb::emulator
