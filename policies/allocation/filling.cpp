#include "policies/allocation/filling.hpp"

#include <algorithm>
#include <functional>
#include <queue>
#include <tuple>

namespace ebb {

Gpus fill(Gpus room, const std::vector<Claim>& claims, const std::vector<Replicas>& limits,
          std::vector<Replicas>& given) {
  // (GPUs per weight, index): ties go to the earlier claim, so that the result does not depend on the container.
  using Entry = std::tuple<double, std::size_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> poorest;
  const auto offer = [&](std::size_t i) {
    const bool wants = given[i] < limits[i] && claims[i].gpus_per_replica.count > 0;
    if (wants) poorest.emplace((given[i] * claims[i].gpus_per_replica).count / claims[i].weight, i);
  };
  for (std::size_t i = 0; i < claims.size(); ++i) offer(i);
  while (!poorest.empty()) {
    const std::size_t i = std::get<1>(poorest.top());
    poorest.pop();
    if (claims[i].gpus_per_replica > room) continue;  // too large for what is left; a smaller one may still fit
    if (poorest.empty()) {                            // nobody to take turns with any more
      const Replicas more = std::min(limits[i] - given[i], fitting(room, claims[i].gpus_per_replica));
      given[i] = given[i] + more;
      return room - more * claims[i].gpus_per_replica;
    }
    room -= claims[i].gpus_per_replica;
    given[i] = given[i] + Replicas{1};
    offer(i);
  }
  return room;
}

std::vector<Replicas> guarantees_of(const std::vector<Claim>& claims) {
  std::vector<Replicas> out;
  out.reserve(claims.size());
  for (const Claim& claim : claims) out.push_back(std::min(claim.guarantee, claim.cap));
  return out;
}

std::vector<Replicas> caps_of(const std::vector<Claim>& claims) {
  std::vector<Replicas> out;
  out.reserve(claims.size());
  for (const Claim& claim : claims) out.push_back(claim.cap);
  return out;
}

}  // namespace ebb
