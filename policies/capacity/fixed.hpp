// A constant need: for services whose size is somebody's decision, and as the floor in comparisons.
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class FixedCapacity final : public CapacityPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "fixed"; }
  void options(OptionVisitor& visitor) override;
  [[nodiscard]] std::vector<std::string> needs() const override { return {}; }
  [[nodiscard]] CapacityProposal propose(const CapacityInput& input) const override;

 private:
  Replicas replicas_{1};
};

}  // namespace ebb
