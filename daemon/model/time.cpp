#include "daemon/model/time.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <string>

namespace ebb {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
// Longest names first, or "ms" would be read as minutes.
constexpr std::array kUnits{Unit{"ms", 1}, Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000},
                            Unit{"s", 1'000}};

std::optional<int> digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  int value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool skip(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::string to_iso(TimePoint at) {
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{at - day};
  std::string out = "0000-00-00T00:00:00.000Z";
  // Every record in the ledger carries several of these, so it does without a format string.
  const auto put = [&out](std::size_t end, std::int64_t value) {
    for (; value > 0; value /= 10) out[--end] = static_cast<char>('0' + value % 10);
  };
  put(7, static_cast<unsigned>(date.month()));
  put(10, static_cast<unsigned>(date.day()));
  put(13, clock.hours().count());
  put(16, clock.minutes().count());
  put(19, clock.seconds().count());
  put(23, clock.subseconds().count());
  const int year = static_cast<int>(date.year());
  if (year < 0 || year > 9999) return std::to_string(year) + out.substr(4);
  put(4, year);
  return out;
}

std::optional<TimePoint> from_iso(std::string_view text) {
  const auto year = digits(text, 4);
  if (!year || !skip(text, '-')) return std::nullopt;
  const auto month = digits(text, 2);
  if (!month || !skip(text, '-')) return std::nullopt;
  const auto day = digits(text, 2);
  if (!day || !skip(text, 'T')) return std::nullopt;
  const auto hour = digits(text, 2);
  if (!hour || !skip(text, ':')) return std::nullopt;
  const auto minute = digits(text, 2);
  if (!minute || !skip(text, ':')) return std::nullopt;
  const auto second = digits(text, 2);
  if (!second) return std::nullopt;
  int millis = 0;
  if (skip(text, '.')) {
    const auto fraction = digits(text, 3);
    if (!fraction) return std::nullopt;
    millis = *fraction;
  }
  if (!skip(text, 'Z') || !text.empty()) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  return TimePoint{std::chrono::sys_days{date}} + std::chrono::hours{*hour} + std::chrono::minutes{*minute} +
         std::chrono::seconds{*second} + Duration{millis};
}

std::string to_text(Duration span) {
  std::int64_t left = span.count();
  if (left == 0) return "0s";
  std::string text = left < 0 ? "-" : "";
  // Cut into units from the largest; the smallest representable duration has no positive twin, hence the clamp.
  left = left == std::numeric_limits<std::int64_t>::min() ? std::numeric_limits<std::int64_t>::max() : std::abs(left);
  for (const char* name : {"d", "h", "m", "s", "ms"}) {
    for (const Unit& unit : kUnits) {
      if (unit.name != name || left < unit.ms) continue;
      text += std::to_string(left / unit.ms) + name;
      left %= unit.ms;
    }
  }
  return text;
}

std::optional<Duration> duration_from(std::string_view text) {
  if (text == "0") return Duration{0};
  if (text.empty()) return std::nullopt;
  double total_ms = 0;
  while (!text.empty()) {
    double number = 0;
    // `fixed`: no exponents, no hex, and neither "inf" nor "nan" reads as a number of anything.
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc{} || !std::isfinite(number) || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const Unit* found = nullptr;
    for (const Unit& unit : kUnits) {
      if (found == nullptr && text.substr(0, unit.name.size()) == unit.name) found = &unit;
    }
    if (found == nullptr) return std::nullopt;
    text.remove_prefix(found->name.size());
    total_ms += number * static_cast<double>(found->ms);
  }
  constexpr double kTenYearsMs = 10.0 * 366 * 86'400'000;
  if (total_ms > kTenYearsMs) return std::nullopt;
  return Duration{static_cast<std::int64_t>(std::llround(total_ms))};
}

}  // namespace ebb
