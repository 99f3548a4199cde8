// What KEDA does: a switch between none and one, and above it the Horizontal Pod Autoscaler.
//
//   active  = some signal above its activation, looked at every `polling_interval`
//   need    = max(1, minimum, HPA's need at `target` per replica)   while active, and for `cooldown` after it was last
//           = 0                                                     from then on
//
// It is always active with a `minimum` of one or more: only to and from zero it is KEDA that scales.
// A signal that is partly known can switch on, never off; while one is unknown the cool-down does not end.
// Source: keda.sh, "ScaledObject specification" (pollingInterval 30, cooldownPeriod 300, activation thresholds); its
// scaled workload below one replica is KEDA's, above that the HPA's with tolerance and stabilisation.
#pragma once

#include "policies/capacity/load.hpp"

namespace ebb {

class Threshold final : public CapacityPolicy {
 public:
  struct Trigger {
    SignalTarget signal;
    double activation = 0;  ///< above it the service is active, in the signal's unit
  };

  [[nodiscard]] std::string_view name() const override { return "threshold"; }
  void options(OptionVisitor& visitor) override;
  [[nodiscard]] std::vector<OptionProblem> problems() const override { return missing_signals(triggers_.empty()); }
  [[nodiscard]] std::vector<std::string> needs() const override { return names_of(targets()); }
  [[nodiscard]] CapacityProposal propose(const CapacityInput& input) const override;
  [[nodiscard]] Duration window() const override { return std::max(cooldown_, stabilisation_); }
  [[nodiscard]] std::size_t memory_size() const override;

 private:
  [[nodiscard]] std::vector<SignalTarget> targets() const;
  [[nodiscard]] bool is_active(const CapacityInput& input) const;

  std::vector<Trigger> triggers_{Trigger{}};
  double headroom_ = 0;
  double tolerance_ = 0.1;
  Duration stabilisation_{300'000};
  Replicas minimum_{0};
  Duration cooldown_{300'000};
  Duration polling_interval_{30'000};
};

void options(Threshold::Trigger& trigger, OptionVisitor& visitor);

}  // namespace ebb
