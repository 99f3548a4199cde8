#include "policies/capacity/predictive.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "policies/capacity/forecast.hpp"

namespace ebb {
namespace {

// Numbers: length of an interval in ms, a fingerprint of the signals, the number of the current one since 1970, sum and
// count of its loads, its prediction, then the means of earlier intervals, oldest first, kUnknown for a hole.
constexpr int kMemoryVersion = 4'002;
constexpr std::size_t kHeader = 6;
constexpr std::size_t kMostIntervals = 4'096;
constexpr std::array<std::string_view, 4> kPredictors{"constant", "linear", "holt", "seasonal"};

}  // namespace

struct Predictive::Memory {
  double interval = 0, sum = 0, count = 0, prediction = kUnknown;
  std::vector<double> series;
};

void Predictive::options(OptionVisitor& visitor) {
  constexpr Duration kSecond{1'000}, kDay{86'400'000};
  signal_options(visitor, signals_);
  headroom_option(visitor, headroom_);
  int index = static_cast<int>(predictor_);
  visitor.choice({"predictor",
                  "How the next interval follows from earlier ones: constant: the last; linear: their line; holt: "
                  "smoothed level and trend; seasonal: as a season ago, from today's level."},
                 index, kPredictors);
  // Written only when it changes: a printer may look while others read.
  if (index != static_cast<int>(predictor_)) predictor_ = static_cast<Predictor>(index);
  visitor.value({"adjustment_interval", "Length of an interval; each gets one prediction."}, interval_,
                {kSecond, kDay});
  visitor.value({"history", "linear, holt: intervals that are looked at."}, history_, {2, 1'000});
  visitor.value({"level_gain", "holt: weight of the newest interval in the level."}, level_gain_, {0.0, 1.0});
  visitor.value({"trend_gain", "holt: weight of the newest change of level in the trend."}, trend_gain_, {0.0, 1.0});
  visitor.value({"season", "seasonal: after this long traffic looks alike; at most 4095 intervals."}, season_,
                {kSecond, 14 * kDay});
  visitor.value({"keep_current", "The need never falls below what the load of now needs."}, keep_current_);
}

std::vector<OptionProblem> Predictive::problems() const {
  std::vector<OptionProblem> out = missing_signals(signals_.empty());
  if (predictor_ != Predictor::seasonal) return out;
  if (season_ < 2 * interval_ || season_ % interval_ != Duration{0}) {
    out.push_back(
        {"season",
         "must be two or more whole times adjustment_interval, got " + to_text(season_) + " with " + to_text(interval_),
         {"adjustment_interval", "predictor"}});
  } else if (kept() > kMostIntervals) {
    out.push_back(
        {"season",
         "must be at most 4095 times adjustment_interval, got " + to_text(season_) + " with " + to_text(interval_),
         {"adjustment_interval", "predictor"}});
  }
  return out;
}

/// Earlier intervals that are remembered.
std::size_t Predictive::kept() const {
  if (predictor_ == Predictor::seasonal) return static_cast<std::size_t>(season_ / interval_) + 1;
  return predictor_ == Predictor::constant ? 1 : static_cast<std::size_t>(history_);
}

std::size_t Predictive::memory_size() const { return kHeader + std::min(kept(), kMostIntervals); }

double Predictive::forecast(const std::vector<double>& series, double load) const {
  switch (predictor_) {
    case Predictor::constant: return forecast_constant(series, load);
    case Predictor::linear: return forecast_linear(series, load);
    case Predictor::holt: return forecast_holt(series, level_gain_, trend_gain_, load);
    case Predictor::seasonal: return forecast_seasonal(series, kept() - 1, load);
  }
  return load;
}

Predictive::Memory Predictive::learnt(const CapacityInput& input, double load) const {
  const auto length = static_cast<double>(interval_.count());
  const double now = std::floor(static_cast<double>(input.now.time_since_epoch().count()) / length);
  const std::vector<double>& n = input.memory.numbers;
  Memory out;
  out.interval = now;
  // Intervals of another length or loads of other signals: what was learnt is of other things.
  const bool ours =
      input.memory.version == kMemoryVersion && n.size() >= kHeader && n[0] == length && n[1] == fingerprint(signals_);
  if (ours) {
    out = {n[2], n[3], n[4], n[5], {n.begin() + kHeader, n.end()}};
    if (now < out.interval) {
      // The clock was set back: what has yet to come is dropped, and the interval of now begins anew.
      const double left = static_cast<double>(out.series.size()) - (out.interval - now);
      out.series.resize(static_cast<std::size_t>(std::max(left, 0.0)));
      out = {now, 0, 0, kUnknown, std::move(out.series)};
    } else if (now > out.interval) {
      out.series.push_back(out.count > 0 ? out.sum / out.count : kUnknown);
      const double holes = std::min(now - out.interval - 1, static_cast<double>(kept()));
      out.series.insert(out.series.end(), static_cast<std::size_t>(holes), kUnknown);
      out = {now, 0, 0, kUnknown, std::move(out.series)};
    }
  }
  if (out.series.size() > kept()) {
    out.series.erase(out.series.begin(), out.series.end() - static_cast<std::ptrdiff_t>(kept()));
  }
  if (out.prediction < 0) out.prediction = std::max(0.0, forecast(out.series, load));
  out.sum += load;
  out.count += 1;
  return out;
}

CapacityProposal Predictive::propose(const CapacityInput& input) const {
  CapacityProposal proposal;
  // Without headroom, which is for the need: what is learnt is the load itself.
  const Load load = load_of(input, signals_);
  proposal.why = steps_of(load);
  proposal.known = load.known;
  proposal.need = whole_replicas(load.replicas * (1 + headroom_));
  proposal.memory = input.memory;
  if (!load.known) return proposal;

  Memory memory = learnt(input, load.replicas);
  const double counted = keep_current_ ? std::max(memory.prediction, load.replicas) : memory.prediction;
  proposal.need = whole_replicas(counted * (1 + headroom_));
  proposal.why.push_back({Stage::need,
                          "need.predicted",
                          input.deployment.value,
                          {{"predictor", std::string(kPredictors[static_cast<std::size_t>(predictor_)])},
                           {"prediction", memory.prediction},
                           {"load", load.replicas},
                           {"interval", interval_},
                           {"headroom_percent", headroom_ * 100},
                           {"need", std::int64_t{proposal.need.count}}}});
  proposal.memory = {kMemoryVersion,
                     {static_cast<double>(interval_.count()), fingerprint(signals_), memory.interval, memory.sum,
                      memory.count, memory.prediction}};
  proposal.memory.numbers.insert(proposal.memory.numbers.end(), memory.series.begin(), memory.series.end());
  return proposal;
}

}  // namespace ebb
