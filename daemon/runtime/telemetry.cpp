#include "daemon/runtime/telemetry.hpp"

#include <prometheus/text_serializer.h>

#include <vector>

namespace ebb {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;

const prometheus::Histogram::BucketBoundaries kSeconds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5};

auto& gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return BuildGauge().Name(name).Help(help).Register(registry);
}
auto& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return BuildCounter().Name(name).Help(help).Register(registry);
}
auto& histogram(prometheus::Registry& registry, const char* name, const char* help) {
  return BuildHistogram().Name(name).Help(help).Register(registry).Add({}, kSeconds);
}

double seconds(Duration span) { return static_cast<double>(span.count()) / 1000; }
double seconds(TimePoint at) { return static_cast<double>(at.time_since_epoch().count()) / 1000; }

/// Rules that hold something back or tell of a gap: worth a series each, so that "why is nothing happening" is a graph.
bool is_reason(const Step& step) {
  return step.stage == Stage::guardrails || step.rule == "diff.no_room" ||
         (step.stage == Stage::freshness && step.rule != "freshness.ok") || step.rule == "check.cut";
}

}  // namespace

Telemetry::Telemetry(const std::string& version)
    : pool_gpus_(gauge(registry_, "ebb_pool_gpus", "GPUs of a pool by what they are for.")),
      replicas_(gauge(registry_, "ebb_deployment_replicas", "Replicas of a deployment by phase.")),
      need_(gauge(registry_, "ebb_deployment_need_replicas", "Replicas production needs.")),
      target_(gauge(registry_, "ebb_deployment_target_replicas", "Replicas Ebb steers to.")),
      known_(gauge(registry_, "ebb_deployment_known", "1 while the need rests on fresh data.")),
      signal_(gauge(registry_, "ebb_signal", "A production signal as last read; absent while unknown.")),
      admission_(gauge(registry_, "ebb_job_admission_rollouts", "Rollouts a job may have in flight.")),
      held_reason_(gauge(registry_, "ebb_held_reason", "1 while the newest decision holds something back by this rule.")),
      alarm_(gauge(registry_, "ebb_alarm", "1 while the newest decision raises this alarm.")),
      decisions_(counter(registry_, "ebb_decisions_total", "Decisions taken; early ones did not wait for their tick.")),
      actions_(counter(registry_, "ebb_actions_total", "Actions by kind and outcome.")),
      config_info_(gauge(registry_, "ebb_config_info", "1, with the hash of the effective configuration.")),
      tick_(gauge(registry_, "ebb_tick", "Number of the newest decision.").Add({})),
      ledger_up_(gauge(registry_, "ebb_ledger_up", "1 while the ledger can be written.").Add({})),
      ledger_failures_(counter(registry_, "ebb_ledger_failures_total", "Records the ledger refused.").Add({})),
      since_progress_(gauge(registry_, "ebb_loop_since_progress_seconds", "Time since the loop last completed a pass.").Add({})),
      reload_ok_(gauge(registry_, "ebb_config_last_reload_successful", "1 if the last reload was taken.").Add({})),
      reload_success_at_(gauge(registry_, "ebb_config_last_reload_success_timestamp_seconds", "When the configuration in force was loaded.").Add({})),
      observe_seconds_(histogram(registry_, "ebb_observe_seconds", "Time one look at all sources and fleets took.")),
      commit_seconds_(histogram(registry_, "ebb_commit_seconds", "Time from a decision to its record and the start of its actions.")) {
  gauge(registry_, "ebb_build_info", "1, with the version.").Add({{"version", version}}).Set(1);
  ledger_up_.Set(1);
  reload_ok_.Set(1);
}

void Telemetry::set(Family<prometheus::Gauge>& family, const Labels& labels, double value) {
  auto& series = live_[&family];
  auto found = series.find(labels);
  if (found == series.end()) found = series.emplace(labels, &family.Add(labels)).first;
  found->second->Set(value);
  touched_[&family].insert(labels);
}

/// Removes the series of these families that nobody set since it was made.
class Telemetry::Round {
 public:
  Round(Telemetry& telemetry, std::vector<Family<prometheus::Gauge>*> families)
      : telemetry_(telemetry), families_(std::move(families)) {
    for (auto* family : families_) telemetry_.touched_[family].clear();
  }
  ~Round() {
    for (auto* family : families_) {
      std::erase_if(telemetry_.live_[family], [&](const auto& series) {
        if (telemetry_.touched_[family].contains(series.first)) return false;
        family->Remove(series.second);
        return true;
      });
    }
  }
  Round(const Round&) = delete;
  Round& operator=(const Round&) = delete;

 private:
  Telemetry& telemetry_;
  std::vector<Family<prometheus::Gauge>*> families_;
};

void Telemetry::observed(const Observation& seen, Duration took) {
  observe_seconds_.Observe(seconds(took));
  const Round round(*this, {&signal_});
  for (const auto& [id, workload] : seen.workloads) {
    for (const auto& [name, signal] : workload.signals) {
      if (signal.value.known()) set(signal_, {{"deployment", id.value}, {"signal", name}}, signal.value.value());
    }
  }
}

void Telemetry::decided(const Decision& decision, const Observation&, Duration took) {
  commit_seconds_.Observe(seconds(took));
  decisions_.Add({{"early", decision.early ? "true" : "false"}}).Increment();
  tick_.Set(static_cast<double>(decision.tick));
  const Round round(*this, {&pool_gpus_, &replicas_, &need_, &target_, &known_, &admission_, &held_reason_, &alarm_});
  for (const auto& [id, pool] : decision.pools) {
    const auto gpus = [&](const char* what, Gpus n) { set(pool_gpus_, {{"pool", id.value}, {"what", what}}, n.count); };
    gpus("total", pool.gpus);
    gpus("reserve", pool.reserve);
    gpus("slack", pool.slack);
    gpus("production", pool.production);
    gpus("rl", pool.rl);
    gpus("unusable", pool.unusable);
  }
  for (const auto& [id, d] : decision.deployments) {
    const auto phase = [&](const char* name, Replicas n) {
      set(replicas_, {{"deployment", id.value}, {"phase", name}}, n.count);
    };
    phase("ready", d.ready);
    phase("starting", d.starting);
    phase("draining", d.draining);
    set(need_, {{"deployment", id.value}}, d.need.count);
    set(target_, {{"deployment", id.value}}, d.target.count);
    set(known_, {{"deployment", id.value}}, d.known ? 1 : 0);
  }
  for (const auto& [id, limit] : decision.admission) set(admission_, {{"job", id.value}}, limit);
  for (const Step& step : decision.why) {
    if (is_reason(step)) set(held_reason_, {{"rule", step.rule}}, 1);
  }
  for (const Alarm& alarm : decision.alarms) set(alarm_, {{"rule", alarm.rule}, {"subject", alarm.subject}}, 1);
}

void Telemetry::outcome(const Action& action, const Outcome& outcome) {
  actions_.Add({{"kind", to_string(action.kind)}, {"outcome", to_string(outcome.kind)}}).Increment();
}

void Telemetry::ledger(bool ok) {
  ledger_up_.Set(ok ? 1 : 0);
  if (!ok) ledger_failures_.Increment();
}

void Telemetry::loop_progress(TimePoint now) { progress_at_ = now; }

void Telemetry::config_reload(bool ok, TimePoint at, const Config& config) {
  reload_ok_.Set(ok ? 1 : 0);
  if (!ok) return;
  reload_success_at_.Set(seconds(at));
  const Round round(*this, {&config_info_});
  set(config_info_, {{"hash", config.hash}}, 1);
}

std::string Telemetry::text(TimePoint now) {
  since_progress_.Set(progress_at_ == TimePoint{} ? 0 : seconds(now - progress_at_));
  return prometheus::TextSerializer().Serialize(registry_.Collect());
}

}  // namespace ebb
