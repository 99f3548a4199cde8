#include "policies/capacity/expert.hpp"

#include <algorithm>
#include <cmath>

namespace ebb {
namespace {

constexpr double kLeastLoad = 0.25;
constexpr double kFirstScale = 0.05;
constexpr double kHourMs = 3'600'000;

}  // namespace

double floored(double load) { return std::max(load, kLeastLoad); }

double Expert::base(const Outlook& outlook) const {
  switch (start) {
    case Start::location: return outlook.location;
    case Start::climb: return outlook.location + outlook.climb / 2;
    case Start::season: return floored(outlook.location) * std::exp(outlook.season);
    case Start::nothing: return 0;
  }
  return 0;
}

double Expert::grown(double location) const {
  return gamma == 0 ? 1 : gamma == 1 ? floored(location) : std::sqrt(floored(location));
}

double Expert::first_scale(double load) const { return (level() ? 1 : kFirstScale) * floored(load) / grown(load); }

double Expert::half_life_ms() const { return level() ? kHourMs : 24 * kHourMs; }

}  // namespace ebb
