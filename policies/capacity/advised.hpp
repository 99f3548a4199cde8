// A need that an adviser outside of the daemon names, and another policy while it does not:
//
//   need = ceil(advice)              while there is a fresh answer
//        = the fallback's need       otherwise
//
// The adviser is asked before the decision and its answer is part of the observation, so this stays a pure function and
// a recorded decision can be made again without it. The fallback is consulted at every tick, so that it has learnt what
// it must know when it is needed; its steps stand only where it decides.
//
// Memory: the fallback's, as (its version, its numbers).
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class Advised : public CapacityPolicy {
 public:
  [[nodiscard]] std::vector<OptionProblem> problems() const override;
  [[nodiscard]] std::vector<std::string> needs() const override { return fallback_->needs(); }
  [[nodiscard]] CapacityProposal propose(const CapacityInput& input) const override;
  [[nodiscard]] Duration window() const override { return fallback_->window(); }
  [[nodiscard]] std::size_t memory_size() const override { return 1 + fallback_->memory_size(); }

 protected:
  explicit Advised(int memory_version);
  /// `deadline` and `fallback`; the adviser's own option stands before them.
  void shared_options(OptionVisitor& visitor);
  [[nodiscard]] Duration deadline() const { return deadline_; }

 private:
  int memory_version_;
  Duration deadline_{200};
  std::shared_ptr<CapacityPolicy> fallback_;
};

}  // namespace ebb
