#include "policies/allocation/max_min.hpp"

#include <algorithm>
#include <queue>
#include <tuple>

namespace ebb {
namespace {

/// Fills each claim up to `limit(claim)`, the poorest per weight first; returns what is left of the room.
template <class Limit>
Gpus fill(Gpus room, const std::vector<Claim>& claims, std::vector<Replicas>& given, Limit limit) {
  // (GPUs per weight, index): ties go to the earlier claim, so that the result does not depend on the container.
  using Entry = std::tuple<double, std::size_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> poorest;
  const auto offer = [&](std::size_t i) {
    const bool wants = given[i] < limit(claims[i]) && claims[i].gpus_per_replica.count > 0;
    if (wants) poorest.emplace((given[i] * claims[i].gpus_per_replica).count / claims[i].weight, i);
  };
  for (std::size_t i = 0; i < claims.size(); ++i) offer(i);
  while (!poorest.empty()) {
    const std::size_t i = std::get<1>(poorest.top());
    poorest.pop();
    if (claims[i].gpus_per_replica > room) continue;  // too large for what is left; a smaller one may still fit
    room -= claims[i].gpus_per_replica;
    given[i] = given[i] + Replicas{1};
    offer(i);
  }
  return room;
}

}  // namespace

std::vector<Replicas> MaxMin::share(Gpus slack, const std::vector<Claim>& claims) const {
  std::vector<Replicas> given(claims.size());
  const Gpus rest = fill(slack, claims, given, [](const Claim& claim) { return std::min(claim.guarantee, claim.cap); });
  (void)fill(rest, claims, given, [](const Claim& claim) { return claim.cap; });
  return given;
}

}  // namespace ebb
