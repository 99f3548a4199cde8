#include "policies/victim/cheapest_return.hpp"

#include <algorithm>
#include <tuple>

namespace ebb {

std::vector<Candidate> CheapestReturnVictim::order(std::vector<Candidate> candidates) const {
  const auto rank = [](const Candidate& c) {
    const bool serving = c.phase == LeasePhase::serving;
    const Duration start_cost = serving ? c.since - c.started_at : Duration{0};
    return std::tuple(serving, start_cost.count(), c.age.count());
  };
  std::sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    return std::tuple(rank(a), b.replica) < std::tuple(rank(b), a.replica);
  });
  return candidates;
}

}  // namespace ebb
