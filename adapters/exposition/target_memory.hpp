// What must be remembered of one scraped target between two pages.
#pragma once

#include <deque>
#include <optional>

#include "adapters/exposition/dialects.hpp"
#include "daemon/model/time.hpp"

namespace ebb::exposition {

/// Rates reach back this far: long enough for a calm number at one sample a second, short against a surge.
inline constexpr Duration kRateWindow{15'000};

/// Counters of one role as a rate. A counter that fell began anew: what it shows is its increase. A series seen for
/// the first time is a baseline only, since what it counted before we looked may be days old.
class CounterTrack {
 public:
  /// `restarted`: the process is another one, so every series began anew. Without series the track is forgotten.
  void take(const Counters& now_seen, bool restarted, TimePoint at);
  /// Per second over the window; nothing before the second sample.
  [[nodiscard]] std::optional<double> per_second() const;

 private:
  struct Point {
    TimePoint at;
    double total;
  };
  Counters last_;
  double total_ = 0;
  std::deque<Point> points_;
};

class TargetMemory {
 public:
  void take(const EngineSeen& seen, TimePoint at);

  [[nodiscard]] std::optional<double> tokens_per_s() const { return tokens_.per_second(); }
  [[nodiscard]] std::optional<double> requests_per_s() const { return requests_.per_second(); }
  /// Requests under way on average, by Little's law from Triton's duration counters: microseconds spent in requests
  /// per second of time. Counted when a request ends, so it lags by a request's length and is no proof of idleness.
  [[nodiscard]] std::optional<double> busy_requests() const;
  /// How long requests have been running without a token; zero while tokens move, nothing runs, or cannot be told.
  [[nodiscard]] Duration flat_for(TimePoint at) const;

 private:
  CounterTrack tokens_, requests_, busy_us_;
  Counters progress_;
  Counters births_;
  std::optional<TimePoint> moved_at_;  ///< when tokens last moved or nothing ran
};

}  // namespace ebb::exposition
