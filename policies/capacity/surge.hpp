// The Knative pod autoscaler: a calm average, and a short one that panics.
//
//   calm  = ceil(mean load of the last `stable_window`)
//   surge = ceil(mean load of the last `stable_window` x `panic_window_percent`)
//   both kept between floor(ready / max_scale_down_rate) and ceil(ready x max_scale_up_rate)
//   panic begins when surge >= ready x panic_threshold_percent, and ends one `stable_window` after the last such moment
//   need  = calm; in panic the largest of calm and surge since the panic began
//   delayed need = the largest need within the last `scale_down_delay`
//
// With nothing remembered it starts in panic at what is ready: an empty window proves nothing. Seconds without a
// reading are left out of the means; while a reading is missing nothing is decided.
// Source: knative/serving, pkg/autoscaler/scaling/autoscaler.go and config-autoscaler. Its target utilisation of 70 %
// is part of `target` here, its activator has no counterpart.
#pragma once

#include "policies/capacity/load.hpp"

namespace ebb {

class Surge final : public CapacityPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "surge"; }
  void options(OptionVisitor& visitor) override;
  [[nodiscard]] std::vector<OptionProblem> problems() const override { return missing_signals(signals_.empty()); }
  [[nodiscard]] std::vector<std::string> needs() const override { return names_of(signals_); }
  [[nodiscard]] CapacityProposal propose(const CapacityInput& input) const override;
  [[nodiscard]] Duration window() const override { return std::max(stable_window_, scale_down_delay_); }
  [[nodiscard]] std::size_t memory_size() const override;

 private:
  struct Memory;
  [[nodiscard]] Memory read(const CapacityInput& input) const;
  /// The need, before it is delayed; updates the panic in `memory`.
  [[nodiscard]] Replicas judged(const CapacityInput& input, Memory& memory, Explanation& why) const;

  std::vector<SignalTarget> signals_{SignalTarget{}};
  double headroom_ = 0;
  Duration stable_window_{60'000};
  double panic_window_percent_ = 10;
  double panic_threshold_percent_ = 200;
  double max_scale_up_rate_ = 1'000;
  double max_scale_down_rate_ = 2;
  Duration scale_down_delay_{0};
};

}  // namespace ebb
