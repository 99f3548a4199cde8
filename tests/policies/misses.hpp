// What `conformal` said it keeps, held against what came.
#pragma once

#include <string>

#include "tests/policies/probe.hpp"

namespace ebb::testing {

/// A number out of the steps of `conformal`; -1 where it is not there.
inline double argument(const CapacityProposal& proposal, const std::string& name) {
  for (const Step& step : proposal.why) {
    if (step.rule != "need.conformal" && step.rule != "need.missed") continue;
    for (const auto& [key, value] : step.args) {
      if (key == name) return std::get<double>(value);
    }
  }
  return -1;
}

/// Share of non-overlapping horizons in which the load rose above what was said at their beginning, counted here and
/// not by the policy.
struct Judge {
  double until = -1, bound = 0, horizons = 0, misses = 0;
  bool missed = false;
  void see(double second, double load, double location_and_margin, double horizon) {
    if (until >= 0 && second <= until) missed = missed || load > bound;
    if (until >= 0 && second < until) return;
    if (until >= 0) {
      ++horizons;
      misses += missed ? 1 : 0;
    }
    missed = false;
    until = second + horizon;
    bound = location_and_margin;
  }
  [[nodiscard]] double rate() const { return misses / horizons; }
};

}  // namespace ebb::testing
