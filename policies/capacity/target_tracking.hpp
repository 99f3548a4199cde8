// What the Kubernetes Horizontal Pod Autoscaler computes, per signal, and the largest of them:
//
//   need = ceil(signal / target per replica)      kept as it is while |signal / (ready x target) - 1| <= tolerance
//   stabilised need = the largest need within the last `stabilisation`
//
// Signals are sums over replicas, so `ready x average / target` of the HPA's documentation is `signal / target`.
// Source: kubernetes.io, "Horizontal Pod Autoscaling", algorithm details and stabilisation window.
#pragma once

#include "policies/policy.hpp"

namespace ebb {

class TargetTracking final : public CapacityPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "target_tracking"; }
  void options(OptionVisitor& visitor) override;
  [[nodiscard]] std::vector<std::string> needs() const override;
  [[nodiscard]] CapacityProposal propose(const CapacityInput& input) const override;
  [[nodiscard]] Duration window() const override { return stabilisation_; }

  struct SignalTarget {
    std::string signal = "in_flight";
    double target = 16;  ///< per replica, in the signal's unit
  };

 private:
  std::vector<SignalTarget> signals_{SignalTarget{}};
  double tolerance_ = 0.1;
  Duration stabilisation_{300'000};
};

}  // namespace ebb
