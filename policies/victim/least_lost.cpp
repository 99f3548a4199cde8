#include "policies/victim/least_lost.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

namespace ebb {

std::vector<Candidate> LeastLostVictim::order(std::vector<Candidate> candidates) const {
  const auto rank = [](const Candidate& c) {
    const bool serving = c.phase == LeasePhase::serving;
    const double unknown = serving && !c.ill ? std::numeric_limits<double>::max() : 0;
    return std::tuple(c.in_flight.value_or(unknown), serving, c.age.count());
  };
  std::sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    return std::tuple(rank(a), b.replica) < std::tuple(rank(b), a.replica);
  });
  return candidates;
}

}  // namespace ebb
