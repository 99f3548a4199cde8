// Production's load through somebody's Prometheus (or Thanos, Mimir, VictoriaMetrics).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/http_client.hpp"
#include "daemon/ports/metric_source.hpp"

namespace ebb {

/// Asks every configured query at once. A query's name is its signal's name, but for these:
///
///   asked_replicas       replicas the owner of production asks for (WorkloadSeen::asked), rounded up
///   held_replicas        replicas that exist in any phase (WorkloadSeen::held), rounded up
///   reporters            replicas that report, e.g. count(vllm:num_requests_running{...})
///   expected_reporters   replicas that ought to, e.g. the ready ones of kube-state-metrics
///   oldest_sample_age_s  e.g. max(time() - timestamp(vllm:num_requests_running{...}))
///
/// With fewer reporters than expected, or one of the two unreadable, every signal is Missing and what was read is its
/// `at_least`. These guards (the last three) are asked before the signals and again after them: queries are separate
/// snapshots, and a target that vanished between the two would otherwise read as half the load of a full house. An
/// answer carries the time of its evaluation, not of the scrape behind it: Prometheus goes on giving the last value of
/// a vanished series for up to 5 minutes. With `oldest_sample_age_s` the signals are dated back by that age, so that
/// the ordinary freshness limit catches it; without it, only the stale markers of Prometheus do. The client must
/// outlive the io_context. Control thread, one call at a time.
class PrometheusSource : public MetricSource {
 public:
  PrometheusSource(const SourceConfig& config, HttpClient& client, const Clock& clock);

  /// `targets` are not used: the queries name theirs.
  awaitable<WorkloadSeen> sample(std::vector<Target> targets, TimePoint deadline) override;

 private:
  WorkloadSeen folded(std::map<std::string, Reading<double>> readings, TimePoint at);

  const SourceConfig config_;
  HttpClient& client_;
  const Clock& clock_;
  std::map<std::string, TimePoint> missing_since_;  ///< by query name
};

/// The answers to the configured queries whose names `only` accepts, all asked at once, by name. Returns before
/// `deadline`.
awaitable<std::map<std::string, Reading<double>>> query_all(const SourceConfig& config,
                                                            bool (*only)(const std::string&), HttpClient& client,
                                                            const Clock& clock, TimePoint deadline);

/// One of the configured queries alone, e.g. a job's demand: `query_one(job.demand_source, "replicas", ...)`. A name
/// that is not configured is Missing. Arguments by value or outliving the call; never throws.
awaitable<Reading<double>> query_one(SourceConfig config, std::string name, HttpClient& client, const Clock& clock,
                                     TimePoint deadline);

}  // namespace ebb
