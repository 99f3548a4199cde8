#include "tests/emulators/load/arrivals.hpp"

#include <utility>

namespace ebb::emulator {

Arrivals::Arrivals(Day day, ArrivalConfig config)
    : day_(std::move(day)), config_(config), random_(config.seed), now_(-config.lead_in_s) {}

double Arrivals::rate(double at) const { return config_.peak_rps * day_.at(at / config_.day_s).rate; }

std::optional<double> Arrivals::next() {
  // Thinning: candidates come at the peak's rate, and each is kept with the probability rate / peak.
  while (config_.peak_rps > 0 && now_ < config_.day_s) {
    now_ += random_.exponential(1 / config_.peak_rps);
    const double coin = random_.uniform();
    if (now_ < config_.day_s && coin * config_.peak_rps < rate(now_)) return now_;
  }
  return std::nullopt;
}

}  // namespace ebb::emulator
