// Time as values. No clock is read here: see ports/clock.hpp.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace ebb {

using Duration = std::chrono::milliseconds;
using TimePoint = std::chrono::sys_time<Duration>;

/// "2026-03-01T14:03:20.125Z"
std::string to_iso(TimePoint at);
/// Reads what `to_iso` writes, also without the fraction. Nothing else.
std::optional<TimePoint> from_iso(std::string_view text);

/// "90s", "1m30s", "250ms", "2h"; zero is "0s". Negative durations carry a leading minus.
std::string to_text(Duration span);
/// Reads "90s", "1m30s", "250ms", "1.5h", "2d": a number and a unit, repeated. A bare number is refused, except 0.
std::optional<Duration> duration_from(std::string_view text);

}  // namespace ebb
