#include "policies/capacity/schedule.hpp"

#include <array>

namespace ebb {
namespace {

constexpr const char* kTimes = R"(must be a time of day between "00:00" and "24:00")";
constexpr const char* kAllDay = R"(opens and closes at the same time: write from: "00:00", to: "24:00" for all day)";
constexpr Duration kMinute{60'000};
constexpr Duration kDay{86'400'000};
constexpr std::array<std::string_view, 7> kDays{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

/// "08:00" to "24:00", since midnight.
std::optional<Duration> time_of_day(std::string_view text) {
  const auto digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : -1; };
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  for (const std::size_t i : std::array<std::size_t, 4>{0, 1, 3, 4}) {
    if (digit(i) < 0) return std::nullopt;
  }
  const int hours = digit(0) * 10 + digit(1), minutes = digit(3) * 10 + digit(4);
  if (minutes > 59 || hours * 60 + minutes > 24 * 60) return std::nullopt;
  return (hours * 60 + minutes) * kMinute;
}

std::optional<std::size_t> day_named(std::string_view text) {
  for (std::size_t i = 0; i < kDays.size(); ++i) {
    if (kDays[i] == text) return i;
  }
  return std::nullopt;
}

/// "fri-mon" is four days.
std::optional<std::array<bool, 7>> days_named(const std::vector<std::string>& names) {
  std::array<bool, 7> out{};
  for (const std::string& name : names) {
    const std::size_t dash = name.find('-');
    const auto first = day_named(name.substr(0, dash));
    const auto last = dash == std::string::npos ? first : day_named(name.substr(dash + 1));
    if (!first || !last) return std::nullopt;
    for (std::size_t day = *first; out[day] = true, day != *last;) day = (day + 1) % 7;
  }
  return out;
}

/// `now` in the local week. A window that cannot be read never opens; `problems` reports it.
bool is_open(const Schedule::Window& window, Duration now) {
  const auto days = days_named(window.days);
  const auto from = time_of_day(window.from), to = time_of_day(window.to);
  if (!days || !from || !to) return false;
  const auto today = static_cast<std::size_t>(now / kDay);
  const std::size_t yesterday = (today + 6) % 7;
  const Duration time = now % kDay;
  if (*from < *to) return (*days)[today] && *from <= time && time < *to;
  return ((*days)[today] && *from <= time) || ((*days)[yesterday] && time < *to);
}

}  // namespace

void options(Schedule::Window& window, OptionVisitor& visitor) {
  visitor.value({"days", "Days on which it opens: mon, tue, wed, thu, fri, sat, sun, or a range such as mon-fri."},
                window.days);
  visitor.value({"from", "Local time at which it opens, such as \"08:00\"."}, window.from);
  visitor.value({"to", "Local time at which it closes, up to \"24:00\"; earlier than `from`: on the next day."},
                window.to);
  visitor.value({"replicas", "Replicas production needs while it is open."}, window.replicas, {0, 100'000});
}

void Schedule::options(OptionVisitor& visitor) {
  visit_list(visitor, {"windows", "When how many are needed; where windows overlap, the largest counts."}, windows_);
  visitor.value({"time_zone", "IANA name of the zone whose clocks the windows follow, such as Europe/Berlin."}, zone_);
  visitor.value({"otherwise", "Replicas production needs while no window is open."}, otherwise_, {0, 100'000});
}

std::vector<OptionProblem> Schedule::problems() const {
  std::vector<OptionProblem> out;
  for (std::size_t i = 0; i < windows_.size(); ++i) {
    const std::string path = "windows[" + std::to_string(i) + "].";
    const Window& window = windows_[i];
    const auto from = time_of_day(window.from), to = time_of_day(window.to);
    if (window.days.empty()) out.push_back({path + "days", "a window needs at least one day"});
    if (!days_named(window.days)) {
      out.push_back({path + "days", "a day is one of mon, tue, wed, thu, fri, sat, sun, or a range such as mon-fri"});
    }
    if (!from) out.push_back({path + "from", kTimes});
    if (!to) out.push_back({path + "to", kTimes});
    if (from && to && *from == *to) {
      out.push_back({path + "to", kAllDay, {path + "from"}});
    }
  }
  return out;
}

CapacityProposal Schedule::propose(const CapacityInput& input) const {
  const Duration now = local_time_of_week(zone_, input.now);
  const Window* largest = nullptr;
  for (const Window& window : windows_) {
    if (is_open(window, now) && (largest == nullptr || window.replicas > largest->replicas)) largest = &window;
  }
  CapacityProposal proposal;
  proposal.need = largest == nullptr ? otherwise_ : largest->replicas;
  const std::string said = largest == nullptr ? "no window is open" : largest->from + " to " + largest->to;
  proposal.why.push_back({Stage::need,
                          "need.schedule",
                          input.deployment.value,
                          {{"need", std::int64_t{proposal.need.count}}, {"window", said}, {"time_zone", zone_.name}}});
  return proposal;
}

}  // namespace ebb
