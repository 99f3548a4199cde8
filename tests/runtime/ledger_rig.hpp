// What the ledger's tests share: decisions to record, and a ledger with a loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <utility>

#include "daemon/runtime/sqlite_ledger.hpp"
#include "tests/support/run.hpp"

namespace ebb::test {

inline const TimePoint kStart{Duration{1'767'225'600'000}};

inline TimePoint at_tick(std::uint64_t tick) { return kStart + Duration{static_cast<std::int64_t>(tick) * 5'000}; }

inline Observation seen_at(std::uint64_t tick) {
  Observation out;
  out.at = at_tick(tick);
  WorkloadSeen& chat = out.workloads[DeploymentId("chat@p")];
  chat.signals["in_flight"].value = Sample<double>{12.5, out.at};
  return out;
}

/// A decision that starts `actions` replicas, one action each.
inline Decision decision_at(std::uint64_t tick, int actions = 0) {
  Decision out;
  out.tick = tick;
  out.at = at_tick(tick);
  out.next.tick = tick;
  out.next.started_at = kStart;
  out.why.push_back({Stage::diff, "diff.nothing", "", {}});
  for (int i = 0; i < actions; ++i) {
    Action action;
    action.deployment = DeploymentId("rl-" + std::to_string(i) + "@p");
    action.id = ActionId(std::to_string(tick) + "/" + action.deployment.value + "/start");
    action.kind = ActionKind::start;
    action.replicas = {ReplicaId(action.deployment.value + "-" + std::to_string(tick) + "-0")};
    action.gpus_each = {1};
    Lease lease;
    lease.deployment = action.deployment;
    lease.gpus = {1};
    out.next.leases[action.replicas[0]] = lease;
    out.plan.actions.push_back(std::move(action));
  }
  return out;
}

inline Outcome outcome_of(const Action& action, OutcomeKind kind, TimePoint at) {
  Outcome out;
  out.action = action.id;
  out.kind = kind;
  out.at = at;
  out.attempts = 1;
  return out;
}

inline Override freeze(const std::string& id) {
  Override out;
  out.id = OverrideId(id);
  out.reason = "maintenance";
  out.owner = "ann";
  out.created_at = kStart;
  out.expires_at = kStart + std::chrono::days{30};
  return out;
}

inline Event override_set(const Override& value, TimePoint at) {
  Event out;
  out.at = at;
  out.kind = "override_set";
  out.set = value;
  return out;
}

inline Event override_cleared(const std::string& id, TimePoint at) {
  Event out;
  out.at = at;
  out.kind = "override_cleared";
  out.subject = id;
  out.cleared = OverrideId(id);
  return out;
}

/// An open ledger and the loop its callers run on, with blocking faces.
class Book {
 public:
  explicit Book(std::unique_ptr<SqliteLedger> ledger) : ledger_(std::move(ledger)) {}

  Status record(const Decision& decision) {
    const Observation seen = seen_at(decision.tick);
    State before = std::exchange(last_, decision.next);
    return record(seen, before, decision, nullptr);
  }
  Status record(const Observation& seen, const State& before, const Decision& decision,
                std::shared_ptr<const Config> config) {
    return run(io_, ledger_->record(seen, before, decision, std::move(config)));
  }
  Status record(std::vector<Outcome> outcomes) { return run(io_, ledger_->record(std::move(outcomes))); }
  Result<std::uint64_t> record(Event event) { return run(io_, ledger_->record(std::move(event))); }
  Recovered recover() { return run(io_, ledger_->recover()).value(); }
  std::vector<nlohmann::json> decisions(Ledger::Page page = {}) { return run(io_, ledger_->decisions(page)).value(); }
  std::vector<Event> events(std::uint64_t after = 0) { return run(io_, ledger_->events(after, 1'000)).value(); }
  std::vector<ActionRow> actions() { return run(io_, ledger_->actions(1'000)).value(); }
  SqliteLedger& ledger() { return *ledger_; }
  boost::asio::io_context& io() { return io_; }

 private:
  boost::asio::io_context io_;  // outlives the ledger's threads, which post to it
  std::unique_ptr<SqliteLedger> ledger_;
  State last_;
};

inline Result<std::unique_ptr<Book>> open_book(const std::string& path, LedgerKnobs knobs = LedgerKnobs(),
                                               const LedgerConfig& config = LedgerConfig()) {
  auto ledger = SqliteLedger::open(path, config, "test", knobs);
  if (!ledger.ok()) return ledger.error();
  return std::make_unique<Book>(std::move(ledger.value()));
}

}  // namespace ebb::test
