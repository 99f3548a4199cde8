// Every metric family of the daemon, built once. Labels are names out of the configuration and closed sets of words.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <map>
#include <set>
#include <string>

#include "config/config.hpp"
#include "daemon/model/decision.hpp"
#include "daemon/model/observation.hpp"
#include "daemon/model/record.hpp"

namespace ebb {

/// Control thread. Series of what is no longer configured or no longer seen are removed, so that a graph ends instead
/// of going on flat; reasons go to 0, so that a graph of them has no gaps.
class Telemetry {
 public:
  explicit Telemetry(const std::string& version);

  /// Every look at the world, also those that led to no decision.
  void observed(const Observation& seen, Duration took);
  /// `took`: from the decision to its record and the start of its actions.
  void decided(const Decision& decision, const Observation& seen, Duration took);
  void outcome(const Action& action, const Outcome& outcome);
  void ledger(bool ok);
  void loop_progress(TimePoint now);
  /// `config` is the one in force, also after a reload that was refused.
  void config_reload(bool ok, TimePoint at, const Config& config);

  /// The registry's text at `now`, exposition format 0.0.4.
  [[nodiscard]] std::string text(TimePoint now);

 private:
  using Labels = std::map<std::string, std::string>;
  template <class T>
  using Family = prometheus::Family<T>;

  /// A gauge whose series follow a set of names.
  class Followed {
   public:
    explicit Followed(Family<prometheus::Gauge>& family) : family_(family) {}
    void begin() { touched_.clear(); }
    void set(const Labels& labels, double value);
    /// What was not set since `begin` is removed, or goes to 0.
    void end(bool remove);

   private:
    Family<prometheus::Gauge>& family_;
    std::map<Labels, prometheus::Gauge*> series_;
    std::set<Labels> touched_;
  };

  void show_pools(const Decision& decision);
  void show_deployments(const Decision& decision);
  void show_misses(const Decision& decision);
  void show_reasons(const Decision& decision, const Observation& seen);

  prometheus::Registry registry_;
  Followed pool_gpus_, pool_reserve_, pool_slack_, pool_production_, pool_rl_, pool_unusable_, pool_blind_;
  Followed replicas_, need_, target_, known_, missed_;
  Followed signal_, reported_, expected_, fleet_up_;
  Followed admission_;
  Followed held_reason_, alarm_;
  Followed config_info_;
  Family<prometheus::Counter>& decisions_;
  Family<prometheus::Counter>& actions_;
  prometheus::Gauge& tick_;
  prometheus::Gauge& ledger_up_;
  prometheus::Counter& ledger_failures_;
  prometheus::Gauge& since_progress_;
  prometheus::Gauge& reload_ok_;
  prometheus::Gauge& reload_success_at_;
  prometheus::Histogram& observe_seconds_;
  prometheus::Histogram& commit_seconds_;
  TimePoint progress_at_{};
};

}  // namespace ebb
