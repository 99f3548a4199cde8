#include "tests/emulators/load/rollouts.hpp"

#include <algorithm>
#include <boost/asio.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "tests/emulators/common/clock.hpp"
#include "tests/emulators/common/log.hpp"

namespace ebb::emulator {

namespace {

constexpr double kAvoid = 0.5;

}  // namespace

RolloutLoad::RolloutLoad(asio::io_context& io, RolloutConfig config)
    : io_(io),
      config_(std::move(config)),
      random_(config_.seed ^ 0x726F6C6C),
      changed_(io.get_executor()),
      discovery_(config_.discovery, router_, changed_) {}

Status RolloutLoad::prepare() {
  const Status opened = series_.open(config_.output.series);
  if (!opened) return opened;
  const Status listed = attempts_.open(config_.rollouts);
  if (!listed) return listed;
  return discovery_.prepare();
}

void RolloutLoad::stop() {
  stopped_ = true;
  changed_.notify();
}

int RolloutLoad::wanted() const {
  if (config_.total > 0) return config_.total;
  return config_.per_replica * static_cast<int>(router_.endpoints().size());
}

awaitable<void> RolloutLoad::run() {
  began_ = monotonic_seconds();
  integrated_at_ = began_;
  asio::co_spawn(io_, discovery_.run(), on_done("discovery"));
  asio::co_spawn(io_, write_reports(), on_done("reports"));
  while (!stopped_ && (config_.duration_s <= 0 || monotonic_seconds() < began_ + config_.duration_s)) {
    while (alive_ < wanted()) {
      ++alive_;
      asio::co_spawn(io_, rollout(next_rollout()), on_done("rollout"));
    }
    co_await changed_.wait(0.1);
  }
  stopped_ = true;
  over_ = true;
  discovery_.stop();
  write_second();
  write_summary(true);
}

CallSpec RolloutLoad::next_rollout() {
  CallSpec spec;
  spec.model = config_.model;
  const int prompt = draw_length(random_, config_.prompt_tokens, config_.sigma, 4, 4096);
  spec.prompt = make_prompt(random_, report_.requests, prompt);
  spec.max_tokens = draw_length(random_, config_.output_tokens, config_.sigma, 1, config_.tokens_max);
  spec.timeout_s = config_.timeout_s;
  ++report_.requests;
  return spec;
}

awaitable<void> RolloutLoad::rollout(CallSpec spec) {
  const double began = monotonic_seconds();
  bool ended = false;
  while (!ended && !stopped_) {
    const auto to = router_.pick(monotonic_seconds());
    if (!to) {
      // With a number per replica, a rollout without a place would only stand in the way of the count.
      co_await changed_.wait(0.2);
      continue;
    }
    OnToken on_token = [this](double gap) {
      ++report_.received;
      if (gap >= 0) report_.itl.add(gap);
    };
    router_.began(*to);
    ++in_flight_;
    const double began_unix = unix_seconds();
    // Ports are used again: the name is the one of now.
    const std::string replica = discovery_.name_of(*to);
    const CallOutcome outcome = co_await call_replica(*to, spec, std::move(on_token));
    --in_flight_;
    router_.ended(*to);
    write_attempt(replica, began_unix, outcome);
    if (stopped_) break;
    ended = note(outcome, began);
    if (outcome.end == CallEnd::refused) co_await pause(0.2);  // a wrong model must not become a storm of requests
    if (!ended) router_.avoid(*to, monotonic_seconds() + kAvoid);
  }
  --alive_;
  changed_.notify();
}

void RolloutLoad::write_attempt(const std::string& replica, double began_unix, const CallOutcome& outcome) {
  if (config_.rollouts.empty()) return;
  nlohmann::json uses = nlohmann::json::array();
  for (const WeightsUse& use : outcome.uses) {
    uses.push_back({{"weights", use.weights},
                    {"tokens", use.tokens},
                    {"first_unix", use.first_unix},
                    {"last_unix", use.last_unix}});
  }
  const nlohmann::json line{{"replica", replica},
                            {"began_unix", began_unix},
                            {"end", to_string(outcome.end)},
                            {"mismatches", outcome.mismatches},
                            {"uses", std::move(uses)}};
  attempts_.write(line.dump());
}

bool RolloutLoad::note(const CallOutcome& outcome, double began) {
  report_.mismatches += static_cast<std::uint64_t>(outcome.mismatches);
  if (outcome.end == CallEnd::ok) {
    ++report_.completed;
    ++report_.weights[outcome.weights];
    report_.tokens += static_cast<std::uint64_t>(outcome.tokens);
    report_.ttft.add(outcome.first_token_at - began);
    report_.e2e.add(outcome.last_token_at - began);
    return true;
  }
  if (outcome.end == CallEnd::unavailable || outcome.end == CallEnd::broken) {
    // Its replica left, or is leaving: the rollout lives on, elsewhere and from its beginning.
    lost_tokens_ += static_cast<std::uint64_t>(outcome.tokens);
    ++restarts_;
    ++report_.retries;
    ++report_.retried[to_string(outcome.end)];
    return false;
  }
  report_.note_error(to_string(outcome.end), outcome.detail);
  return true;
}

void RolloutLoad::integrate() {
  const double now = monotonic_seconds();
  replica_seconds_ += static_cast<double>(router_.endpoints().size()) * (now - integrated_at_);
  integrated_at_ = now;
}

awaitable<void> RolloutLoad::write_reports() {
  double next = std::ceil(unix_seconds());
  while (!over_) {
    co_await pause(std::min(0.2, next - unix_seconds()));
    integrate();
    if (unix_seconds() < next || over_) continue;
    next += 1;
    write_second();
    write_summary(false);
  }
}

void RolloutLoad::write_second() {
  const nlohmann::json line{{"unix", unix_seconds()},         {"t", monotonic_seconds() - began_},
                            {"in_flight", in_flight_},        {"replicas", router_.endpoints().size()},
                            {"completed", report_.completed}, {"tokens_received", report_.received},
                            {"restarts", restarts_}};
  series_.write(line.dump());
}

void RolloutLoad::write_summary(bool final) {
  if (config_.output.summary.empty()) return;
  nlohmann::json summary = to_json(report_);
  summary["mode"] = "rollouts";
  summary["final"] = final;
  summary["seed"] = config_.seed;
  summary["t"] = monotonic_seconds() - began_;
  summary["in_flight"] = in_flight_;
  summary["unfinished"] = alive_;
  summary["restarts"] = restarts_;
  summary["lost_tokens"] = lost_tokens_;
  summary["replicas"] = router_.endpoints().size();
  summary["replica_seconds"] = replica_seconds_;
  summary["discovery_failures"] = discovery_.failures();
  const Status written = write_atomically(config_.output.summary, summary.dump(2) + "\n");
  if (!written) log_line("ebb-load", written.error().what);
}

}  // namespace ebb::emulator
