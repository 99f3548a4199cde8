// Plans in intervals, as the Dynamo planner does:
//
//   at the end of each `adjustment_interval`  y(t) = mean load of the interval
//   for the interval that begins              prediction = predictor(y)          (forecast.hpp has the four)
//   need = ceil(prediction x (1 + headroom)), and with `keep_current` at least ceil(load now x (1 + headroom))
//
// An interval without a reading is a hole in y, not a zero. Until there is a whole one the load at the beginning
// is the forecast.
// Source: docs.nvidia.com/dynamo, "Planner Design": adjustment_interval 180 s, constant, ARIMA, Kalman (level and
// trend) and Prophet predictors; Holt stands for the third and the seasonal difference for the fourth here.
#pragma once

#include "policies/capacity/load.hpp"

namespace ebb {

class Predictive final : public CapacityPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "predictive"; }
  void options(OptionVisitor& visitor) override;
  [[nodiscard]] std::vector<OptionProblem> problems() const override;
  [[nodiscard]] std::vector<std::string> needs() const override { return names_of(signals_); }
  [[nodiscard]] CapacityProposal propose(const CapacityInput& input) const override;
  [[nodiscard]] Duration window() const override { return interval_; }
  [[nodiscard]] std::size_t memory_size() const override;

 private:
  enum class Predictor { constant, linear, holt, seasonal };
  struct Memory;
  [[nodiscard]] std::size_t kept() const;
  [[nodiscard]] double forecast(const std::vector<double>& series, double load) const;
  [[nodiscard]] Memory learnt(const CapacityInput& input, double load) const;

  std::vector<SignalTarget> signals_{SignalTarget{}};
  double headroom_ = 0;
  Predictor predictor_ = Predictor::linear;
  Duration interval_{180'000};
  int history_ = 10;
  double level_gain_ = 0.5;
  double trend_gain_ = 0.1;
  Duration season_{86'400'000};
  bool keep_current_ = true;
};

}  // namespace ebb
