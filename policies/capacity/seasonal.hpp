// Learns how a day or a week usually goes, in bins of local time, and looks a little ahead:
//
//   profile[b] = profile[b] + learning_rate (mean load of the bin - profile[b])     once a bin ends, per pass
//   level      = smoothed load / smoothed profile, over `level_window`              how today differs, 1/4 to 4
//   forecast   = max of profile(t) x level for t between now and now + lead         between bins on a straight line
//   need       = ceil(max(load, forecast) x (1 + headroom))
//
// A bin that was never seen forecasts nothing; then the load of now decides. Missing readings teach nothing.
// Source: exponentially smoothed seasonal profiles (Holt and Winters' multiplicative season, Hyndman and Athanasopoulos
// 8.3) with the level taken over a short window, as in seasonal baselines of traffic monitors.
#pragma once

#include "policies/capacity/load.hpp"

namespace ebb {

class Seasonal final : public CapacityPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "seasonal"; }
  void options(OptionVisitor& visitor) override;
  [[nodiscard]] std::vector<OptionProblem> problems() const override;
  [[nodiscard]] std::vector<std::string> needs() const override { return names_of(signals_); }
  [[nodiscard]] CapacityProposal propose(const CapacityInput& input) const override;
  [[nodiscard]] Duration window() const override { return level_window_; }
  [[nodiscard]] std::size_t memory_size() const override;

 private:
  struct Memory;
  [[nodiscard]] std::size_t bins() const;
  /// Position in the period, in bins, with a fraction.
  [[nodiscard]] double position(TimePoint at) const;
  /// The profile at a moment, kUnknown where neither neighbouring bin was ever seen.
  [[nodiscard]] double profile_at(const Memory& memory, TimePoint at) const;
  [[nodiscard]] Memory read(const CapacityInput& input) const;
  void learn(Memory& memory, TimePoint now, double load) const;
  [[nodiscard]] double forecast(const Memory& memory, TimePoint now) const;

  std::vector<SignalTarget> signals_{SignalTarget{}};
  double headroom_ = 0;
  bool weekly_ = true;
  Duration bin_{900'000};
  TimeZone zone_;
  double learning_rate_ = 0.3;
  Duration level_window_{600'000};
  Duration lead_{300'000};
};

}  // namespace ebb
