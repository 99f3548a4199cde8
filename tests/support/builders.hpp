// Small worlds with defaults: a pool of 8 GPUs, a service `chat` and a job `rl`, one GPU a replica.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "daemon/core/decide.hpp"
#include "daemon/model/observation.hpp"
#include "policies/allocation/max_min.hpp"
#include "policies/capacity/fixed.hpp"
#include "policies/capacity/target_tracking.hpp"
#include "policies/growth/always.hpp"
#include "policies/victim/newest.hpp"

namespace ebb::testing {

inline const PoolId kPool{"p"};
inline const FleetId kFleet{"f"};
inline const DeploymentId kChat{"chat@p"};
inline const DeploymentId kRl{"rl@p"};
inline const TimePoint kStart{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1}};

inline TimePoint at_second(double s) { return kStart + Duration{static_cast<std::int64_t>(s * 1000)}; }

/// Writes options by name, for policies in tests.
class OptionWriter final : public OptionVisitor {
 public:
  OptionWriter& set(const std::string& name, double v) { return numbers_[name] = v, *this; }
  OptionWriter& signals(std::vector<std::pair<std::string, double>> list) { return signals_ = std::move(list), *this; }

  void value(const OptionInfo& i, bool& v) override {
    write(i, [&](double n) { v = n != 0; });
  }
  void value(const OptionInfo& i, int& v, Range<int>) override {
    write(i, [&](double n) { v = static_cast<int>(n); });
  }
  void value(const OptionInfo& i, double& v, Range<double>) override {
    write(i, [&](double n) { v = n; });
  }
  void value(const OptionInfo& i, Duration& v, Range<Duration>) override {
    write(i, [&](double n) { v = Duration{static_cast<std::int64_t>(n * 1000)}; });
  }
  void value(const OptionInfo& i, std::string& v) override {
    if (i.name == "signal") v = signals_[element_].first;
  }
  void value(const OptionInfo&, std::vector<std::string>&) override {}
  void value(const OptionInfo&, std::map<std::string, std::string>&) override {}
  void choice(const OptionInfo& i, int& index, std::span<const std::string_view>) override {
    write(i, [&](double n) { index = static_cast<int>(n); });
  }
  void object(const OptionInfo&, const std::function<void(OptionVisitor&)>& fields) override { fields(*this); }
  void list(const OptionInfo& i, std::size_t, const std::function<void(std::size_t)>& resize,
            const std::function<void(std::size_t, OptionVisitor&)>& element) override {
    if (i.name != "signals" || signals_.empty()) return;
    resize(signals_.size());
    for (element_ = 0; element_ < signals_.size(); ++element_) {
      set("target", signals_[element_].second);
      element(element_, *this);
    }
  }
  void selected(const OptionInfo&, const std::string&, std::span<const std::string_view>,
                const std::function<bool(const std::string&)>&, const std::function<void(OptionVisitor&)>&) override {}

 private:
  template <class F>
  void write(const OptionInfo& info, F set_to) {
    if (const auto it = numbers_.find(std::string(info.name)); it != numbers_.end()) set_to(it->second);
  }
  std::map<std::string, double> numbers_;
  std::vector<std::pair<std::string, double>> signals_;
  std::size_t element_ = 0;
};

inline std::shared_ptr<const CapacityPolicy> tracking(double target = 8, double stabilisation_s = 0,
                                                      double tolerance = 0) {
  auto policy = std::make_shared<TargetTracking>();
  OptionWriter writer;
  writer.set("stabilisation", stabilisation_s).set("tolerance", tolerance).signals({{"in_flight", target}});
  policy->options(writer);
  return policy;
}

inline DeploymentConfig deployment(const std::string& owner, const std::string& pool = "p", int gpus = 1) {
  DeploymentConfig out;
  out.id = DeploymentId(owner + "@" + pool);
  out.pool = PoolId(pool);
  out.fleet = FleetId(pool == "p" ? "f" : "f-" + pool);
  out.gpus_per_replica = {gpus};
  out.max = {64};
  out.drain_timeout = Duration{10'000};
  out.start_timeout = Duration{60'000};
  return out;
}

/// mode act, no warm-up, no cooldowns, no quiet window, no step limit: each test adds the guard it is about.
inline Config small_config() {
  Config config;
  config.mode = Mode::act;
  config.warm_up = Duration{0};
  PoolConfig pool;
  pool.name = kPool;
  pool.gpus = {8};
  pool.allocation = std::make_shared<MaxMin>();
  pool.growth = std::make_shared<AlwaysGrow>();
  pool.quiet_window = Duration{0};
  config.pools = {pool};
  FleetConfig fleet;
  fleet.name = kFleet;
  fleet.pool = kPool;
  config.fleets = {fleet};
  ServiceConfig chat;
  chat.name = ServiceId("chat");
  chat.owner = Owner::ebb;
  chat.capacity = tracking();
  chat.deployments = {deployment("chat")};
  chat.deployments[0].min = {1};
  chat.deployments[0].max = {8};
  config.services = {chat};
  JobConfig rl;
  rl.name = JobId("rl");
  rl.victim = std::make_shared<NewestVictim>();
  rl.grow_step = {64};
  rl.grow_cooldown = rl.reclaim_cooldown = Duration{0};
  rl.deployments = {deployment("rl")};
  config.jobs = {rl};
  return config;
}

inline ReplicaSeen replica(const std::string& id, const DeploymentId& of, ReplicaPhase phase, TimePoint since = kStart,
                           Gpus gpus = {1}) {
  ReplicaSeen out;
  out.id = ReplicaId(id);
  out.deployment = of;
  out.phase = phase;
  out.since = out.started_at = since;
  out.gpus = gpus;
  return out;
}

/// An observation builder: `seen(100).chat(12).ready("chat-1", kChat)`.
class Seen {
 public:
  explicit Seen(double second) : now_(at_second(second)) {
    seen_.at = now_;
    fleet_.taken_at = now_;
  }
  Seen& signal(const DeploymentId& id, const std::string& name, double value) {
    seen_.workloads[id].signals[name].value = Sample<double>{value, now_};
    return *this;
  }
  Seen& chat(double in_flight) { return signal(kChat, "in_flight", in_flight); }
  Seen& chat_missing(const std::string& why = "scrape timed out") {
    seen_.workloads[kChat].signals["in_flight"].value = Missing{why, now_};
    return *this;
  }
  Seen& replica(const std::string& id, const DeploymentId& of, ReplicaPhase phase = ReplicaPhase::ready,
                Gpus gpus = {1}) {
    fleet_.value.replicas.push_back(testing::replica(id, of, phase, kStart, gpus));
    return *this;
  }
  Seen& replicas(const std::string& prefix, const DeploymentId& of, int count,
                 ReplicaPhase phase = ReplicaPhase::ready) {
    for (int i = 1; i <= count; ++i) replica(prefix + "-" + std::to_string(i), of, phase);
    return *this;
  }
  Seen& unusable(int gpus) { return fleet_.value.unusable = {gpus}, *this; }
  Seen& dark(const std::string& why) { return dark_ = why, *this; }
  WorkloadSeen& workload(const DeploymentId& id = kChat) { return seen_.workloads[id]; }
  Observation& raw() { return seen_; }

  [[nodiscard]] TimePoint now() const { return now_; }
  [[nodiscard]] Observation get() const {
    Observation out = seen_;
    auto sorted = fleet_;
    std::sort(sorted.value.replicas.begin(), sorted.value.replicas.end(),
              [](const ReplicaSeen& a, const ReplicaSeen& b) { return a.id < b.id; });
    if (dark_.empty())
      out.fleets[kFleet] = sorted;
    else
      out.fleets[kFleet] = Missing{dark_, now_};
    return out;
  }

 private:
  TimePoint now_;
  Observation seen_;
  Sample<FleetSeen> fleet_;
  std::string dark_;
};

inline Decision decide_on(const Seen& seen, const Config& config, State state = {}) {
  if (state.started_at == TimePoint{}) state.started_at = kStart;
  return decide(seen.get(), std::move(state), config, seen.now());
}

/// Production needs one replica and has it; RL serves with `rl`.
inline Seen quiet(double second, int rl = 0) {
  return Seen(second).chat(8).replica("c1", kChat).replicas("r", kRl, rl);
}

/// A job `sl` beside `rl`, in a pool of 13 GPUs.
inline const DeploymentId kSl{"sl@p"};
inline Config two_jobs(double weight_rl, double weight_sl) {
  Config config = small_config();
  config.pools[0].gpus = {13};
  JobConfig sl = config.jobs[0];
  sl.name = JobId("sl");
  sl.deployments = {deployment("sl")};
  config.jobs[0].weight = weight_rl;
  sl.weight = weight_sl;
  config.jobs.push_back(sl);
  return config;
}

/// How many replicas the plan names for this deployment and kind.
inline int count_of(const Decision& decision, ActionKind kind, const DeploymentId& of) {
  int n = 0;
  for (const Action& action : decision.plan.actions) {
    if (action.kind == kind && action.deployment == of) n += static_cast<int>(action.replicas.size());
  }
  return n;
}

inline bool says(const Decision& decision, const std::string& rule) {
  for (const Step& step : decision.why) {
    if (step.rule == rule) return true;
  }
  return false;
}

inline bool alarms(const Decision& decision, const std::string& rule) {
  for (const Alarm& alarm : decision.alarms) {
    if (alarm.rule == rule) return true;
  }
  return false;
}

inline std::string story(const Decision& decision) {
  std::string out;
  for (const Step& step : decision.why) out += "  " + to_sentence(step) + "\n";
  return out;
}

}  // namespace ebb::testing
