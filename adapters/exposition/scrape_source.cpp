#include "adapters/exposition/scrape_source.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "adapters/http/auth.hpp"
#include "adapters/http/send_all.hpp"

namespace ebb {

using exposition::EngineSeen;
using exposition::Figure;
using exposition::TargetReport;

namespace {

constexpr std::size_t kBodyMax = 16u << 20;  // a vLLM page has some 60 KiB
constexpr std::size_t kReasonMax = 200;      // reasons end in one line of an explanation

/// Part of the time is kept for reading the last pages, so that the caller's deadline is met.
Duration request_time(Duration left, Duration configured) {
  const Duration margin = std::max(Duration{10}, left / 20);
  return std::min(left - margin, configured);
}

std::string key_of(const Target& target) { return target.name + '\n' + target.url; }

Figure rate(std::optional<double> per_second, bool counted) {
  if (per_second) return {per_second, ""};
  return {std::nullopt, counted ? "a rate needs two samples" : "no such counter on the page"};
}

std::string shortened(std::string text) {
  if (text.size() <= kReasonMax) return text;
  std::size_t length = kReasonMax;
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  text.resize(length);
  return text + "...";
}

}  // namespace

/// One round of requests. Shared with them, since they outlive a caller that is cancelled.
struct ScrapeSource::Round {
  std::string dialect;
  std::string model_name;
  TimePoint began{};
  TimePoint oldest{};  ///< began, or earlier where samples carry an older time
  std::vector<Result<EngineSeen>> seen;
  std::vector<TargetReport> reports;  ///< one a target, in the order of the targets
};

ScrapeSource::ScrapeSource(const SourceConfig& config, HttpClient& client, const Clock& clock)
    : config_(config), client_(client), clock_(clock) {}

std::vector<Target> ScrapeSource::wanted(std::vector<Target> ready) const {
  if (!config_.targets.empty()) {
    ready.clear();
    for (const std::string& url : config_.targets) ready.push_back({url, url});
  }
  // One target given twice would be counted twice.
  std::set<std::string> known;
  std::erase_if(ready, [&](const Target& target) { return !known.insert(key_of(target)).second; });
  return ready;
}

void ScrapeSource::forget_vanished(const std::vector<Target>& targets) {
  std::set<std::string> present;
  for (const Target& target : targets) present.insert(key_of(target));
  std::erase_if(memory_, [&](const auto& each) { return !present.contains(each.first); });
}

awaitable<void> ScrapeSource::scrape_one(HttpClient& client, HttpRequest request, std::shared_ptr<Round> round,
                                         std::size_t index) {
  Result<HttpResponse> answer = co_await client.send(std::move(request));
  if (!answer.ok()) {
    round->seen[index] = answer.error();
    co_return;
  }
  if (answer->status != 200) {
    round->seen[index] = Error{ErrorCode::unreachable, fmt::format("HTTP {}", answer->status), true};
    co_return;
  }
  const auto type = answer->headers.find("content-type");
  const exposition::Format format =
      exposition::format_of(type == answer->headers.end() ? std::string_view() : std::string_view(type->second));
  round->seen[index] = exposition::read_engine(answer->body, format, round->dialect, round->model_name);
}

awaitable<WorkloadSeen> ScrapeSource::sample(std::vector<Target> targets, TimePoint deadline) {
  const std::shared_ptr<const Round> round = co_await scrape(std::move(targets), deadline);
  co_return folded(*round);
}

awaitable<Reading<ReplicaLoads>> ScrapeSource::loads(std::vector<Target> targets, TimePoint deadline) {
  const std::shared_ptr<const Round> round = co_await scrape(std::move(targets), deadline);
  co_return loads_of(*round);
}

awaitable<std::shared_ptr<const ScrapeSource::Round>> ScrapeSource::scrape(std::vector<Target> targets,
                                                                           TimePoint deadline) {
  targets = wanted(std::move(targets));
  forget_vanished(targets);
  auto round = std::make_shared<Round>();
  round->dialect = config_.dialect;
  round->model_name = config_.model_name;
  round->began = round->oldest = clock_.now();
  const Error unasked{ErrorCode::timeout, "no time left to ask", true};
  round->seen.assign(targets.size(), unasked);

  EndpointConfig endpoint = config_.endpoint;  // its credentials, should a proxy before the engines want some
  endpoint.url.clear();
  const Result<HttpRequest> base = request_for(endpoint, config_.path);
  const Duration time = request_time(deadline - round->began, config_.timeout);
  std::vector<awaitable<void>> tasks;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const Error no_address{ErrorCode::unreachable, "no address yet", true};
    if (!base.ok() || targets[i].url.empty()) {
      round->seen[i] = base.ok() ? no_address : base.error();
      continue;
    }
    if (time <= Duration{0}) continue;
    HttpRequest request = *base;
    std::string url = targets[i].url;
    while (url.ends_with('/')) url.pop_back();
    request.url = url + base->url;
    request.timeout = time;
    request.body_max = kBodyMax;
    request.headers.emplace("Accept", "text/plain;version=0.0.4;q=1,*/*;q=0.1");
    tasks.push_back(scrape_one(client_, std::move(request), round, i));
  }
  co_await run_all(std::move(tasks));

  const TimePoint at = clock_.now();
  round->reports.reserve(targets.size());
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const Result<EngineSeen>& seen = round->seen[i];
    if (seen.ok() && seen->oldest_timestamp_ms) {
      round->oldest = std::min(round->oldest, TimePoint(Duration(*seen->oldest_timestamp_ms)));
    }
    round->reports.push_back(report_of(targets[i], std::move(round->seen[i]), at));
  }
  co_return round;
}

TargetReport ScrapeSource::report_of(const Target& target, Result<EngineSeen> seen, TimePoint at) {
  TargetReport report;
  report.name = target.name;
  if (!seen.ok()) {
    report.why_not = shortened(seen.error().what);
    return report;
  }
  report.works_on = seen->in_flight.value;
  exposition::TargetMemory& memory = memory_[key_of(target)];
  memory.take(*seen, at);
  const Duration flat = memory.flat_for(at);
  if (flat >= config_.frozen_after) {
    report.why_not =
        fmt::format("frozen: {:g} requests run, and no token for {}", seen->running.value.value_or(0), to_text(flat));
    return report;
  }
  report.fresh = true;
  report.figures["in_flight"] = seen->in_flight;
  report.figures["running"] = seen->running;
  report.figures["waiting"] = seen->waiting;
  report.figures["kv_usage"] = seen->kv_usage;
  report.figures["tokens_per_s"] = rate(memory.tokens_per_s(), !seen->tokens.empty());
  report.figures["requests_per_s"] = rate(memory.requests_per_s(), !seen->requests.empty());
  if (seen->asleep.value) report.figures["asleep"] = seen->asleep;
  if (!seen->busy_us.empty()) report.figures["busy_requests"] = rate(memory.busy_requests(), true);
  if (!seen->in_flight.value && (seen->running.value || seen->waiting.value)) {
    report.load_at_least = seen->running.value.value_or(0) + seen->waiting.value.value_or(0);
  }
  return report;
}

Reading<ReplicaLoads> ScrapeSource::loads_of(const Round& round) {
  Sample<ReplicaLoads> sample;
  sample.taken_at = round.began;
  std::string why = "no ready replica to ask";
  for (const TargetReport& report : round.reports) {
    if (report.works_on && std::isfinite(*report.works_on))
      sample.value[ReplicaId(report.name)] = *report.works_on;
    else
      why = report.name + ": " + (report.why_not.empty() ? "requests in flight are not on its page" : report.why_not);
  }
  if (sample.value.empty()) return Missing{why, round.began};
  return sample;
}

WorkloadSeen ScrapeSource::folded(const Round& round) {
  const std::vector<TargetReport>& reports = round.reports;
  static const std::vector<std::string> kSignals{"in_flight", "running",      "waiting",
                                                 "kv_usage",  "tokens_per_s", "requests_per_s"};
  WorkloadSeen workload;
  workload.signals = exposition::summed(reports, kSignals, round.oldest);
  workload.expected = static_cast<int>(reports.size());
  workload.reported =
      static_cast<int>(std::count_if(reports.begin(), reports.end(), [](const auto& each) { return each.fresh; }));
  std::map<std::string, TimePoint> since;
  for (auto& [name, signal] : workload.signals) {
    if (signal.value.known()) continue;
    const auto before = missing_since_.find(name);
    since[name] = before == missing_since_.end() ? round.began : before->second;
    signal.value = Missing{signal.value.missing()->why, since[name]};
  }
  missing_since_ = std::move(since);
  workload.asked = Missing{"scraped engines do not say what their owner asks for", round.began};
  workload.held = Missing{"scraped engines do not say how many there are", round.began};
  return workload;
}

}  // namespace ebb
