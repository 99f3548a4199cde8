#include "daemon/runtime/board.hpp"

#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "daemon/model/json.hpp"
#include "daemon/model/json_text.hpp"
#include "daemon/version.hpp"

namespace ebb {
namespace {

// An hour at one point a second. Twice as many make the deque thin itself: every second old point goes.
constexpr std::size_t kHistoryMax = 3'600;

HistoryPoint point_of(const Observation& seen, const Decision& decision) {
  HistoryPoint point;
  point.at = seen.at;
  for (const auto& [id, workload] : seen.workloads) {
    const auto signal = workload.signals.find("in_flight");
    if (signal != workload.signals.end() && signal->second.value.known())
      point.in_flight[id] = signal->second.value.value();
  }
  for (const auto& [id, deployment] : decision.deployments) point.ready[id] = deployment.ready;
  for (const auto& [id, pool] : decision.pools) point.reserve[id] = pool.reserve;
  return point;
}

/// One line per decision that changed something; the explanation carries the detail.
void log_decision(const Decision& decision) {
  for (const Action& action : decision.plan.actions) {
    spdlog::info("tick={} action={} deployment={} replicas={} early={}", decision.tick, to_string(action.kind),
                 action.deployment.value, action.replicas.size(), decision.early);
  }
}

}  // namespace

void Board::observed(const Observation& seen, Duration took) {
  seen_ = std::make_shared<const Observation>(seen);
  telemetry_.observed(seen, took);
  if (decision_ == nullptr) return;
  const bool due = history_.empty() || seen.at - history_.back().at >= Duration{1'000};
  if (due) history_.push_back(point_of(seen, *decision_));
  while (history_.size() > kHistoryMax) history_.pop_front();
}

void Board::decided(const Observation& seen, const Decision& decision, Duration took) {
  for (const Alarm& alarm : decision.alarms) {
    const bool known = decision_ != nullptr &&
                       std::find(decision_->alarms.begin(), decision_->alarms.end(), alarm) != decision_->alarms.end();
    if (!known) spdlog::warn("tick={} alarm={} subject={}", decision.tick, alarm.rule, alarm.subject);
  }
  decision_ = std::make_shared<const Decision>(decision);
  log_decision(decision);
  systemd_.status("tick " + std::to_string(decision.tick) + ", " + std::to_string(decision.alarms.size()) + " alarms");
  telemetry_.decided(decision, seen, took);
  if (!listeners_.empty()) publish("decision", json_text(to_json(decision)));
}

void Board::finished(const Finished& action) {
  const Outcome& outcome = action.outcome;
  const bool well = outcome.kind == OutcomeKind::done || outcome.kind == OutcomeKind::advised;
  spdlog::log(well ? spdlog::level::info : spdlog::level::warn, "action={} outcome={} attempts={} detail=\"{}\"",
              outcome.action.value, to_string(outcome.kind), outcome.attempts, outcome.detail);
  telemetry_.outcome(action.action, outcome);
  if (!listeners_.empty()) publish("outcome", json_text(to_json(outcome)));
}

void Board::state_is(const State& state) { state_ = std::make_shared<const State>(state); }

void Board::ledger_is(const std::string& problem) {
  if (problem != ledger_problem_) {
    if (problem.empty())
      spdlog::info("ledger=ok");
    else
      spdlog::error(R"(ledger=failed problem="{}" effect="only shrinking goes out")", problem);
  }
  ledger_problem_ = problem;
  telemetry_.ledger(problem.empty());
}

void Board::progress(TimePoint now) {
  if (progress_at_ == TimePoint{}) systemd_.ready();
  progress_at_ = now;
  telemetry_.loop_progress(now);
  const auto every = systemd_.watchdog_interval();
  if (!every || now - fed_at_ < *every / 2) return;
  fed_at_ = now;
  systemd_.watchdog();
}

void Board::reloaded(const ReloadStatus& status, std::shared_ptr<const Config> config) {
  reload_ = status;
  config_ = std::move(config);
  telemetry_.config_reload(status.ok, status.at, *config_);
}

std::string Board::not_ready_why(TimePoint now) const {
  if (decision_ == nullptr) return "no decision has been made yet";
  if (now - progress_at_ > 3 * config_->tick + config_->observe_timeout) {
    return "the loop has made no progress for " + to_text(now - progress_at_);
  }
  return {};
}

BoardView Board::view() const {
  BoardView view;
  view.now = clock_.now();
  view.started_at = started_at_;
  view.version = kVersion;
  view.config = config_;
  view.seen = seen_;
  view.decision = decision_;
  view.state = state_;
  view.reload = reload_;
  view.ledger_ok = ledger_problem_.empty();
  view.ledger_problem = ledger_problem_;
  view.not_ready_why = not_ready_why(view.now);
  view.ready = view.not_ready_why.empty();
  return view;
}

std::shared_ptr<void> Board::subscribe(Control::Listener listener) {
  const std::uint64_t id = next_listener_++;
  listeners_[id] = std::move(listener);
  // The token is the deleter's business; what it points to does not matter.
  return {static_cast<void*>(this), [board = std::weak_ptr<Board*>(self_), id](void*) {
            if (const auto alive = board.lock()) (*alive)->listeners_.erase(id);
          }};
}

void Board::publish(const std::string& name, const std::string& json) {
  // A listener may end its own subscription while it is being called.
  const auto listeners = listeners_;
  for (const auto& [id, listener] : listeners) listener(name, json);
}

}  // namespace ebb
