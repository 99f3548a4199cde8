// The course of a day of production traffic: from a trace file, or the built-in one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/result.hpp"

namespace ebb::emulator {

/// Traffic at one moment of the day, relative to the day's peak and its mean lengths.
struct DayPoint {
  double at = 0;            ///< 0 to 1
  double rate = 0;          ///< 0 to 1, 1 is the peak
  double prompt_scale = 1;  ///< prompt length against the mean
  double output_scale = 1;
};

class Day {
 public:
  /// `points` ascending in `at`, not empty.
  explicit Day(std::vector<DayPoint> points);
  /// Interpolated; outside of [0, 1] the nearest end.
  [[nodiscard]] DayPoint at(double fraction) const;
  [[nodiscard]] const std::vector<DayPoint>& points() const { return points_; }
  [[nodiscard]] double peak() const;

 private:
  std::vector<DayPoint> points_;
};

/// From four in the morning to four in the morning: a trough, a working day with two humps, and three bursts that
/// come within seconds, as those of real services do.
Day built_in_day();

/// Reads a trace: `time_s,requests_per_s,prompt_tokens_per_request,output_tokens_per_request`, or one row a request
/// as `TIMESTAMP,ContextTokens,GeneratedTokens` (counted into 100 bins). Errors name the line; a file with a bad
/// row is refused, since half a trace is another trace.
Result<Day> day_from_trace(std::string_view text);

}  // namespace ebb::emulator
