#include "policies/capacity/conformal.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "policies/capacity/day_curve.hpp"
#include "policies/capacity/expert.hpp"
#include "policies/capacity/scores.hpp"

namespace ebb {
namespace {

constexpr int kMemoryVersion = 9'002;
// 1 / kGain lessons without a miss widen alpha e-fold. Four predictions are under way at a time, so that one rise may
// be four misses: with a budget of 0.01 these lower alpha by a fifth, and 400 lessons bring it back.
constexpr double kGain = 0.0005;
constexpr double kMostAlpha = 0.5;
constexpr double kLeastShareOfBudget = 0.05;

// Loads of the last five minutes, one a cell: the largest seen in it.
constexpr double kCellMs = 5'000;
constexpr std::size_t kCells = 64;
std::int64_t cell_of(double ms) { return static_cast<std::int64_t>(ms / kCellMs); }
std::size_t place_of(std::int64_t cell) { return static_cast<std::size_t>(cell) % kCells; }
static_assert(kCells == 64, "a power of two: cells before the epoch have their places too");
// A silence longer than this, and than two ticks, breaks the horizons in it: what nobody watched proves nothing. One
// sample of a Prometheus that scrapes once a minute, its default, may be missed.
constexpr double kLongestSilenceMs = 150'000;
// Predictions under way. A new one starts every quarter of a horizon.
constexpr std::size_t kPending = 5;

// What is believed before anything was seen: as much as after seven minutes of horizons of 80 s, with an exponential
// tail.
constexpr double kPriorCount = 20;

constexpr double kLeastScale = 1e-6;
// A first scale counts as much as so many lessons at most: neither the luck of the first hour nor a guess is believed
// for days. With an hour's half-life, as of a level, it is forgotten sooner.
constexpr double kFirstLessons = 400;

constexpr double kHourMs = 3'600'000;

constexpr double kCostHalfLifeMs = 12 * kHourMs;
// A replica that is taken back and lent again loses its drain and its start, which is about two horizons: a new
// prediction starts every quarter of one.
constexpr double kTakenBack = 8;
// Cells at either end of those kept, between whose means the load climbs.
constexpr std::size_t kClimbCells = 20;

// Of what was learnt of a quarter of an hour, in the time spent in it: two days.
constexpr double kSeasonHalfLifeMs = 2 * DayCurve::kQuarterMs;

struct Learnt {
  double scale = 0;
  double cost = 0;
  double bound = -1;  ///< what it asked for last; negative: nothing since the last silence
  Scores scores;
};

/// Weight of what was there after `span_ms`.
double kept(double span_ms, double half_life_ms) { return std::exp2(-span_ms / half_life_ms); }

}  // namespace

/// A prediction whose horizon is not over.
struct Conformal::Prediction {
  double at_ms = -1;  ///< negative: none
  double until_ms = 0;
  double largest = 0;  ///< load since then
  Outlook outlook;
  double bound = 0;                            ///< what was kept
  std::array<double, kExperts.size()> unit{};  ///< what each expert's score is counted in, in replicas
};

struct Conformal::Memory {
  double of = 0;        ///< a fingerprint of the signals
  double budget = 0;    ///< which the misses are of
  double seen_ms = -1;  ///< newest reading; negative: none yet
  double begun_ms = 0;  ///< first reading since the last silence, with which the cells were filled
  double next_ms = 0;   ///< no prediction before: a window is not full yet, or the newest one is young
  double log_alpha = 0;
  double lessons = 0;   ///< predictions whose horizon is over
  double horizons = 0;  ///< that ended one after the other, without overlap
  double misses = 0;    ///< among these
  double counted_ms = 0;
  std::array<double, kCells> cells{};
  std::array<Prediction, kPending> pending{};
  DayCurve season;
  std::array<Learnt, kExperts.size()> learnt{};

  /// Shows every number in the order in which it is kept.
  template <class F>
  void each(F&& number) {
    for (double* n :
         {&of, &budget, &seen_ms, &begun_ms, &next_ms, &log_alpha, &lessons, &horizons, &misses, &counted_ms})
      number(*n);
    for (double& n : cells) number(n);
    for (Prediction& p : pending) {
      for (double* n :
           {&p.at_ms, &p.until_ms, &p.largest, &p.outlook.location, &p.outlook.climb, &p.outlook.season, &p.bound})
        number(*n);
      for (double& n : p.unit) number(n);
    }
    for (double& n : season.means) number(n);
    for (Learnt& l : learnt) {
      number(l.scale);
      number(l.cost);
      number(l.bound);
      for (double& n : l.scores.counts) number(n);
    }
  }

  /// False of numbers that no run leaves behind: what somebody's file says must become no index and nothing infinite.
  [[nodiscard]] bool plausible() {
    constexpr double kMost = 1e15,
                     kMostSeason = 40;  // times are below 1e15 ms until the year 33658, all else far below
    bool small = true;
    each([&](double& n) { small = small && (&n == &of || std::abs(n) <= kMost); });
    const auto forward = [](const Prediction& p) { return p.until_ms >= p.at_ms; };
    const auto usual = [&](double mean) { return std::abs(mean) <= kMostSeason; };
    const auto counted = [](const Learnt& l) {
      return l.scale >= 0 && *std::min_element(l.scores.counts.begin(), l.scores.counts.end()) >= 0;
    };
    return small && lessons >= 0 && std::all_of(pending.begin(), pending.end(), forward) &&
           std::all_of(season.means.begin(), season.means.end(), usual) &&
           std::all_of(learnt.begin(), learnt.end(), counted);
  }
  [[nodiscard]] double alpha() const { return std::exp(log_alpha); }
  [[nodiscard]] double unit_of(std::size_t expert, double location) const {
    return std::max(learnt[expert].scale, kLeastScale) * kExperts[expert].grown(location);
  }
};

struct Conformal::Forecast {
  Outlook outlook;
  double bound = 0;
  const char* expert = "";
};

void Conformal::options(OptionVisitor& visitor) {
  signal_options(visitor, signals_);
  visitor.value(
      {"shortfall_budget", "Share of horizons in which the load may exceed what was kept; held to over the long run."},
      budget_, {1e-6, 0.5});
  visitor.value({"window", "Starts from the largest load of this long, or a dip of a moment would be lent."}, window_,
                {Duration{0}, Duration{300'000}});
  visitor.value({"lead",
                 "Added to the horizon, which is the age of the reading, RL's drain and a tick: production's start-up, "
                 "where Ebb scales it."},
                lead_, {Duration{0}, Duration{3'600'000}});
  visitor.value({"half_life", "What was learnt counts half after this long."}, half_life_,
                {Duration{3'600'000}, Duration{60LL * 86'400'000}});
}

std::size_t Conformal::memory_size() const {
  static const std::size_t k_size = [] {
    std::size_t count = 0;
    Memory().each([&](double&) { ++count; });
    return count;
  }();
  return k_size;
}

Conformal::Memory Conformal::read(const PolicyMemory& memory) const {
  Memory out;
  const double of = fingerprint(signals_);
  bool known = memory.version == kMemoryVersion && memory.numbers.size() == memory_size();
  if (known) {
    auto next = memory.numbers.begin();
    out.each([&](double& number) { number = *next++; });
    // Other signals or targets make other loads, of which nothing is known yet.
    known = out.of == of && out.plausible();
    if (!known) out = Memory();
  }
  if (out.budget != budget_) {  // also of one that is begun here
    out.budget = budget_;
    out.log_alpha = std::log(budget_);
    out.horizons = out.misses = 0;
  }
  out.of = of;
  if (!known)
    for (Learnt& expert : out.learnt) expert.scores = Scores::exponential(kPriorCount);
  return out;
}

/// The newest load enters the window. After a silence, or a clock that was set back, it begins anew.
void Conformal::take_in(Memory& memory, double load, double at_ms, double silence_ms) const {
  const std::int64_t cell = cell_of(at_ms), before = cell_of(memory.seen_ms);
  if (memory.seen_ms < 0 || at_ms < memory.seen_ms || at_ms - memory.seen_ms > silence_ms) {
    memory.cells.fill(load);
    for (Prediction& prediction : memory.pending) prediction.at_ms = -1;
    for (Learnt& expert : memory.learnt) expert.bound = -1;
    memory.begun_ms = at_ms;
    // Before a whole window was seen its largest load is a matter of luck: what came after would teach nonsense.
    memory.next_ms = memory.counted_ms = at_ms + static_cast<double>(window_.count());
  } else {
    for (std::int64_t between = before + 1; between < cell; ++between)
      memory.cells[place_of(between)] = memory.cells[place_of(before)];
    double& newest = memory.cells[place_of(cell)];
    newest = cell > before ? load : std::max(newest, load);
  }
  memory.seen_ms = at_ms;
  if (memory.lessons > 0) return;
  const double largest = *std::max_element(memory.cells.begin(), memory.cells.end());
  for (std::size_t i = 0; i < kExperts.size(); ++i) memory.learnt[i].scale = kExperts[i].first_scale(largest);
}

/// What is learnt from a prediction whose horizon is over.
void Conformal::teach(Memory& memory, const Prediction& prediction) const {
  const bool miss = prediction.largest > prediction.bound;
  memory.lessons += 1;
  memory.log_alpha = std::clamp(memory.log_alpha + kGain * (1 - (miss ? 1 / budget_ : 0)),
                                std::log(budget_ * kLeastShareOfBudget), std::log(kMostAlpha));
  if (prediction.at_ms >= memory.counted_ms) {
    memory.horizons += 1;
    memory.misses += miss ? 1 : 0;
    memory.counted_ms = prediction.until_ms;
  }
  const Outlook& outlook = prediction.outlook;
  const double share_ms = (prediction.until_ms - prediction.at_ms) / (kPending - 1);
  memory.season.see(prediction.at_ms, std::log(floored(prediction.largest) / floored(outlook.location)),
                    1 - kept(share_ms, kSeasonHalfLifeMs));
  for (std::size_t i = 0; i < kExperts.size(); ++i) {
    Learnt& expert = memory.learnt[i];
    const Expert& kind = kExperts[i];
    const double base = kind.base(outlook);
    // As it would ask from now on: alpha knows of this horizon already.
    const double asked = expert.scores.exceeded_by(memory.alpha()) * prediction.unit[i];
    const double bound = std::max(outlook.location, base + asked);
    const double over = prediction.largest - bound;
    const double taken_back = expert.bound < 0 ? 0 : std::max(bound - expert.bound, 0.0);
    const double cost = (over > 0 ? over * (1 - budget_) : -over * budget_) + taken_back * kTakenBack * budget_;
    expert.cost += (cost - expert.cost) * (1 - kept(share_ms, kCostHalfLifeMs));
    expert.bound = bound;
    expert.scores.fade(kept(share_ms, static_cast<double>(half_life_.count())));
    const double rise = prediction.largest - base;
    // What the window covers asks for no level.
    const bool covered = kind.level() && prediction.largest <= outlook.location;
    expert.scores.see(covered ? 0 : rise / prediction.unit[i]);
    const double swing = std::abs(rise) / kind.grown(outlook.location);
    const double learns = std::max(1 - kept(share_ms, kind.half_life_ms()), 1 / (memory.lessons + kFirstLessons));
    expert.scale += learns * (swing - expert.scale);
  }
}

/// The newest load enters the predictions under way. Those whose horizon it ends teach, the oldest first.
void Conformal::learn(Memory& memory, double load, double at_ms) const {
  for (Prediction& prediction : memory.pending) {
    if (prediction.at_ms >= 0 && at_ms <= prediction.until_ms) prediction.largest = std::max(prediction.largest, load);
  }
  for (;;) {
    Prediction* oldest = nullptr;
    for (Prediction& prediction : memory.pending) {
      if (prediction.at_ms < 0 || at_ms < prediction.until_ms) continue;
      if (oldest == nullptr || prediction.at_ms < oldest->at_ms) oldest = &prediction;
    }
    if (oldest == nullptr) return;
    teach(memory, *oldest);
    oldest->at_ms = -1;
  }
}

/// What the load gains within a horizon if it goes on as in the cells. Nothing before all of them were seen.
double Conformal::climb(const Memory& memory, double horizon_ms) {
  if (memory.seen_ms - memory.begun_ms < static_cast<double>(kCells) * kCellMs) return 0;
  const std::int64_t newest = cell_of(memory.seen_ms);
  double young = 0, old = 0;
  for (std::size_t i = 0; i < kClimbCells; ++i) {
    young += memory.cells[place_of(newest - static_cast<std::int64_t>(i))];
    old += memory.cells[place_of(newest + 1 + static_cast<std::int64_t>(i))];  // the ring's oldest follows its newest
  }
  const double step = (young - old) / static_cast<double>(kClimbCells) / static_cast<double>(kCells - kClimbCells);
  return std::max(0.0, step * horizon_ms / kCellMs);
}

Conformal::Forecast Conformal::forecast(const Memory& memory, double load, double horizon_ms) const {
  Forecast out;
  out.outlook.location = load;
  const std::int64_t newest = cell_of(memory.seen_ms);
  const std::int64_t cells = std::min<std::int64_t>(cell_of(static_cast<double>(window_.count())), kCells - 1);
  for (std::int64_t cell = newest - cells; cell <= newest; ++cell) {
    out.outlook.location = std::max(out.outlook.location, memory.cells[place_of(cell)]);
  }
  out.outlook.climb = climb(memory, horizon_ms);
  out.outlook.season = memory.season.at(memory.seen_ms);
  std::size_t best = 0;
  for (std::size_t i = 1; i < kExperts.size(); ++i) {
    if (memory.learnt[i].cost < memory.learnt[best].cost) best = i;
  }
  const double asked =
      memory.learnt[best].scores.exceeded_by(memory.alpha()) * memory.unit_of(best, out.outlook.location);
  out.expert = kExperts[best].name;
  out.bound = std::max(out.outlook.location, kExperts[best].base(out.outlook) + asked);
  return out;
}

CapacityProposal Conformal::propose(const CapacityInput& input) const {
  const Load load = load_of(input, signals_);
  CapacityProposal out;
  out.why = steps_of(load);
  if (!load.known) {
    out.known = false;
    out.need = whole_replicas(load.replicas);
    out.memory = input.memory;
    return out;
  }
  const double taken_ms = static_cast<double>(load.taken_at.time_since_epoch().count());
  Memory memory = read(input.memory);
  const double silence_ms = std::max(kLongestSilenceMs, 2 * static_cast<double>(input.tick.count()));
  const bool fresh = taken_ms != memory.seen_ms;
  // A source that takes an age from the time of its answer says the same moment some milliseconds apart, and a clock
  // may be set back a little: what is not much older than the newest is as old.
  const double at_ms = memory.seen_ms - taken_ms > silence_ms ? taken_ms : std::max(taken_ms, memory.seen_ms);
  if (fresh) {
    take_in(memory, load.replicas, at_ms, silence_ms);
    learn(memory, load.replicas, at_ms);
  }
  const Duration horizon = input.now - load.taken_at + input.reclaim + lead_;
  const double horizon_ms = std::max(static_cast<double>(horizon.count()), kCellMs);
  const Forecast ahead = forecast(memory, load.replicas, horizon_ms);
  if (fresh && at_ms >= memory.next_ms) {
    const auto free = std::find_if(memory.pending.begin(), memory.pending.end(),
                                   [](const Prediction& prediction) { return prediction.at_ms < 0; });
    if (free != memory.pending.end()) {
      *free = {at_ms, at_ms + horizon_ms, load.replicas, ahead.outlook, ahead.bound, {}};
      for (std::size_t i = 0; i < kExperts.size(); ++i) free->unit[i] = memory.unit_of(i, ahead.outlook.location);
      memory.next_ms = at_ms + horizon_ms / (kPending - 1);
    }
  }
  out.need = whole_replicas(ahead.bound);
  out.why.push_back({Stage::need,
                     "need.conformal",
                     input.deployment.value,
                     {{"location", ahead.outlook.location},
                      {"window", window_},
                      {"margin", ahead.bound - ahead.outlook.location},
                      {"horizon", horizon},
                      {"expert", ahead.expert},
                      {"budget_percent", budget_ * 100},
                      {"need", std::int64_t{out.need.count}}}});
  if (memory.horizons > 0) {
    out.why.push_back({Stage::need,
                       "need.missed",
                       input.deployment.value,
                       {{"missed_percent", memory.misses / memory.horizons * 100},
                        {"horizons", static_cast<std::int64_t>(memory.horizons)}}});
  }
  out.memory.version = kMemoryVersion;
  out.memory.numbers.resize(memory_size());
  auto next = out.memory.numbers.begin();
  memory.each([&](double& number) { *next++ = number; });
  return out;
}

}  // namespace ebb
