#include "policies/allocation/priority.hpp"

#include <functional>
#include <set>

#include "policies/allocation/filling.hpp"

namespace ebb {

std::vector<Replicas> PriorityAllocation::share(Gpus slack, const std::vector<Claim>& claims) const {
  std::vector<Replicas> given(claims.size());
  std::set<int, std::greater<>> levels;
  for (const Claim& claim : claims) levels.insert(claim.priority);
  for (const std::vector<Replicas>& wanted : {guarantees_of(claims), caps_of(claims)}) {
    for (const int level : levels) {
      std::vector<Replicas> limits = given;
      for (std::size_t i = 0; i < claims.size(); ++i) {
        if (claims[i].priority == level) limits[i] = wanted[i];
      }
      slack = fill(slack, claims, limits, given);
    }
  }
  return given;
}

}  // namespace ebb
