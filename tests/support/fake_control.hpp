// A daemon's outside without the daemon: a board that holds what a test puts there, and a ledger in memory.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/decide.hpp"
#include "daemon/model/json.hpp"
#include "daemon/model/json_text.hpp"
#include "daemon/ports/control.hpp"
#include "daemon/ports/ledger.hpp"
#include "tests/support/builders.hpp"
#include "tests/support/world.hpp"

namespace ebb::test {

class FakeControl : public Control {
 public:
  BoardView board;
  std::deque<HistoryPoint> points;
  std::string metrics = "# TYPE ebb_tick gauge\nebb_tick 1\n";
  std::optional<Error> next_error;  ///< of the next write
  std::vector<std::string> calls;

  [[nodiscard]] BoardView view() const override { return board; }
  [[nodiscard]] const std::deque<HistoryPoint>& history() const override { return points; }
  [[nodiscard]] std::string metrics_text() override { return metrics; }

  awaitable<Result<Override>> set_override(Override wanted) override {
    if (next_error) co_return *std::exchange(next_error, std::nullopt);
    wanted.id = OverrideId(std::string(to_string(wanted.kind)) + "-" + std::to_string(++overrides_));
    wanted.created_at = board.now;
    calls.push_back("set " + to_json(wanted).dump());
    State state = board.state == nullptr ? State() : *board.state;
    state.overrides[wanted.id] = wanted;
    board.state = std::make_shared<const State>(std::move(state));
    co_return wanted;
  }

  awaitable<Status> clear_override(OverrideId id, std::string by) override {
    if (next_error) co_return *std::exchange(next_error, std::nullopt);
    if (board.state == nullptr || !board.state->overrides.contains(id)) {
      co_return Error{ErrorCode::not_found, "there is no override '" + id.value + "'", false};
    }
    calls.push_back("clear " + id.value + " by " + by);
    State state = *board.state;
    state.overrides.erase(id);
    board.state = std::make_shared<const State>(std::move(state));
    co_return Done();
  }

  awaitable<Status> set_demand(JobId job, Demand demand) override {
    if (next_error) co_return *std::exchange(next_error, std::nullopt);
    calls.push_back("demand " + job.value + " " + to_json(demand).dump());
    State state = board.state == nullptr ? State() : *board.state;
    state.demand[job] = demand;
    board.state = std::make_shared<const State>(std::move(state));
    co_return Done();
  }

  [[nodiscard]] std::shared_ptr<void> subscribe(Listener listener) override {
    const std::uint64_t id = next_listener_++;
    (*listeners_)[id] = std::move(listener);
    return {this, [listeners = std::weak_ptr<Listeners>(listeners_), id](void*) {
              if (const auto alive = listeners.lock()) alive->erase(id);
            }};
  }
  void publish(const std::string& name, const std::string& json) {
    const Listeners now = *listeners_;
    for (const auto& [id, listener] : now) listener(name, json);
  }
  [[nodiscard]] std::size_t listeners() const { return listeners_->size(); }

 private:
  using Listeners = std::map<std::uint64_t, Listener>;
  std::shared_ptr<Listeners> listeners_ = std::make_shared<Listeners>();
  std::uint64_t next_listener_ = 0;
  int overrides_ = 0;
};

class FakeLedger : public Ledger {
 public:
  std::deque<nlohmann::json> rows;  ///< newest first
  std::optional<Error> error;       ///< of every read while it stands
  Page asked;

  awaitable<Status> record(const Observation&, const State&, const Decision& decision,
                           std::shared_ptr<const Config>) override {
    rows.push_front(to_json(decision));
    co_return Done();
  }
  awaitable<Status> record(std::vector<Outcome>) override { co_return Done(); }
  awaitable<Result<std::uint64_t>> record(Event) override { co_return std::uint64_t{1}; }
  awaitable<Result<Recovered>> recover() override { co_return Recovered(); }

  awaitable<Result<std::vector<nlohmann::json>>> decisions(Page page) override {
    asked = page;
    if (error) co_return *error;
    std::vector<nlohmann::json> out;
    for (const auto& row : rows) {
      if (static_cast<int>(out.size()) == page.limit) break;
      if (page.before && row.at("tick").get<std::uint64_t>() >= *page.before) continue;
      if (page.since && row.at("at").get<std::string>() < to_iso(*page.since)) continue;
      if (page.changed_only && row.at("plan").empty()) continue;
      out.push_back(row);
    }
    co_return out;
  }
  awaitable<Result<nlohmann::json>> decision_at(TimePoint at) override {
    return find([text = to_iso(at)](const auto& row) { return row.at("at").template get<std::string>() <= text; });
  }
  awaitable<Result<nlohmann::json>> decision(std::uint64_t tick) override {
    return find([tick](const auto& row) { return row.at("tick").template get<std::uint64_t>() == tick; });
  }
  awaitable<Result<std::vector<Event>>> events(std::uint64_t, int) override { co_return std::vector<Event>(); }
  awaitable<Result<std::vector<ActionRow>>> actions(int) override { co_return std::vector<ActionRow>(); }

 private:
  awaitable<Result<nlohmann::json>> find(std::function<bool(const nlohmann::json&)> fits) {
    if (error) co_return *error;
    for (const auto& row : rows) {
      if (fits(row)) co_return row;
    }
    co_return Error{ErrorCode::not_found, "there is no such decision", false};
  }
};

/// A daemon's day on fast-forward: the real decision against a fleet of values, at one second a step.
class Day {
 public:
  explicit Day(Config config = day_config()) : config_(std::make_shared<const Config>(std::move(config))) {
    state_.started_at = testing::kStart;
    world_.startup = Duration{3'000};
    world_.drain = Duration{2'000};
  }

  static Config day_config() {
    Config config = testing::small_config();
    config.pools[0].gpus = {16};
    config.pools[0].headroom = {1};
    config.services[0].model = "chat-70b";
    config.services[0].deployments[0].max = {12};
    config.jobs[0].model = "policy-8b";
    config.jobs[0].grow_step = {2};
    config.tick = Duration{1'000};
    config.hash = "00112233445566aa";
    return config;
  }

  /// One tick with this much production in flight; none: its metrics are missing.
  void step(std::optional<double> in_flight, FakeControl& control, FakeLedger& ledger) {
    now_ += Duration{1'000};
    if (control.board.state != nullptr) {
      state_.overrides = control.board.state->overrides;
      state_.demand = control.board.state->demand;
    }
    world_.advance(now_);
    const Observation seen = testing::observe(world_, in_flight.value_or(0), now_, in_flight.has_value());
    Decision decision = decide(seen, state_, *config_, now_);
    state_ = decision.next;
    world_.apply(decision.plan, now_);
    world_.forget_gone(state_);
    ledger.rows.push_front(to_json(decision));
    if (ledger.rows.size() > 2'000) ledger.rows.pop_back();
    show(control, seen, std::move(decision), in_flight);
  }

  [[nodiscard]] TimePoint now() const { return now_; }

 private:
  void show(FakeControl& control, const Observation& seen, Decision decision, std::optional<double> in_flight) {
    HistoryPoint point;
    point.at = now_;
    if (in_flight) point.in_flight[testing::kChat] = *in_flight;
    for (const auto& [id, deployment] : decision.deployments) point.ready[id] = deployment.ready;
    for (const auto& [id, pool] : decision.pools) point.reserve[id] = pool.reserve;
    control.points.push_back(std::move(point));
    if (control.points.size() > 3'600) control.points.pop_front();
    BoardView& board = control.board;
    board.now = now_;
    board.started_at = testing::kStart;
    board.version = "9.9.9";
    board.config = config_;
    board.seen = std::make_shared<const Observation>(seen);
    board.state = std::make_shared<const State>(state_);
    board.decision = std::make_shared<const Decision>(std::move(decision));
    board.reload.at = testing::kStart;
    board.ready = true;
    control.publish("decision", json_text(to_json(*board.decision)));
  }

  std::shared_ptr<const Config> config_;
  testing::World world_;
  State state_;
  TimePoint now_ = testing::kStart;
};

}  // namespace ebb::test
