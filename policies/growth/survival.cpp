#include "policies/growth/survival.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace ebb {
namespace {

constexpr int kVersion = 3'001;
// Four bins to a doubling from 5 s on: the 64th begins at 2.7 days, and what lasts longer lasts.
constexpr double kFirst_s = 5;
constexpr double kPerDoubling = 4;
constexpr std::size_t kBins = 64;
// Levels that became free at different times. Slack that climbs in more steps than that is taken to have come in fewer.
constexpr std::size_t kMostRises = 512;
// After a longer absence (and one of two ticks) nobody knows since when slack is free.
constexpr double kLongestAbsence_s = 600;

double seconds(Duration d) { return static_cast<double>(d.count()) / 1'000; }

/// Where each bin begins.
const std::array<double, kBins> kBegins = [] {
  std::array<double, kBins> out{};
  for (std::size_t i = 1; i < kBins; ++i) out[i] = kFirst_s * std::exp2(static_cast<double>(i - 1) / kPerDoubling);
  return out;
}();

std::size_t bin_of(double age_s) {
  return static_cast<std::size_t>(std::upper_bound(kBegins.begin() + 1, kBegins.end(), age_s) - kBegins.begin()) - 1;
}

/// The levels from the one above the rise before it up to `top` have been free since `at_s`.
struct Rise {
  double top = 0;
  double at_s = 0;
};

/// What the policy remembers, as a value.
struct Learnt {
  double at_s = 0;        ///< of the last call
  double start_up_s = 0;  ///< as last shown by replicas that serve
  std::array<double, kBins> ended{};
  std::vector<Rise> rises;  ///< tops and times ascend

  static Learnt read(const PolicyMemory& memory);
  [[nodiscard]] PolicyMemory written() const;
  void fade(double now_s, double half_life_s, double absence_s);
  void see(double slack, double now_s);
};

/// What ended idle intervals tell of those under way. Asked of the oldest first, so that each answer goes on from the
/// one before it: there may be as many levels as replicas, at every tick.
class Outlook {
 public:
  Outlook(const Learnt& learnt, double now_s, double cost_s) : learnt_(learnt), now_s_(now_s), cost_s_(cost_s) {
    for (std::size_t i = kBins - 1; i-- > 0;) longer_[i] = longer_[i + 1] + learnt.ended[i + 1];
  }
  /// That a level which has been free for so long stays free for another `cost_s`. No age may exceed the one before it.
  [[nodiscard]] double chance(double age_s);

 private:
  /// Weight of ended idle intervals that lasted longer than the age. `bin`: in, one no earlier than the age's; out, the
  /// age's.
  [[nodiscard]] double ended_after(double age_s, std::size_t& bin) const;

  const Learnt& learnt_;
  double now_s_;
  double cost_s_;
  std::array<double, kBins> longer_{};  ///< weight of the bins after each
  std::size_t bin_ = kBins - 1;         ///< of the last age
  std::size_t later_bin_ = kBins - 1;   ///< of the last age and the cost
  std::size_t under_way_ = 0;           ///< rises older than the last age and the cost
};

constexpr std::size_t kHeader = 2 + kBins;

Learnt Learnt::read(const PolicyMemory& memory) {
  Learnt out;
  const auto& n = memory.numbers;
  if (memory.version != kVersion || n.size() < kHeader || (n.size() - kHeader) % 2 != 0) return out;
  out.at_s = n[0];
  out.start_up_s = n[1];
  std::copy_n(n.begin() + 2, kBins, out.ended.begin());
  out.rises.reserve((n.size() - kHeader) / 2 + 1);
  for (std::size_t i = kHeader; i < n.size(); i += 2) out.rises.push_back({n[i], n[i + 1]});
  // Times that do not ascend were remembered by a version that a clock set back could confuse: they say nothing.
  const auto older = [](const Rise& a, const Rise& b) { return a.at_s < b.at_s; };
  if (!std::is_sorted(out.rises.begin(), out.rises.end(), older)) return {};
  return out;
}

PolicyMemory Learnt::written() const {
  PolicyMemory out{kVersion, {}};
  out.numbers.reserve(kHeader + 2 * rises.size());
  out.numbers = {at_s, start_up_s};
  out.numbers.insert(out.numbers.end(), ended.begin(), ended.end());
  for (const Rise& rise : rises) {
    out.numbers.push_back(rise.top);
    out.numbers.push_back(rise.at_s);
  }
  return out;
}

void Learnt::fade(double now_s, double half_life_s, double absence_s) {
  if (now_s - at_s > absence_s) rises.clear();
  const double kept = std::exp2(-std::max(now_s - at_s, 0.0) / half_life_s);
  // A clock that was set back: nothing is free since tomorrow.
  if (now_s < at_s) {
    for (Rise& rise : rises) rise.at_s = std::min(rise.at_s, now_s);
  }
  at_s = now_s;
  for (double& weight : ended) weight *= kept;
}

void Learnt::see(double slack, double now_s) {
  while (!rises.empty() && rises.back().top > slack) {
    const Rise fallen = rises.back();
    rises.pop_back();
    const double bottom = rises.empty() ? 0 : rises.back().top;
    ended[bin_of(now_s - fallen.at_s)] += 1;
    if (bottom < slack) rises.push_back({slack, fallen.at_s});
  }
  const double top = rises.empty() ? 0 : rises.back().top;
  if (slack <= top) return;
  if (rises.size() == kMostRises) {
    rises.back() = {slack, now_s};  // younger than it is: it waits a little longer
    return;
  }
  rises.push_back({slack, now_s});
}

double Outlook::ended_after(double age_s, std::size_t& bin) const {
  while (bin > 0 && kBegins[bin] > age_s) --bin;
  if (bin + 1 == kBins) return 0;
  // Within a bin lengths are taken to be spread evenly: the oldest bins are hours wide, a start takes minutes.
  const double part = (kBegins[bin + 1] - age_s) / (kBegins[bin + 1] - kBegins[bin]);
  return longer_[bin] + learnt_.ended[bin] * part;
}

double Outlook::chance(double age_s) {
  const double later_s = age_s + cost_s_;
  while (under_way_ < learnt_.rises.size() && now_s_ - learnt_.rises[under_way_].at_s > later_s) ++under_way_;
  const auto under_way = static_cast<double>(under_way_);
  return (ended_after(later_s, later_bin_) + under_way + 1) / (ended_after(age_s, bin_) + under_way + 1);
}

}  // namespace

void Survival::options(OptionVisitor& v) {
  v.value({"confidence", "Slack is lent when it outlives a replica's start and drain with this probability."},
          confidence_, {0, 1});
  v.value({"half_life", "After this long an observed idle interval counts half."}, half_life_,
          {Duration{3'600'000}, Duration{90LL * 86'400'000}});
}

GrowthProposal Survival::propose(const GrowthInput& input) const {
  Learnt learnt = Learnt::read(input.memory);
  const double now_s = seconds(input.now.time_since_epoch());
  learnt.fade(now_s, seconds(half_life_), std::max(kLongestAbsence_s, 2 * seconds(input.tick)));
  learnt.see(input.slack.count, now_s);
  if (input.start_up > Duration{0}) learnt.start_up_s = seconds(input.start_up);

  const double cost_s = learnt.start_up_s + seconds(input.drain);
  GrowthProposal out{Gpus{0}, {}, {}};
  Outlook outlook(learnt, now_s, cost_s);
  double chance = 1;
  double age_s = 0;
  for (const Rise& rise : learnt.rises) {
    age_s = now_s - rise.at_s;
    chance = outlook.chance(age_s);
    if (chance < confidence_) break;
    out.lendable = Gpus{static_cast<int>(rise.top)};
  }
  if (out.lendable < input.slack) {
    out.why.push_back({Stage::guardrails,
                       "growth.survival",
                       input.pool.value,
                       {{"slack", std::int64_t{input.slack.count}},
                        {"kept", std::int64_t{out.lendable.count}},
                        {"age", Duration{static_cast<std::int64_t>(age_s * 1'000)}},
                        {"cost", Duration{static_cast<std::int64_t>(cost_s * 1'000)}},
                        {"chance", chance},
                        {"confidence", confidence_}}});
  }
  out.memory = learnt.written();
  return out;
}

}  // namespace ebb
