#include "config/posix_zone.hpp"

#include <algorithm>
#include <charconv>

namespace ebb {
namespace {

using std::chrono::days;
using std::chrono::month;
using std::chrono::sys_days;
using std::chrono::weekday;
using std::chrono::year;

struct Date {
  char kind = 'M';  ///< M: month, week, weekday. J: day 1 to 365 without 29 February. 0: day 0 to 365.
  int month = 0, week = 0, day = 0;
  Duration at{2 * 3'600'000};  ///< local time of that day
};

struct Rule {
  Duration standard{0}, summer{0};
  bool changes = false;
  Date begin, end;
};

/// Takes a rule apart from its front; false once something does not fit.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  [[nodiscard]] bool done() const { return text_.empty(); }
  [[nodiscard]] char front() const { return text_.empty() ? '\0' : text_.front(); }

  bool skip(char c) {
    if (front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }

  /// "EST" or "<-03>"
  bool name() {
    const bool bracketed = skip('<');
    const auto ends = [&](char c) {
      const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
      return bracketed ? c == '>' : !letter;
    };
    const auto length = static_cast<std::size_t>(std::find_if(text_.begin(), text_.end(), ends) - text_.begin());
    text_.remove_prefix(length);
    return length >= 3 && (!bracketed || skip('>'));
  }

  bool number(int& out, int min, int max) {
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), out);
    if (error != std::errc{} || front() == '-' || out < min || out > max) return false;
    text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    return true;
  }

  /// "5", "-5:30", "+02:00:00"
  bool span(Duration& out, int hours_max) {
    const bool negative = skip('-');
    if (!negative) (void)skip('+');
    int hours = 0, minutes = 0, seconds = 0;
    if (!number(hours, 0, hours_max)) return false;
    if (skip(':') && !number(minutes, 0, 59)) return false;
    if (skip(':') && !number(seconds, 0, 59)) return false;
    out = std::chrono::hours{hours} + std::chrono::minutes{minutes} + std::chrono::seconds{seconds};
    if (negative) out = -out;
    return true;
  }

  bool date(Date& out) {
    bool fits = false;
    if (skip('M')) {
      fits = number(out.month, 1, 12) && skip('.') && number(out.week, 1, 5) && skip('.') && number(out.day, 0, 6);
    } else if (skip('J')) {
      out.kind = 'J';
      fits = number(out.day, 1, 365);
    } else {
      out.kind = '0';
      fits = number(out.day, 0, 365);
    }
    return fits && (!skip('/') || span(out.at, 167));
  }

 private:
  std::string_view text_;
};

std::optional<Rule> rule_from(std::string_view text) {
  Scanner in(text);
  Rule out;
  Duration west{0};
  if (!in.name() || !in.span(west, 24)) return std::nullopt;
  // POSIX counts offsets westwards.
  out.standard = -west;
  if (in.done()) return out;
  out.changes = true;
  out.summer = out.standard + std::chrono::hours{1};
  if (!in.name()) return std::nullopt;
  if (in.front() != ',') {
    if (!in.span(west, 24)) return std::nullopt;
    out.summer = -west;
  }
  const bool fits = in.skip(',') && in.date(out.begin) && in.skip(',') && in.date(out.end) && in.done();
  if (!fits) return std::nullopt;
  return out;
}

/// Midnight of the day, as if local time were UTC.
sys_days day_of(const Date& date, int y) {
  const year in{y};
  const sys_days first{in / 1 / 1};
  if (date.kind == '0') return first + days{date.day};
  if (date.kind == 'J') return first + days{date.day - 1 + (in.is_leap() && date.day >= 60 ? 1 : 0)};
  const month of{static_cast<unsigned>(date.month)};
  const weekday wanted{static_cast<unsigned>(date.day)};
  // Week 5 is the last such weekday of the month.
  if (date.week == 5) return sys_days{in / of / wanted[std::chrono::last]};
  return sys_days{in / of / wanted[static_cast<unsigned>(date.week)]};
}

TimePoint moment_of(const Date& date, int y, Duration offset) {
  return TimePoint{day_of(date, y).time_since_epoch()} + date.at - offset;
}

}  // namespace

std::optional<std::vector<OffsetChange>> changes_by_rule(std::string_view rule_text, TimePoint after, int last_year) {
  std::vector<OffsetChange> out;
  if (rule_text.empty()) return out;
  const std::optional<Rule> rule = rule_from(rule_text);
  if (!rule) return std::nullopt;
  if (!rule->changes) {
    out.push_back({after, rule->standard});
    return out;
  }
  const std::chrono::year_month_day start{std::chrono::floor<days>(after)};
  OffsetChange at_start{after, rule->standard};
  TimePoint latest = TimePoint::min();
  // From the year before, for what holds at `after` already.
  for (int y = static_cast<int>(start.year()) - 1; y <= last_year; ++y) {
    for (const OffsetChange& change : {OffsetChange{moment_of(rule->begin, y, rule->standard), rule->summer},
                                       OffsetChange{moment_of(rule->end, y, rule->summer), rule->standard}}) {
      if (change.from > after) {
        out.push_back(change);
      } else if (change.from >= latest) {
        latest = change.from;
        at_start.offset = change.offset;
      }
    }
  }
  out.push_back(at_start);
  std::sort(out.begin(), out.end(), [](const OffsetChange& a, const OffsetChange& b) { return a.from < b.from; });
  return out;
}

}  // namespace ebb
