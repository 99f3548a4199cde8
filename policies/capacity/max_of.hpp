// The most careful of several policies:
//
//   need = the largest need of `policies`      known only if all of them know
//
// For example target_tracking for what is, seasonal for what comes, and schedule for what somebody knows. It cannot
// stand inside itself: the largest of the largest is the largest.
//
// Memory: for each policy in its order (version, count, that many numbers), 8,192 numbers in all. Each judges its own
// version, so a change of one policy resets that policy's memory alone; one that is inserted resets those behind it.
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class MaxOf final : public CapacityPolicy {
 public:
  MaxOf() = default;
  explicit MaxOf(std::vector<std::shared_ptr<CapacityPolicy>> policies) : policies_(std::move(policies)) {}

  [[nodiscard]] std::string_view name() const override { return "max_of"; }
  void options(OptionVisitor& visitor) override;
  [[nodiscard]] std::vector<OptionProblem> problems() const override;
  [[nodiscard]] std::vector<std::string> needs() const override;
  [[nodiscard]] CapacityProposal propose(const CapacityInput& input) const override;
  [[nodiscard]] Duration window() const override;
  [[nodiscard]] std::size_t memory_size() const override;

 private:
  std::vector<std::shared_ptr<CapacityPolicy>> policies_;
};

}  // namespace ebb
