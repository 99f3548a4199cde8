#include "policies/capacity/seasonal.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "policies/capacity/forecast.hpp"

namespace ebb {
namespace {

// Numbers: length of a bin in ms, a fingerprint of signals and zone, when it was last seen, the bin of then, sum and
// count of its loads, the smoothed load and the smoothed profile, then the profile with kUnknown for a bin that was
// never seen.
constexpr int kMemoryVersion = 5'002;
constexpr std::size_t kHeader = 8;
constexpr std::size_t kMostBins = 8'000;
constexpr Duration kDay{86'400'000};
constexpr double kLeastLevel = 0.25, kMostLevel = 4;
constexpr std::array<std::string_view, 2> kPeriods{"day", "week"};

double ms(TimePoint at) { return static_cast<double>(at.time_since_epoch().count()); }

}  // namespace

struct Seasonal::Memory {
  double seen_ms = 0, bin = 0, sum = 0, count = 0, load = 0, usual = 0;
  std::vector<double> profile;
  /// How the last while compares with what is usual.
  [[nodiscard]] double level() const { return usual > 1e-9 ? std::clamp(load / usual, kLeastLevel, kMostLevel) : 1; }
};

void Seasonal::options(OptionVisitor& visitor) {
  constexpr Duration kMinute{60'000};
  signal_options(visitor, signals_);
  headroom_option(visitor, headroom_);
  int period = weekly_ ? 1 : 0;
  visitor.choice({"period", "After this long traffic looks alike."}, period, kPeriods);
  // Written only when it changes: a printer may look while others read.
  if ((period == 1) != weekly_) weekly_ = period == 1;
  visitor.value({"bin", "Length of a bin; the period is a whole number of them, at most 8000."}, bin_, {kMinute, kDay});
  visitor.value({"time_zone", "IANA name of the zone whose clocks the traffic follows, such as Europe/Berlin."}, zone_);
  visitor.value({"learning_rate", "Weight of the newest pass in a bin's profile."}, learning_rate_, {0.01, 1.0});
  visitor.value({"level_window", "How today compares with the profile is judged over about this long."}, level_window_,
                {kMinute, kDay});
  visitor.value({"lead", "Looks so far ahead: about the time production takes to start and RL to leave."}, lead_,
                {Duration{0}, kDay});
}

std::vector<OptionProblem> Seasonal::problems() const {
  std::vector<OptionProblem> out = missing_signals(signals_.empty());
  const Duration period = (weekly_ ? 7 : 1) * kDay;
  if (period % bin_ != Duration{0} || bins() > kMostBins || bins() < 2) {
    out.push_back({"bin",
                   std::string("must divide a ") + (weekly_ ? "week" : "day") + " into 2 to 8000 equal bins, got " +
                       to_text(bin_),
                   {"period"}});
  }
  return out;
}

std::size_t Seasonal::bins() const { return static_cast<std::size_t>((weekly_ ? 7 : 1) * kDay / bin_); }

std::size_t Seasonal::memory_size() const { return kHeader + std::min(bins(), kMostBins); }

double Seasonal::position(TimePoint at) const {
  const Duration in_week = local_time_of_week(zone_, at);
  const Duration in_period = weekly_ ? in_week : in_week % kDay;
  return static_cast<double>(in_period.count()) / static_cast<double>(bin_.count());
}

double Seasonal::profile_at(const Memory& memory, TimePoint at) const {
  // A bin's mean holds in its middle.
  const double from_first = position(at) - 0.5;
  const double below = std::floor(from_first);
  const std::size_t count = memory.profile.size();
  const auto index = static_cast<std::size_t>(below + static_cast<double>(count)) % count;
  const double a = memory.profile[index], b = memory.profile[(index + 1) % count];
  if (a < 0 || b < 0) return std::max(a, b);
  return a + (b - a) * (from_first - below);
}

Seasonal::Memory Seasonal::read(const CapacityInput& input) const {
  const std::vector<double>& n = input.memory.numbers;
  const double now_ms = ms(input.now);
  Memory out;
  const bool ours = input.memory.version == kMemoryVersion && n.size() == kHeader + bins() &&
                    n[0] == static_cast<double>(bin_.count()) && n[1] == fingerprint(signals_, zone_.name);
  if (!ours) {
    out.seen_ms = now_ms;
    out.bin = std::floor(position(input.now));
    out.profile.assign(bins(), kUnknown);
    return out;
  }
  out = {n[2], n[3], n[4], n[5], n[6], n[7], {n.begin() + kHeader, n.end()}};
  if (out.seen_ms > now_ms) {
    // The clock was set back: the profile holds, the bin that was being filled is not the one it seemed.
    out = {now_ms, std::floor(position(input.now)), 0, 0, out.load, out.usual, std::move(out.profile)};
  }
  return out;
}

void Seasonal::learn(Memory& memory, TimePoint now, double load) const {
  const double bin = std::floor(position(now));
  // The same bin a whole period later is another one.
  const bool ended = bin != memory.bin || ms(now) - memory.seen_ms > static_cast<double>(bin_.count());
  if (ended && memory.count > 0) {
    double& usual = memory.profile[std::min(static_cast<std::size_t>(memory.bin), memory.profile.size() - 1)];
    const double mean = memory.sum / memory.count;
    usual = usual < 0 ? mean : usual + learning_rate_ * (mean - usual);
  }
  if (ended) memory.sum = memory.count = 0;
  memory.bin = bin;
  memory.sum += load;
  memory.count += 1;
  if (const double usual = profile_at(memory, now); usual >= 0) {
    const double passed = ms(now) - memory.seen_ms, window = static_cast<double>(level_window_.count());
    // Nothing is smoothed yet, or it is long ago: begins with now.
    const double weight = memory.usual <= 0 ? 1 : passed / (passed + window);
    memory.load += weight * (load - memory.load);
    memory.usual += weight * (usual - memory.usual);
  }
  memory.seen_ms = ms(now);
}

double Seasonal::forecast(const Memory& memory, TimePoint now) const {
  double highest = kUnknown;
  // The profile bends in the middle of bins only: its maximum lies there or at an end.
  const double from = position(now);
  const double first_bend = std::floor(from + 0.5) + 0.5;
  const double bins_ahead = static_cast<double>(lead_.count()) / static_cast<double>(bin_.count());
  const auto look = [&](double ahead) {
    const Duration span{static_cast<std::int64_t>(ahead * static_cast<double>(bin_.count()))};
    highest = std::max(highest, profile_at(memory, now + span));
  };
  look(0);
  for (std::size_t i = 0; i < bins(); ++i) {
    const double ahead = first_bend + static_cast<double>(i) - from;
    if (ahead >= bins_ahead) break;
    look(ahead);
  }
  look(bins_ahead);
  return highest < 0 ? kUnknown : highest * memory.level();
}

CapacityProposal Seasonal::propose(const CapacityInput& input) const {
  CapacityProposal proposal;
  // Without headroom, which is for the need: what is learnt is the load itself.
  const Load load = load_of(input, signals_);
  proposal.why = steps_of(load);
  proposal.known = load.known;
  proposal.need = whole_replicas(load.replicas * (1 + headroom_));
  proposal.memory = input.memory;
  if (!load.known) return proposal;

  Memory memory = read(input);
  learn(memory, input.now, load.replicas);
  const double ahead = forecast(memory, input.now);
  proposal.need = whole_replicas(std::max(load.replicas, ahead) * (1 + headroom_));
  if (ahead >= 0) {
    proposal.why.push_back({Stage::need,
                            "need.seasonal",
                            input.deployment.value,
                            {{"forecast", ahead},
                             {"lead", lead_},
                             {"level_percent", memory.level() * 100},
                             {"load", load.replicas},
                             {"headroom_percent", headroom_ * 100},
                             {"need", std::int64_t{proposal.need.count}}}});
  } else {
    proposal.why.push_back({Stage::need,
                            "need.unlearnt",
                            input.deployment.value,
                            {{"load", load.replicas},
                             {"headroom_percent", headroom_ * 100},
                             {"need", std::int64_t{proposal.need.count}}}});
  }
  proposal.memory = {kMemoryVersion,
                     {static_cast<double>(bin_.count()), fingerprint(signals_, zone_.name), memory.seen_ms, memory.bin,
                      memory.sum, memory.count, memory.load, memory.usual}};
  proposal.memory.numbers.insert(proposal.memory.numbers.end(), memory.profile.begin(), memory.profile.end());
  return proposal;
}

}  // namespace ebb
