// Strict priority: guarantees first, the higher priority before the lower; then each level takes all it can use before
// the next sees any. Within a level weighted max-min, as `max_min` shares.
//
// A replica that is too large for what is left of the slack does not hold it back from lower levels.
// Source: strict priority scheduling; Kubernetes' PriorityClass orders pods the same way.
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class PriorityAllocation final : public AllocationPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "priority"; }
  void options(OptionVisitor&) override {}
  [[nodiscard]] std::vector<Replicas> share(Gpus slack, const std::vector<Claim>& claims) const override;
};

}  // namespace ebb
