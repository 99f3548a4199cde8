#include "tests/emulators/load/production.hpp"

#include <algorithm>
#include <boost/asio.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "tests/emulators/common/clock.hpp"
#include "tests/emulators/common/log.hpp"

namespace ebb::emulator {

namespace {

constexpr double kAvoid = 0.5;  // longer than a discovery round, so that the list decides next

}  // namespace

ProductionLoad::ProductionLoad(asio::io_context& io, ProductionConfig config, Day day)
    : io_(io),
      config_(std::move(config)),
      day_(day),
      arrivals_(std::move(day), config_.arrivals),
      random_(config_.arrivals.seed ^ 0x70726F64),
      changed_(io.get_executor()),
      progress_(io.get_executor()),
      discovery_(config_.discovery, router_, changed_) {}

Status ProductionLoad::prepare() {
  const Status opened = series_.open(config_.output.series);
  if (!opened) return opened;
  return discovery_.prepare();
}

void ProductionLoad::stop() {
  stopped_ = true;
  progress_.notify();
}

awaitable<void> ProductionLoad::run() {
  began_ = monotonic_seconds() + config_.arrivals.lead_in_s;
  area_since_ = monotonic_seconds();
  asio::co_spawn(io_, discovery_.run(), on_done("discovery"));
  asio::co_spawn(io_, write_reports(), on_done("reports"));
  while (!stopped_) {
    const auto at = arrivals_.next();
    if (!at) break;
    while (!stopped_ && monotonic_seconds() < began_ + *at) {
      // Anybody's end wakes this loop early: it looks at the clock again.
      co_await pause(std::min(0.2, began_ + *at - monotonic_seconds()));
    }
    if (stopped_) break;
    // The arrival counts from when it was due: a generator that is late must not hide it.
    asio::co_spawn(io_, user(next_call(*at), began_ + *at), on_done("user"));
  }
  while (in_flight_ > 0) {
    co_await progress_.wait(0.5);
  }
  over_ = true;
  discovery_.stop();
  write_second();
  write_summary(true);
}

CallSpec ProductionLoad::next_call(double at) {
  const DayPoint point = day_.at(at / config_.arrivals.day_s);
  const int prompt = draw_length(random_, config_.prompt_tokens * point.prompt_scale, config_.sigma, 4, 4096);
  CallSpec spec;
  spec.chat = config_.chat;
  spec.model = config_.model;
  spec.prompt = make_prompt(random_, report_.requests, prompt);
  spec.max_tokens =
      draw_length(random_, config_.output_tokens * point.output_scale, config_.sigma, 1, config_.tokens_max);
  ++report_.requests;
  return spec;
}

awaitable<std::optional<HostPort>> ProductionLoad::wait_for_replica(double deadline) {
  while (monotonic_seconds() < deadline) {
    const auto to = router_.pick(monotonic_seconds());
    if (to) co_return to;
    co_await changed_.wait(std::min(0.1, deadline - monotonic_seconds()));
  }
  co_return std::nullopt;
}

awaitable<void> ProductionLoad::user(CallSpec spec, double arrived) {
  count_in_flight(+1);
  const double deadline = arrived + config_.timeout_s;
  while (true) {
    const auto to = co_await wait_for_replica(deadline);
    if (!to) {
      report_.note_error("no_replica", "nobody was ready in time");
      break;
    }
    spec.timeout_s = std::max(0.001, deadline - monotonic_seconds());
    OnToken on_token = [this](double gap) {
      ++report_.received;
      if (gap >= 0) report_.itl.add(gap);
    };
    router_.began(*to);
    const CallOutcome outcome = co_await call_replica(*to, spec, std::move(on_token));
    router_.ended(*to);
    if (!may_retry(outcome)) {
      note(outcome, arrived);
      break;
    }
    ++report_.retries;
    ++report_.retried[to_string(outcome.end)];
    router_.avoid(*to, monotonic_seconds() + kAvoid);
  }
  count_in_flight(-1);
  progress_.notify();
}

void ProductionLoad::note(const CallOutcome& outcome, double arrived) {
  report_.mismatches += static_cast<std::uint64_t>(outcome.mismatches);
  if (outcome.tokens > 0) report_.ttft.add(outcome.first_token_at - arrived);
  if (outcome.end != CallEnd::ok) {
    report_.note_error(to_string(outcome.end), outcome.detail);
    return;
  }
  ++report_.completed;
  ++report_.weights[outcome.weights];
  report_.tokens += static_cast<std::uint64_t>(outcome.tokens);
  report_.e2e.add(outcome.last_token_at - arrived);
}

void ProductionLoad::count_in_flight(int change) {
  const double now = monotonic_seconds();
  in_flight_area_ += in_flight_ * (now - area_since_);
  area_since_ = now;
  in_flight_ += change;
}

awaitable<void> ProductionLoad::write_reports() {
  double next = std::ceil(unix_seconds());
  while (!over_) {
    // On the whole second of the wall clock, so that two generators' lines can be laid side by side.
    co_await pause(std::min(0.2, next - unix_seconds()));
    if (unix_seconds() < next || over_) continue;
    next += 1;
    write_second();
    write_summary(false);
  }
}

void ProductionLoad::write_second() {
  count_in_flight(0);
  const double at = monotonic_seconds() - began_;
  const nlohmann::json line{{"unix", unix_seconds()},          {"t", at},
                            {"in_flight", in_flight_},         {"in_flight_mean", in_flight_area_},
                            {"rate", arrivals_.rate(at)},      {"replicas", router_.endpoints().size()},
                            {"requests", report_.requests},    {"completed", report_.completed},
                            {"errors", report_.error_count()}, {"ttft_p95_s", report_.ttft.percentile(95)}};
  in_flight_area_ = 0;
  series_.write(line.dump());
}

void ProductionLoad::write_summary(bool final) {
  if (config_.output.summary.empty()) return;
  nlohmann::json summary = to_json(report_);
  summary["mode"] = "production";
  summary["final"] = final;
  summary["seed"] = config_.arrivals.seed;
  summary["day_s"] = config_.arrivals.day_s;
  summary["t"] = monotonic_seconds() - began_;
  summary["in_flight"] = in_flight_;
  summary["replicas"] = router_.endpoints().size();
  summary["discovery_failures"] = discovery_.failures();
  const Status written = write_atomically(config_.output.summary, summary.dump(2) + "\n");
  if (!written) log_line("ebb-load", written.error().what);
}

}  // namespace ebb::emulator
