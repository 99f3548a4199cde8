#include "adapters/prometheus/prometheus_source.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "adapters/http/auth.hpp"
#include "adapters/http/send_all.hpp"
#include "adapters/prometheus/answer.hpp"

namespace ebb {

namespace {

constexpr std::size_t kBodyMax = 1u << 20;  // one number is wanted; a megabyte is a selector gone wrong
constexpr double kReplicasMax = 1e6;

using Readings = std::map<std::string, Reading<double>>;

/// Queries that say whether the others can be believed.
bool is_guard(const std::string& name) {
  return name == "reporters" || name == "expected_reporters" || name == "oldest_sample_age_s";
}
bool is_no_guard(const std::string& name) { return !is_guard(name); }
bool any_name(const std::string&) { return true; }
bool is_signal(const std::string& name) {
  return !is_guard(name) && name != "asked_replicas" && name != "held_replicas";
}

/// Of two answers to the same guard the one that believes less.
Reading<double> worse(const std::string& name, const Reading<double>& a, const Reading<double>& b) {
  if (!a.known()) return a;
  if (!b.known()) return b;
  const bool first = name == "reporters" ? a.value() < b.value() : a.value() > b.value();
  return first ? a : b;
}

/// Time for the answer to be read is kept back.
Duration request_time(Duration left, Duration configured) {
  const Duration margin = std::max(Duration{10}, left / 20);
  return std::min(left - margin, configured);
}

/// Asking for more replicas than there are is harmless, so there a default of zero may stand.
bool may_default_to_zero(const std::string& name) { return name == "asked_replicas"; }

HttpRequest question(const HttpRequest& base, const std::string& promql, Duration timeout) {
  HttpRequest request = base;
  request.method = "POST";
  request.headers["Content-Type"] = "application/x-www-form-urlencoded";
  request.headers["Accept"] = "application/json";
  request.body = prometheus::form_encoded({{"query", promql}, {"timeout", fmt::format("{}ms", timeout.count())}});
  request.timeout = timeout;
  request.body_max = kBodyMax;
  return request;
}

Reading<double> read(const Result<HttpResponse>& answer, bool accept_warnings, TimePoint now) {
  if (!answer.ok()) return Missing{"Prometheus: " + answer.error().what, now};
  return prometheus::reading_of(prometheus::instant_from(answer->status, answer->body), accept_warnings, now);
}

Reading<Replicas> replicas_of(const Reading<double>& reading) {
  if (!reading.known()) return *reading.missing();
  // A hair above a whole number is rounding of the query's floats, not another replica.
  const double count = std::ceil(std::min(reading.value(), kReplicasMax) - 1e-9);
  return Sample<Replicas>{Replicas{static_cast<int>(count)}, reading.sample()->taken_at};
}

/// Why the signals cannot be believed although they were read; empty: they can.
std::string doubt(const std::map<std::string, Reading<double>>& readings) {
  const auto find = [&](const char* name) {
    const auto found = readings.find(name);
    return found == readings.end() ? nullptr : &found->second;
  };
  for (const char* name : {"reporters", "expected_reporters", "oldest_sample_age_s"}) {
    const Reading<double>* reading = find(name);
    if (reading != nullptr && !reading->known()) return fmt::format("{}: {}", name, reading->missing()->why);
  }
  const Reading<double>* reporters = find("reporters");
  const Reading<double>* expected = find("expected_reporters");
  if (reporters == nullptr || expected == nullptr) return {};
  if (expected->value() <= 0) return "no ready replica to report";
  if (reporters->value() < expected->value()) {
    return fmt::format("{:g} of {:g} replicas reported", reporters->value(), expected->value());
  }
  return {};
}

int count_of(const std::map<std::string, Reading<double>>& readings, const char* name) {
  const auto found = readings.find(name);
  if (found == readings.end() || !found->second.known()) return 0;
  return static_cast<int>(std::min(found->second.value(), kReplicasMax));
}

}  // namespace

awaitable<std::map<std::string, Reading<double>>> query_all(const SourceConfig& config,
                                                            bool (*only)(const std::string&), HttpClient& client,
                                                            const Clock& clock, TimePoint deadline) {
  std::map<std::string, Reading<double>> readings;
  const TimePoint began = clock.now();
  const Result<HttpRequest> base = request_for(config.endpoint, "/api/v1/query");
  const Duration time = request_time(deadline - began, config.timeout);
  std::vector<std::string> names;
  std::vector<HttpRequest> requests;
  for (const auto& [name, promql] : config.queries) {
    if (!only(name)) continue;
    const std::string danger = may_default_to_zero(name) ? std::string() : prometheus::danger_in(promql);
    if (!danger.empty()) {
      readings[name] = Missing{danger, began};
    } else if (!base.ok()) {
      readings[name] = Missing{base.error().what, began};
    } else if (time <= Duration{0}) {
      readings[name] = Missing{"no time left to ask", began};
    } else {
      names.push_back(name);
      requests.push_back(question(*base, promql, time));
    }
  }
  const bool accept_warnings = config.accept_warnings;
  const std::vector<Result<HttpResponse>> answers = co_await send_all(client, std::move(requests));
  const TimePoint now = clock.now();
  for (std::size_t i = 0; i < names.size(); ++i) readings[names[i]] = read(answers[i], accept_warnings, now);
  co_return readings;
}

awaitable<Reading<double>> query_one(SourceConfig config, std::string name, HttpClient& client, const Clock& clock,
                                     TimePoint deadline) {
  const auto query = config.queries.find(name);
  if (query == config.queries.end()) {
    co_return Missing{fmt::format("no query named \"{}\" is configured", name), clock.now()};
  }
  const std::string promql = query->second;
  config.queries.clear();
  config.queries[name] = promql;
  std::map<std::string, Reading<double>> readings = co_await query_all(config, &any_name, client, clock, deadline);
  co_return readings[name];
}

PrometheusSource::PrometheusSource(const SourceConfig& config, HttpClient& client, const Clock& clock)
    : config_(config), client_(client), clock_(clock) {}

awaitable<WorkloadSeen> PrometheusSource::sample(std::vector<Target>, TimePoint deadline) {
  Readings before = co_await query_all(config_, &is_guard, client_, clock_, deadline);
  Readings readings = co_await query_all(config_, &is_no_guard, client_, clock_, deadline);
  if (!before.empty()) {
    Readings after = co_await query_all(config_, &is_guard, client_, clock_, deadline);
    for (const auto& [name, reading] : after) readings[name] = worse(name, before[name], reading);
  }
  co_return folded(std::move(readings), clock_.now());
}

WorkloadSeen PrometheusSource::folded(std::map<std::string, Reading<double>> readings, TimePoint at) {
  std::map<std::string, TimePoint> since;
  for (auto& [name, reading] : readings) {
    if (reading.known()) continue;
    const auto before = missing_since_.find(name);
    since[name] = before == missing_since_.end() ? at : before->second;
    reading = Missing{reading.missing()->why, since[name]};
  }
  const std::string why = doubt(readings);
  // Counted from when the age was asked for, so that one sample's time is the same in every answer.
  TimePoint sampled_at = TimePoint::max();
  const auto oldest = readings.find("oldest_sample_age_s");
  if (oldest != readings.end() && oldest->second.known()) {
    const double age_ms = std::clamp(oldest->second.value(), 0.0, 1e9) * 1e3;
    sampled_at = oldest->second.sample()->taken_at - Duration(std::llround(age_ms));
  }

  WorkloadSeen workload;
  workload.asked = Missing{"no query asked_replicas", at};
  workload.held = Missing{"no query held_replicas", at};
  for (auto& [name, reading] : readings) {
    if (name == "asked_replicas") workload.asked = replicas_of(reading);
    if (name == "held_replicas") workload.held = replicas_of(reading);
    if (!is_signal(name)) continue;
    SignalSeen signal;
    if (reading.known() && !why.empty()) {
      const auto before = missing_since_.find(name);
      since[name] = before == missing_since_.end() ? at : before->second;
      signal.at_least = reading.value();
      signal.value = Missing{why, since[name]};
    } else {
      if (reading.known()) reading.sample()->taken_at = std::min(reading.sample()->taken_at, sampled_at);
      signal.value = std::move(reading);
    }
    workload.signals[name] = std::move(signal);
  }
  workload.reported = count_of(readings, "reporters");
  workload.expected = count_of(readings, "expected_reporters");
  missing_since_ = std::move(since);
  return workload;
}

}  // namespace ebb
