// Keeps what production may need before RL can be gone, at a miss rate that the user names and that is held to whatever
// the traffic does:
//
//   location = the largest load of the last `window`            in replicas, not rounded
//   need     = ceil(max(location, base + q x scale x location^gamma))
//
// The policy predicts the largest load of the next horizon (age of the reading + reclaim bound + `lead`) and, once that
// horizon is over, learns from what came. Eight experts differ in where they start and in what a swing depends on:
//
//   base = location                 gamma 0, 1/2 and 1: swings do not grow with the load, do as a count's, or with it
//   base = location + climb / 2     gamma 1/2 and 1; climb: what it gains if it goes on as in the last 5 minutes
//   base = location x e^season      gamma 1/2 and 1; season: mean log(largest load / location) of this quarter of an
//                                   hour of the day, in UTC
//   base = 0, gamma = 0             a level: for loads that jump unannounced and fall back
//
// scale is a mean of |largest load - base| / location^gamma (half-life a day; of the level an hour). Each expert keeps
// a histogram of its scores, (largest load - base) / (scale x location^gamma), that forgets with `half_life`; a horizon
// that `location` covers scores 0 with the level. q is its quantile at 1 - alpha. Who costs least (mean, half-life
// 12 h) speaks:
//
//   cost = pinball loss at the budget + budget x 8 x the rise of the bound since the prediction before
//
// The second part is what harvest pays for a reserve that comes and goes: drain and start of every replica taken back.
//
//   log alpha += kGain x (1 - miss / shortfall_budget)          after each horizon, within [budget / 20, 1/2]
//
// so that, while alpha is within its bounds, the share of missed horizons tends to the budget without any assumption
// about the traffic.
// Sources: Gibbs and Candes, "Adaptive conformal inference under distribution shift" (NeurIPS 2021), here on the
// logarithm of alpha, or a budget of 0.0005 would be left for good by one miss; Angelopoulos, Candes and Tibshirani,
// "Conformal PID control for time series prediction" (2023) for scores with a learnt scale.
#pragma once

#include "policies/capacity/load.hpp"

namespace ebb {

class Conformal final : public CapacityPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "conformal"; }
  void options(OptionVisitor& visitor) override;
  [[nodiscard]] std::vector<OptionProblem> problems() const override { return missing_signals(signals_.empty()); }
  [[nodiscard]] std::vector<std::string> needs() const override { return names_of(signals_); }
  [[nodiscard]] CapacityProposal propose(const CapacityInput& input) const override;
  [[nodiscard]] Duration window() const override { return window_; }
  [[nodiscard]] std::size_t memory_size() const override;

 private:
  struct Memory;
  struct Prediction;
  struct Forecast;
  [[nodiscard]] Memory read(const PolicyMemory& memory) const;
  void take_in(Memory& memory, double load, double at_ms, double silence_ms) const;
  void learn(Memory& memory, double load, double at_ms) const;
  void teach(Memory& memory, const Prediction& prediction) const;
  [[nodiscard]] static double climb(const Memory& memory, double horizon_ms);
  [[nodiscard]] Forecast forecast(const Memory& memory, double load, double horizon_ms) const;

  std::vector<SignalTarget> signals_{SignalTarget{}};
  double budget_ = 0.01;
  Duration window_{150'000};
  Duration lead_{0};
  Duration half_life_{3LL * 86'400'000};
};

}  // namespace ebb
