#include "policies/victim/cheapest_return.hpp"

#include <algorithm>
#include <tuple>

namespace ebb {

std::vector<Candidate> CheapestReturnVictim::order(std::vector<Candidate> candidates) const {
  const auto rank = [](const Candidate& c) {
    const bool serving = c.phase == LeasePhase::serving;
    return std::tuple(serving, serving ? c.start_took.count() : 0, c.age.count());
  };
  std::sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    return std::tuple(rank(a), b.replica) < std::tuple(rank(b), a.replica);
  });
  return candidates;
}

}  // namespace ebb
