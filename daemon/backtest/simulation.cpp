#include "daemon/backtest/simulation.hpp"

#include <algorithm>

#include "daemon/backtest/rollouts.hpp"
#include "daemon/core/decide.hpp"
#include "daemon/core/reduce.hpp"

namespace ebb::backtest {
namespace {

/// What the fleet knows of a replica and does not tell.
struct Body {
  TimePoint due{};     ///< ready (starting) or gone (draining)
  TimePoint served{};  ///< since when it serves
  TimePoint told{};    ///< to leave
  bool busy = false;   ///< served when it was told
  bool job = false;
};

class Simulation {
 public:
  Simulation(const World& world, const Contender& contender)
      : world_(world),
        model_(world.config.backtest),
        config_(world.config),
        rollouts_({model_.rollout_median_s, model_.rollout_p95_s, world.job().rollouts_per_replica, model_.handoff,
                   model_.handoff_cost}),
        random_(static_cast<std::uint64_t>(model_.seed) ^ 0x5eedULL) {
    config_.services.front().capacity = contender.capacity;
    out_.name = contender.name;
    seen_.fleets[config_.fleets.front().name] = Sample<FleetSeen>{{}, kBegin};
    seen_.workloads[world.production().id] = {};
    state_.started_at = kBegin;
  }

  RunResult run(std::atomic<std::int64_t>& progress) {
    const std::size_t ticks = world_.need.size();
    for (tick_ = 0; tick_ < ticks; ++tick_) {
      now_ = kBegin + static_cast<std::int64_t>(tick_) * config_.tick;
      advance();
      if (world_.external()) let_production_take();
      observe();
      Decision decision = decide(seen_, std::move(state_), config_, now_);
      state_ = std::move(decision.next);
      apply(decision.plan);
      account(decision);
      if (tick_ % 1'024 == 0) progress.fetch_add(1'024, std::memory_order_relaxed);
    }
    return std::move(*this).result();
  }

 private:
  FleetSeen& view() { return seen_.fleets.begin()->second.sample()->value; }

  /// What is due becomes ready or gone; what is gone and booked is forgotten.
  void advance() {
    std::vector<ReplicaSeen>& replicas = view().replicas;
    for (std::size_t i = 0; i < replicas.size();) {
      ReplicaSeen& replica = replicas[i];
      if (replica.phase == ReplicaPhase::gone && !state_.leases.contains(replica.id)) {
        replicas.erase(replicas.begin() + static_cast<std::ptrdiff_t>(i));
        bodies_.erase(bodies_.begin() + static_cast<std::ptrdiff_t>(i));
        continue;
      }
      if (now_ >= bodies_[i].due) {
        if (replica.phase == ReplicaPhase::starting)
          enter(i, ReplicaPhase::ready);
        else if (replica.phase == ReplicaPhase::draining)
          enter(i, ReplicaPhase::gone);
      }
      ++i;
    }
  }

  void enter(std::size_t i, ReplicaPhase phase) {
    ReplicaSeen& replica = view().replicas[i];
    const bool job = bodies_[i].job;
    if (phase == ReplicaPhase::gone) (job ? held_rl_ : held_production_) -= replica.gpus;
    if (phase == ReplicaPhase::gone && job && counts()) book_end(replica, bodies_[i]);
    if (phase == ReplicaPhase::ready) (job ? serving_rl_ : ready_production_) += replica.gpus;
    if (replica.phase == ReplicaPhase::ready) (job ? serving_rl_ : ready_production_) -= replica.gpus;
    if (phase == ReplicaPhase::ready) bodies_[i].served = now_;
    replica.phase = phase;
    replica.since = now_;
  }

  /// Its owner takes free GPUs at once and lets surplus ones go at once; new replicas are ready a start-up later.
  void let_production_take() {
    const Gpus each = world_.production().gpus_per_replica;
    const Replicas wants{world_.wanted[tick_]};
    const Replicas holds = fitting(held_production_, each);
    const Replicas fit = fitting(world_.pool().gpus - held_production_ - held_rl_, each);
    const Replicas now = wants < holds ? wants : holds + std::min(wants - holds, fit);
    held_production_ = now * each;
    // Ready are those it held throughout the start-up.
    taken_.push_back(now.count);
    const auto start = static_cast<std::size_t>(model_.production_start / config_.tick);
    while (!rising_.empty() && taken_[rising_.back()] >= now.count) rising_.pop_back();
    rising_.push_back(tick_);
    if (rising_.front() + start < tick_) rising_.erase(rising_.begin());
    ready_production_ = Replicas{taken_[rising_.front()]} * each;
  }

  void observe() {
    seen_.at = now_;
    seen_.fleets.begin()->second.sample()->taken_at = now_;
    WorkloadSeen& workload = seen_.workloads.begin()->second;
    const auto delay = static_cast<std::size_t>(model_.observe_delay / config_.tick);
    const bool known = tick_ >= delay && !world_.demand.gap[tick_ - delay];
    const TimePoint at = now_ - model_.observe_delay;
    if (known) {
      const std::size_t then = tick_ - delay;
      for (const std::string& name : config_.services.front().capacity->needs()) {
        workload.signals[name].value = Sample<double>{world_.demand.load[then] * per_busy_replica(name), at};
      }
      if (world_.external()) workload.asked = Sample<Replicas>{{world_.wanted[then]}, at};
    } else {
      const Missing missing{tick_ < delay ? "nothing was collected yet" : "a gap in the trace", at};
      for (auto& [name, signal] : workload.signals) signal.value = missing;
      workload.asked = missing;
    }
    if (!world_.external()) return;
    // The GPUs production holds are not the trace's to know: they are seen, as late as everything else.
    const int held = tick_ >= delay ? taken_[tick_ - delay] : 0;
    workload.held = Sample<Replicas>{{held}, at};
    workload.reported = workload.expected = held;
  }

  [[nodiscard]] double per_busy_replica(const std::string& signal) const {
    for (const BacktestSignal& known : model_.signals) {
      if (known.signal == signal) return known.per_busy_replica;
    }
    return 1;
  }

  void apply(const Plan& plan) {
    for (const Action& action : plan.actions) {
      if (action.kind == ActionKind::start)
        start(action);
      else
        leave(action);
    }
  }

  void start(const Action& action) {
    const bool job = action.deployment == world_.rl().id;
    Outcome outcome{action.id, OutcomeKind::done, "", now_, 1, {}};
    for (const ReplicaId& id : action.replicas) {
      if (held_rl_ + held_production_ + action.gpus_each > world_.pool().gpus) {
        outcome.not_started.push_back(id);
        continue;
      }
      std::vector<ReplicaSeen>& replicas = view().replicas;
      const std::size_t at = place_of(id);
      ReplicaSeen replica;
      replica.id = id;
      replica.deployment = action.deployment;
      replica.since = replica.started_at = now_;
      replica.gpus = action.gpus_each;
      replicas.insert(replicas.begin() + static_cast<std::ptrdiff_t>(at), std::move(replica));
      const Duration startup = job ? model_.rl_start : model_.production_start;
      bodies_.insert(bodies_.begin() + static_cast<std::ptrdiff_t>(at), Body{.due = now_ + startup, .job = job});
      (job ? held_rl_ : held_production_) += action.gpus_each;
      if (job && counts()) ++out_.scale_actions;
    }
    if (outcome.not_started.empty()) return;
    outcome.kind = OutcomeKind::failed;
    state_ = reduce(std::move(state_), outcome, action);
  }

  void leave(const Action& action) {
    const bool evict = action.kind == ActionKind::evict;
    for (const ReplicaId& id : action.replicas) {
      const std::size_t at = place_of(id);
      std::vector<ReplicaSeen>& replicas = view().replicas;
      if (at == replicas.size() || replicas[at].id != id || replicas[at].phase == ReplicaPhase::gone) continue;
      Body& body = bodies_[at];
      if (!body.job) {
        enter(at, ReplicaPhase::gone);
        continue;
      }
      const Duration takes = evict ? model_.rl_evict : model_.rl_drain;
      if (replicas[at].phase == ReplicaPhase::draining) {
        body.due = std::min(body.due, now_ + takes);
        continue;
      }
      if (counts()) book_order(replicas[at]);
      body.told = now_;
      body.busy = replicas[at].phase == ReplicaPhase::ready;
      body.due = now_ + takes;
      enter(at, ReplicaPhase::draining);
      if (takes == Duration{0}) enter(at, ReplicaPhase::gone);
    }
  }

  void book_order(const ReplicaSeen& replica) {
    ++out_.scale_actions;
    ++out_.reclaims;
    if (now_ - replica.started_at <= model_.rl_start + model_.rl_drain) ++out_.flaps;
  }

  /// Only at the end it is known how long the rollouts had: an eviction may have cut the drain short.
  void book_end(const ReplicaSeen& replica, const Body& body) {
    const Duration took = now_ - body.told;
    took_s_.push_back(static_cast<double>(took.count()) / 1'000);
    if (!body.busy) return;
    const double share = static_cast<double>(replica.gpus.count) / world_.job().rollouts_per_replica;
    out_.wasted_gpu_hours += rollouts_.wasted_s(body.told - body.served, took, random_) * share / 3'600;
  }

  [[nodiscard]] std::size_t place_of(const ReplicaId& id) {
    const auto& replicas = view().replicas;
    const auto found = std::lower_bound(replicas.begin(), replicas.end(), id,
                                        [](const ReplicaSeen& seen, const ReplicaId& key) { return seen.id < key; });
    return static_cast<std::size_t>(found - replicas.begin());
  }

  [[nodiscard]] bool counts() const { return tick_ >= world_.first; }

  void account(const Decision& decision) {
    const PoolSummary& pool = decision.pools.begin()->second;
    out_.reserve.push_back(pool.reserve.count);
    out_.serving.push_back(serving_rl_.count);
    if (!counts()) return;
    ++counted_;
    if (pool.blind) ++blind_;
    const double hours = static_cast<double>(config_.tick.count()) / 3'600'000;
    if (!world_.demand.gap[tick_]) out_.harvested_gpu_hours += serving_rl_.count * hours;

    const Gpus each = world_.production().gpus_per_replica;
    const int need = (Replicas{world_.need[tick_]} * each).count;
    const int missed = std::max(need - ready_production_.count, 0);
    need_ += need;
    missed_ += missed;
    const int wanted = (Replicas{world_.wanted[tick_]} * each).count;
    const int withheld = world_.external() ? std::max(wanted - held_production_.count, 0) : missed;
    wanted_ += wanted;
    withheld_ += withheld;
    const auto per_minute = std::max<std::int64_t>(Duration{60'000} / config_.tick, 1);
    minute_short_ = minute_short_ || withheld > 0;
    if (counted_ % per_minute != 0) return;
    ++minutes_;
    if (std::exchange(minute_short_, false)) ++short_minutes_;
  }

  RunResult result() && {
    out_.shortfall.total = need_ > 0 ? missed_ / need_ : 0;
    out_.shortfall.baseline = world_.baseline;
    out_.shortfall.attributable = wanted_ > 0 ? withheld_ / wanted_ : 0;
    out_.short_minutes = minutes_ > 0 ? static_cast<double>(short_minutes_) / static_cast<double>(minutes_) : 0;
    out_.blind_share = counted_ > 0 ? static_cast<double>(blind_) / static_cast<double>(counted_) : 0;
    if (!took_s_.empty()) {
      std::sort(took_s_.begin(), took_s_.end());
      out_.reclaim_worst_s = took_s_.back();
      out_.reclaim_p99_s = percentile_99(took_s_);
    }
    return std::move(out_);
  }

  const World& world_;
  const BacktestConfig& model_;
  Config config_;
  Rollouts rollouts_;
  Random random_;
  RunResult out_;

  std::size_t tick_ = 0;
  TimePoint now_{};
  Observation seen_;
  State state_;
  std::vector<Body> bodies_;  ///< parallel to the view's replicas
  Gpus held_rl_, serving_rl_, held_production_, ready_production_;
  std::vector<int> taken_;           ///< external: replicas production held, per tick
  std::vector<std::size_t> rising_;  ///< ticks of the last start-up with ascending `taken_`: the front is the least

  std::int64_t counted_ = 0, blind_ = 0, minutes_ = 0, short_minutes_ = 0;
  bool minute_short_ = false;
  double need_ = 0, missed_ = 0, wanted_ = 0, withheld_ = 0;
  std::vector<double> took_s_;
};

}  // namespace

double percentile_99(const std::vector<double>& ascending) { return ascending[(ascending.size() * 99 + 99) / 100 - 1]; }

RunResult simulated(const World& world, const Contender& contender, std::atomic<std::int64_t>& progress) {
  return Simulation(world, contender).run(progress);
}

}  // namespace ebb::backtest
