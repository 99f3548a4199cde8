#include "policies/capacity/fixed.hpp"

namespace ebb {

void FixedCapacity::options(OptionVisitor& visitor) {
  visitor.value({"replicas", "Replicas production needs at all times."}, replicas_, {0, 100'000});
}

CapacityProposal FixedCapacity::propose(const CapacityInput& input) const {
  CapacityProposal proposal;
  proposal.need = replicas_;
  proposal.why.push_back(
      {Stage::need, "need.fixed", input.deployment.value, {{"need", std::int64_t{replicas_.count}}}});
  return proposal;
}

}  // namespace ebb
