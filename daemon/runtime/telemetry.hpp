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

class Telemetry {
 public:
  explicit Telemetry(const std::string& version);

  void observed(const Observation& seen, Duration took);
  void decided(const Decision& decision, const Observation& seen, Duration took);
  void outcome(const Action& action, const Outcome& outcome);
  void ledger(bool ok);
  void loop_progress(TimePoint now);
  void config_reload(bool ok, TimePoint at, const Config& config);

  /// The registry's text at `now`, exposition format 0.0.4.
  [[nodiscard]] std::string text(TimePoint now);

 private:
  using Labels = std::map<std::string, std::string>;
  template <class T>
  using Family = prometheus::Family<T>;

  /// A gauge whose series follow a set of names: what is not set in a round is removed at its end.
  class Round;
  void set(Family<prometheus::Gauge>& family, const Labels& labels, double value);

  prometheus::Registry registry_;
  Family<prometheus::Gauge>& pool_gpus_;
  Family<prometheus::Gauge>& replicas_;
  Family<prometheus::Gauge>& need_;
  Family<prometheus::Gauge>& target_;
  Family<prometheus::Gauge>& known_;
  Family<prometheus::Gauge>& signal_;
  Family<prometheus::Gauge>& admission_;
  Family<prometheus::Gauge>& held_reason_;
  Family<prometheus::Gauge>& alarm_;
  Family<prometheus::Counter>& decisions_;
  Family<prometheus::Counter>& actions_;
  Family<prometheus::Gauge>& config_info_;
  prometheus::Gauge& tick_;
  prometheus::Gauge& ledger_up_;
  prometheus::Counter& ledger_failures_;
  prometheus::Gauge& since_progress_;
  prometheus::Gauge& reload_ok_;
  prometheus::Gauge& reload_success_at_;
  prometheus::Histogram& observe_seconds_;
  prometheus::Histogram& commit_seconds_;
  std::map<const void*, std::map<Labels, prometheus::Gauge*>> live_;  ///< by family: the series there are
  std::map<const void*, std::set<Labels>> touched_;                   ///< in this round
  TimePoint progress_at_{};
};

}  // namespace ebb
