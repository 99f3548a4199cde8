// A time zone as a value: its name and when its offset from UTC changed and will change. Whoever has the system's zone
// files fills it; with it local time is arithmetic.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "daemon/model/time.hpp"

namespace ebb {

struct OffsetChange {
  TimePoint from{};
  Duration offset{0};  ///< local time minus UTC
  friend bool operator==(const OffsetChange&, const OffsetChange&) = default;
};

struct TimeZone {
  std::string name = "UTC";
  Duration before{0};                 ///< the offset until the first change
  std::vector<OffsetChange> changes;  ///< sorted by time

  [[nodiscard]] Duration offset_at(TimePoint at) const {
    const auto later = std::upper_bound(changes.begin(), changes.end(), at,
                                        [](TimePoint t, const OffsetChange& change) { return t < change.from; });
    return later == changes.begin() ? before : std::prev(later)->offset;
  }
};

/// Where `at` lies in the local week: since Monday 00:00 as clocks show it, always in [0, 7 days).
inline Duration local_time_of_week(const TimeZone& zone, TimePoint at) {
  constexpr std::int64_t kDay = 86'400'000, kWeek = 7 * kDay;
  // 1970-01-01 was a Thursday, so the week in which it lies began three days earlier.
  const std::int64_t local = (at.time_since_epoch() + zone.offset_at(at)).count() + 3 * kDay;
  return Duration{(local % kWeek + kWeek) % kWeek};
}

}  // namespace ebb
