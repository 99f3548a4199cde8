#include "daemon/runtime/telemetry.hpp"

#include <prometheus/text_serializer.h>

#include <algorithm>

namespace ebb {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;

const prometheus::Histogram::BucketBoundaries kSeconds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                       0.1,    0.25,  0.5,    1,     2.5,  5};

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
  return step.stage == Stage::guardrails || step.rule == "diff.no_room" || step.rule == "diff.waits" ||
         (step.stage == Stage::freshness && step.rule != "freshness.ok") || step.rule == "check.cut";
}

}  // namespace

Telemetry::Telemetry(const std::string& version)
    : pool_gpus_(gauge(registry_, "ebb_pool_gpus", "Size of the pool.")),
      pool_reserve_(gauge(registry_, "ebb_pool_reserve_gpus", "GPUs kept for production: its need and the headroom.")),
      pool_slack_(gauge(registry_, "ebb_pool_slack_gpus", "GPUs outside the reserve that can be lent.")),
      pool_production_(gauge(registry_, "ebb_pool_production_gpus", "GPUs production holds, in every phase.")),
      pool_rl_(gauge(registry_, "ebb_pool_rl_gpus", "GPUs RL holds, in every phase.")),
      pool_unusable_(gauge(registry_, "ebb_pool_unusable_gpus", "GPUs that are lost or that others use.")),
      pool_blind_(gauge(registry_, "ebb_pool_blind", "1 while something needed to grow in the pool is unknown.")),
      replicas_(
          gauge(registry_, "ebb_deployment_replicas", "Replicas by phase; other: lost, or not shown by its fleet.")),
      need_(gauge(registry_, "ebb_deployment_need_replicas", "Replicas production needs.")),
      target_(gauge(registry_, "ebb_deployment_target_replicas", "Replicas Ebb steers to.")),
      known_(gauge(registry_, "ebb_deployment_known", "1 while the need rests on fresh data.")),
      missed_(
          gauge(registry_, "ebb_deployment_missed_horizons_ratio",
                "Share of horizons in which the load rose above what policy conformal kept; its budget is the goal.")),
      signal_(gauge(registry_, "ebb_signal", "A production signal as last read; absent while unknown.")),
      reported_(
          gauge(registry_, "ebb_deployment_reported_replicas", "Production replicas that reported in the last look.")),
      expected_(
          gauge(registry_, "ebb_deployment_expected_replicas", "Production replicas that ought to have reported.")),
      fleet_up_(gauge(registry_, "ebb_fleet_up", "1 while the fleet can be read.")),
      admission_(gauge(registry_, "ebb_job_admission_rollouts", "Rollouts a job may have in flight.")),
      held_reason_(
          gauge(registry_, "ebb_held_reason", "1 while the newest decision holds something back by this rule.")),
      alarm_(
          gauge(registry_, "ebb_alarm", "1 while the newest decision raises this alarm; subject: a configured name.")),
      config_info_(gauge(registry_, "ebb_config_info", "1, with the hash of the effective configuration.")),
      decisions_(counter(registry_, "ebb_decisions_total", "Decisions taken; early ones did not wait for their tick.")),
      actions_(counter(registry_, "ebb_actions_total", "Actions by kind and outcome.")),
      tick_(gauge(registry_, "ebb_tick", "Number of the newest decision.").Add({})),
      ledger_up_(gauge(registry_, "ebb_ledger_up", "1 while the ledger can be written.").Add({})),
      ledger_failures_(counter(registry_, "ebb_ledger_failures_total", "Records the ledger refused.").Add({})),
      since_progress_(
          gauge(registry_, "ebb_loop_since_progress_seconds", "Time since the loop last completed a pass.").Add({})),
      reload_ok_(gauge(registry_, "ebb_config_last_reload_successful", "1 if the last reload was taken.").Add({})),
      reload_success_at_(gauge(registry_, "ebb_config_last_reload_success_timestamp_seconds",
                               "When the configuration in force was loaded.")
                             .Add({})),
      observe_seconds_(histogram(registry_, "ebb_observe_seconds", "Time one look at all sources and fleets took.")),
      commit_seconds_(histogram(registry_, "ebb_commit_seconds",
                                "Time from a decision to its record and the start of its actions.")) {
  gauge(registry_, "ebb_build_info", "1, with the version.").Add({{"version", version}}).Set(1);
  ledger_up_.Set(1);
  reload_ok_.Set(1);
  // A counter that begins with its first event hides that event from rate().
  for (const char* early : {"false", "true"}) decisions_.Add({{"early", early}});
  for (const ActionKind kind : {ActionKind::drain, ActionKind::evict, ActionKind::start}) {
    for (const OutcomeKind end :
         {OutcomeKind::done, OutcomeKind::dropped, OutcomeKind::failed, OutcomeKind::advised, OutcomeKind::unknown}) {
      actions_.Add({{"kind", to_string(kind)}, {"outcome", to_string(end)}});
    }
  }
}

void Telemetry::Followed::set(const Labels& labels, double value) {
  auto found = series_.find(labels);
  if (found == series_.end()) found = series_.emplace(labels, &family_.Add(labels)).first;
  found->second->Set(value);
  touched_.insert(labels);
}

void Telemetry::Followed::end(bool remove) {
  std::erase_if(series_, [&](const auto& series) {
    if (touched_.contains(series.first)) return false;
    if (remove)
      family_.Remove(series.second);
    else
      series.second->Set(0);
    return remove;
  });
}

void Telemetry::observed(const Observation& seen, Duration took) {
  observe_seconds_.Observe(seconds(took));
  for (Followed* family : {&signal_, &reported_, &expected_, &fleet_up_}) family->begin();
  for (const auto& [id, workload] : seen.workloads) {
    for (const auto& [name, signal] : workload.signals) {
      if (signal.value.known()) signal_.set({{"deployment", id.value}, {"signal", name}}, signal.value.value());
    }
    reported_.set({{"deployment", id.value}}, workload.reported);
    expected_.set({{"deployment", id.value}}, workload.expected);
  }
  for (const auto& [id, fleet] : seen.fleets) fleet_up_.set({{"fleet", id.value}}, fleet.known() ? 1 : 0);
  for (Followed* family : {&signal_, &reported_, &expected_, &fleet_up_}) family->end(true);
}

void Telemetry::decided(const Decision& decision, const Observation& seen, Duration took) {
  commit_seconds_.Observe(seconds(took));
  decisions_.Add({{"early", decision.early ? "true" : "false"}}).Increment();
  tick_.Set(static_cast<double>(decision.tick));
  show_pools(decision);
  show_deployments(decision);
  show_misses(decision);
  show_reasons(decision, seen);
  admission_.begin();
  for (const auto& [id, limit] : decision.admission) admission_.set({{"job", id.value}}, limit);
  admission_.end(true);
}

void Telemetry::show_pools(const Decision& decision) {
  const auto families = {&pool_gpus_, &pool_reserve_,  &pool_slack_, &pool_production_,
                         &pool_rl_,   &pool_unusable_, &pool_blind_};
  for (Followed* family : families) family->begin();
  for (const auto& [id, pool] : decision.pools) {
    const Labels labels{{"pool", id.value}};
    pool_gpus_.set(labels, pool.gpus.count);
    pool_reserve_.set(labels, pool.reserve.count);
    pool_slack_.set(labels, pool.slack.count);
    pool_production_.set(labels, pool.production.count);
    pool_rl_.set(labels, pool.rl.count);
    pool_unusable_.set(labels, pool.unusable.count);
    pool_blind_.set(labels, pool.blind ? 1 : 0);
  }
  for (Followed* family : families) family->end(true);
}

void Telemetry::show_deployments(const Decision& decision) {
  const auto families = {&replicas_, &need_, &target_, &known_};
  for (Followed* family : families) family->begin();
  for (const auto& [id, d] : decision.deployments) {
    const auto phase = [&, &name = id.value](const char* word, int n) {
      replicas_.set({{"deployment", name}, {"phase", word}}, n);
    };
    phase("ready", d.ready.count);
    phase("starting", d.starting.count);
    phase("draining", d.draining.count);
    phase("other", std::max(0, d.held.count - d.ready.count - d.starting.count - d.draining.count));
    const Labels labels{{"deployment", id.value}};
    need_.set(labels, d.need.count);
    target_.set(labels, d.target.count);
    known_.set(labels, d.known ? 1 : 0);
  }
  for (Followed* family : families) family->end(true);
}

void Telemetry::show_misses(const Decision& decision) {
  missed_.begin();
  for (const Step& step : decision.why) {
    if (step.rule != "need.missed") continue;
    for (const auto& [name, value] : step.args) {
      if (name != "missed_percent") continue;
      missed_.set({{"deployment", step.subject}}, std::get<double>(value) / 100);
    }
  }
  missed_.end(true);
}

void Telemetry::show_reasons(const Decision& decision, const Observation& seen) {
  held_reason_.begin();
  for (const Step& step : decision.why) {
    if (is_reason(step)) held_reason_.set({{"rule", step.rule}}, 1);
  }
  held_reason_.end(false);

  // An alarm may be about a replica or a deployment that nobody configured; such names have no end.
  const auto named = [&](const std::string& subject) {
    return decision.deployments.contains(DeploymentId(subject)) || decision.pools.contains(PoolId(subject)) ||
           decision.admission.contains(JobId(subject)) || seen.fleets.contains(FleetId(subject));
  };
  alarm_.begin();
  for (const Alarm& alarm : decision.alarms) {
    alarm_.set({{"rule", alarm.rule}, {"subject", named(alarm.subject) ? alarm.subject : "other"}}, 1);
  }
  alarm_.end(true);
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
  config_info_.begin();
  config_info_.set({{"hash", config.hash}}, 1);
  config_info_.end(true);
}

std::string Telemetry::text(TimePoint now) {
  since_progress_.Set(progress_at_ == TimePoint{} ? 0 : seconds(now - progress_at_));
  return prometheus::TextSerializer().Serialize(registry_.Collect());
}

}  // namespace ebb
