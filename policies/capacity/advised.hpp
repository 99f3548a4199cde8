// A need that an adviser outside of the daemon names, and another policy while it does not:
//
//   need = ceil(advice)                                    while there is a fresh answer
//        = max(the fallback's need, the last advised need)  for `hold` after the last answer
//        = the fallback's need                              from then on
//
// An answer that is late once, or an adviser that is started anew, must not end replicas that it asked for a moment
// ago: the fallback knows nothing of what was advised. A fresh answer may be lower at once.
//
// The adviser is asked before the decision and its answer is part of the observation, so this stays a pure function and
// a recorded decision can be made again without it. The fallback is consulted at every tick, so that it has learnt what
// it must know when it is needed; its steps stand only where it decides.
//
// Memory: the last advised need and when, then the fallback's, as (its version, its numbers).
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class Advised : public CapacityPolicy {
 public:
  [[nodiscard]] std::vector<OptionProblem> problems() const override;
  [[nodiscard]] std::vector<std::string> needs() const override { return fallback_->needs(); }
  [[nodiscard]] CapacityProposal propose(const CapacityInput& input) const override;
  [[nodiscard]] Duration window() const override { return fallback_->window(); }
  [[nodiscard]] std::size_t memory_size() const override { return kHeader + fallback_->memory_size(); }

 protected:
  explicit Advised(int memory_version);
  /// `deadline`, `hold` and `fallback`; the adviser's own option stands before them.
  void shared_options(OptionVisitor& visitor);
  [[nodiscard]] Duration deadline() const { return deadline_; }

 private:
  static constexpr std::size_t kHeader = 3;

  int memory_version_;
  Duration deadline_{200};
  Duration hold_{300'000};
  std::shared_ptr<CapacityPolicy> fallback_;
};

}  // namespace ebb
