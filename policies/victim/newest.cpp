#include "policies/victim/newest.hpp"

#include <algorithm>
#include <tuple>

namespace ebb {

std::vector<Candidate> NewestVictim::order(std::vector<Candidate> candidates) const {
  const auto rank = [](const Candidate& c) {
    const bool serving = c.phase == LeasePhase::serving;
    return std::tuple(serving, -c.started_at.time_since_epoch().count());
  };
  std::sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    // The later name decides between twins, so that the order is total.
    return std::tuple(rank(a), b.replica) < std::tuple(rank(b), a.replica);
  });
  return candidates;
}

}  // namespace ebb
