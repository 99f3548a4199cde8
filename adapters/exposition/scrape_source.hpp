// Load straight from the engines' /metrics pages: production's as sums, RL replicas' one by one.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapters/exposition/coverage.hpp"
#include "adapters/exposition/target_memory.hpp"
#include "config/config.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/http_client.hpp"
#include "daemon/ports/metric_source.hpp"

namespace ebb {

/// Scrapes every target at once and sums over them:
///
///   in_flight, running, waiting   requests
///   kv_usage                      0..1 per replica (its fullest engine), summed: divide by a target per replica
///   tokens_per_s, requests_per_s  from counters over 15 s; Missing until a target was seen twice
///   asleep                        replicas whose engine sleeps (vLLM only)
///   busy_requests                 Triton without TensorRT-LLM only, see TargetMemory::busy_requests
///
/// A value is known only when EVERY expected target reported it fresh in this round. A target that cannot be reached,
/// answers anything but 200, sends a page that is cut, doubled or foreign, or shows NaN is unknown; so is one that says
/// it runs requests while its token counters stand still for `frozen_after`. With no target at all every signal is
/// Missing: no ready replica is not an idle service (see exposition::summed).
///
/// A sample's `taken_at` is when the round began, or the oldest time a sample carries itself, whichever is earlier: the
/// caller's freshness limit applies to both. The client must outlive the io_context. Control thread, one call at a
/// time.
class ScrapeSource : public MetricSource, public LoadSource {
 public:
  ScrapeSource(const SourceConfig& config, HttpClient& client, const Clock& clock);

  awaitable<WorkloadSeen> sample(std::vector<Target> targets, TimePoint deadline) override;

  /// `in_flight` of each target whose page tells it. Unlike a sum it needs not all of them, and a frozen page counts:
  /// for who leaves first its last word is the best there is. `taken_at` is when the round began.
  awaitable<Reading<ReplicaLoads>> loads(std::vector<Target> targets, TimePoint deadline) override;

 private:
  struct Round;
  /// Asks every target and judges what it says.
  awaitable<std::shared_ptr<const Round>> scrape(std::vector<Target> targets, TimePoint deadline);
  static awaitable<void> scrape_one(HttpClient& client, HttpRequest request, std::shared_ptr<Round> round,
                                    std::size_t index);
  [[nodiscard]] std::vector<Target> wanted(std::vector<Target> ready) const;
  void forget_vanished(const std::vector<Target>& targets);
  exposition::TargetReport report_of(const Target& target, Result<exposition::EngineSeen> seen, TimePoint at);
  WorkloadSeen folded(const Round& round);
  static Reading<ReplicaLoads> loads_of(const Round& round);

  const SourceConfig config_;
  HttpClient& client_;
  const Clock& clock_;
  std::map<std::string, exposition::TargetMemory> memory_;  ///< by name and URL: a new address is a new process
  std::map<std::string, TimePoint> missing_since_;          ///< by signal
};

}  // namespace ebb
