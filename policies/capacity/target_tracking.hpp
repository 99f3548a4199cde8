// What the Kubernetes Horizontal Pod Autoscaler computes, per signal, and the largest of them:
//
//   need = ceil(signal / target per replica x (1 + headroom))
//          kept as it is while |signal x (1 + headroom) / (ready x target) - 1| <= tolerance
//   stabilised need = the largest need within the last `stabilisation`
//
// Signals are sums over replicas, so `ready x average / target` of the HPA's documentation is `signal / target`.
// Source: kubernetes.io, "Horizontal Pod Autoscaling", algorithm details and stabilisation window. The HPA has no
// headroom; 0 is its law.
#pragma once

#include "policies/capacity/load.hpp"

namespace ebb {

class TargetTracking final : public CapacityPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "target_tracking"; }
  void options(OptionVisitor& visitor) override;
  [[nodiscard]] std::vector<OptionProblem> problems() const override { return missing_signals(signals_.empty()); }
  [[nodiscard]] std::vector<std::string> needs() const override { return names_of(signals_); }
  [[nodiscard]] CapacityProposal propose(const CapacityInput& input) const override;
  [[nodiscard]] Duration window() const override { return stabilisation_; }
  [[nodiscard]] std::size_t memory_size() const override;

 private:
  std::vector<SignalTarget> signals_{SignalTarget{}};
  double headroom_ = 0;
  double tolerance_ = 0.1;
  Duration stabilisation_{300'000};
};

}  // namespace ebb
