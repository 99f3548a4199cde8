#include "policies/allocation/max_min.hpp"

#include "policies/allocation/filling.hpp"

namespace ebb {

std::vector<Replicas> MaxMin::share(Gpus slack, const std::vector<Claim>& claims) const {
  std::vector<Replicas> given(claims.size());
  const Gpus rest = fill(slack, claims, guarantees_of(claims), given);
  (void)fill(rest, claims, caps_of(claims), given);
  return given;
}

}  // namespace ebb
