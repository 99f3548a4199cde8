#include "adapters/exposition/coverage.hpp"

#include <spdlog/fmt/fmt.h>

#include <set>

namespace ebb::exposition {

namespace {

const Figure* figure_of(const TargetReport& report, const std::string& name) {
  const auto found = report.figures.find(name);
  return found == report.figures.end() ? nullptr : &found->second;
}

std::string reason(const TargetReport& report, const Figure* figure) {
  if (!report.fresh) return report.why_not;
  return figure == nullptr ? "not on its page" : figure->why;
}

SignalSeen sum(const std::vector<TargetReport>& reports, const std::string& name, TimePoint taken_at) {
  SignalSeen signal;
  double total = 0;
  double certain = 0;
  std::size_t known = 0;
  bool something = false;
  std::string first_reason;
  for (const TargetReport& report : reports) {
    const Figure* figure = figure_of(report, name);
    if (figure != nullptr && figure->value) {
      total += *figure->value;
      ++known;
      something = true;
      continue;
    }
    if (name == "in_flight" && report.load_at_least) {
      certain += *report.load_at_least;
      something = true;
    }
    if (first_reason.empty()) first_reason = fmt::format("{}: {}", report.name, reason(report, figure));
  }
  if (reports.empty()) {
    signal.value = Missing{"no ready replica to ask", taken_at};
  } else if (known == reports.size()) {
    signal.value = Sample<double>{total, taken_at};
  } else {
    signal.value =
        Missing{fmt::format("{} of {} replicas reported: {}", known, reports.size(), first_reason), taken_at};
    if (something) signal.at_least = total + certain;
  }
  return signal;
}

}  // namespace

std::map<std::string, SignalSeen> summed(const std::vector<TargetReport>& reports,
                                         const std::vector<std::string>& names, TimePoint taken_at) {
  std::set<std::string> wanted(names.begin(), names.end());
  for (const TargetReport& report : reports) {
    for (const auto& [name, figure] : report.figures) wanted.insert(name);
  }
  std::map<std::string, SignalSeen> signals;
  for (const std::string& name : wanted) signals[name] = sum(reports, name, taken_at);
  return signals;
}

}  // namespace ebb::exposition
