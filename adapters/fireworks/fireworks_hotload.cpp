#include "adapters/fireworks/fireworks_hotload.hpp"

#include <algorithm>
#include <utility>

#include "adapters/http/auth.hpp"
#include "adapters/http/json_answer.hpp"
#include "config/hotload_rules.hpp"

namespace ebb {

namespace {

constexpr const char* kVendor = "https://api.fireworks.ai";
constexpr const char* kHotLoad = "/hot_load/v1/models/hot_load";
constexpr std::size_t kBodyMax = 4u << 20;  // a thousand replicas with a kilobyte each, and room
// A question before a signal must leave time for the signal itself.
constexpr Duration kGateMax{10'000};

bool is_2xx(const HttpResponse& response) { return response.status >= 200 && response.status < 300; }

/// An error of a question that went before a signal: nothing was signalled.
Error put_off(Error error) {
  const bool final = error.code == ErrorCode::denied || error.code == ErrorCode::invalid;
  if (!final && error.code != ErrorCode::throttled) error.code = ErrorCode::unreachable;
  return error;
}

bool has(const WeightsReport& report, const Identity& target) {
  return report.ready && report.current == target && report.stage != LoadStage::loading;
}

}  // namespace

FireworksHotload::FireworksHotload(Options options, HttpClient& http, Clock& clock)
    : options_(std::move(options)), http_(http), clock_(clock) {
  if (options_.config.endpoint.url.empty()) options_.config.endpoint.url = kVendor;
}

HotloadCapabilities FireworksHotload::capabilities() const { return capabilities_of(options_.config); }

Result<HttpRequest> FireworksHotload::request(const char* method, const std::string& path, TimePoint deadline) const {
  Result<HttpRequest> out = request_for(options_.config.endpoint, path);
  if (!out.ok()) return out;
  out->method = method;
  out->timeout = deadline - clock_.now();
  out->body_max = kBodyMax;
  if (out->timeout <= Duration{0}) return Error{ErrorCode::unreachable, "no time left to ask", true};
  out->headers["Accept"] = "application/json";
  if (path == kHotLoad) {
    out->headers["fireworks-model"] = options_.config.base_model;
    out->headers["fireworks-deployment"] =
        "accounts/" + options_.config.account + "/deployments/" + options_.config.deployment;
  }
  return out;
}

std::string FireworksHotload::deployment_path() const {
  return "/v1/accounts/" + options_.config.account + "/deployments/" + options_.config.deployment;
}

awaitable<Result<HotloadSeen>> FireworksHotload::status(TimePoint deadline) {
  Result<HttpRequest> ask = request("GET", kHotLoad, deadline);
  if (!ask.ok()) co_return ask.error();
  HttpRequest question = std::move(*ask);
  const Result<HttpResponse> answer = co_await http_.send(std::move(question));
  if (!answer.ok()) co_return answer.error();
  if (!is_2xx(*answer)) co_return fireworks::read_error(answer->status, answer->body);
  auto listed = fireworks::replicas_from(answer->body, options_.config.deployment, wanted_);
  if (!listed.ok()) co_return listed.error();
  HotloadSeen seen;
  for (fireworks::Replica& replica : *listed) seen.replicas.push_back(std::move(replica.report));
  std::sort(seen.replicas.begin(), seen.replicas.end(),
            [](const WeightsReport& a, const WeightsReport& b) { return a.replica < b.replica; });
  co_return seen;
}

awaitable<Result<HotloadSeen>> FireworksHotload::look(std::vector<EngineAddress>, TimePoint deadline) {
  Result<HotloadSeen> seen = co_await status(deadline);
  const bool serving = seen.ok() && !seen->replicas.empty();
  sick_ = !serving || std::any_of(seen->replicas.begin(), seen->replicas.end(), [](const WeightsReport& report) {
    return !report.ready || report.stage == LoadStage::error;
  });
  co_await update_condition(serving, deadline);
  if (!seen.ok()) co_return seen;
  seen->condition = condition_.text;
  if (serving) {
    last_ = seen->replicas;
  } else {
    seen->replicas = vanished();
  }
  co_return seen;
}

std::vector<WeightsReport> FireworksHotload::vanished() const {
  std::vector<WeightsReport> out;
  if (!condition_.broken || signalled_.empty()) return out;
  for (const WeightsReport& before : last_) {
    if (before.current == signalled_) continue;
    WeightsReport report = before;
    report.ready = false;
    report.stage = LoadStage::error;
    report.target = signalled_;
    report.error = "it vanished: " + condition_.text;
    out.push_back(std::move(report));
  }
  return out;
}

awaitable<void> FireworksHotload::update_condition(bool serving, TimePoint deadline) {
  const Duration interval = sick_ || !condition_.text.empty() ? options_.times.sick : options_.times.fine;
  if (asked_at_ != TimePoint{} && clock_.now() - asked_at_ < interval) co_return;
  asked_at_ = clock_.now();
  // It must not cost the page that matters more its answer.
  const TimePoint until = asked_at_ + (deadline - asked_at_) / 2;
  Result<HttpRequest> ask = request("GET", deployment_path(), until);
  if (!ask.ok()) co_return;
  HttpRequest question = std::move(*ask);
  const Result<HttpResponse> answer = co_await http_.send(std::move(question));
  // Whoever does not answer says nothing new.
  if (!answer.ok()) co_return;
  if (answer->status == 404) {
    condition_ = fireworks::Condition{"not found: " + answer::error_text(answer->body), false};
  } else if (is_2xx(*answer)) {
    condition_ = fireworks::condition_from(answer->body, serving, options_.transition);
  }
}

awaitable<Status> FireworksHotload::stage(LoadOrder, std::vector<EngineAddress>, TimePoint) { co_return Done(); }
awaitable<Status> FireworksHotload::pause(LoadOrder, std::vector<EngineAddress>, TimePoint) { co_return Done(); }
awaitable<Status> FireworksHotload::resume(std::vector<EngineAddress>, TimePoint) { co_return Done(); }

awaitable<Status> FireworksHotload::signal(LoadOrder order, std::vector<EngineAddress>, TimePoint deadline) {
  const Identity target = order.target();
  wanted_ = target;
  const TimePoint gate_until = std::min(deadline, clock_.now() + kGateMax);
  const Result<HotloadSeen> seen = co_await status(gate_until);
  if (!seen.ok()) co_return put_off(seen.error());
  if (seen->replicas.empty()) {
    co_return Error{ErrorCode::unreachable, "Fireworks: no replica's hot-load manager answers yet", true};
  }
  bool all = true;
  for (const WeightsReport& report : seen->replicas) {
    const bool loads = report.stage == LoadStage::loading && report.target == target;
    all = all && (has(report, target) || loads);
  }
  if (all) co_return Done();
  HttpResponse refused;
  Status done = co_await post(order, reset_unknown_, deadline, refused);
  if (done.ok() || reset_unknown_ || !fireworks::refuses_reset(refused.status, refused.body)) co_return done;
  if (order.reset_cache != ResetCache::all) {
    Error error = done.error();
    error.what = "this backend cannot be told reset_prompt_cache, so all is all it can do: " + error.what;
    co_return error;
  }
  reset_unknown_ = true;
  co_return co_await post(std::move(order), true, deadline, refused);
}

awaitable<Status> FireworksHotload::post(LoadOrder order, bool without_reset, TimePoint deadline,
                                         HttpResponse& refused) {
  fireworks::SignalStyle style;
  style.adapter = options_.adapter;
  style.reset = without_reset ? ResetEncoding::absent : options_.config.reset_encoding;
  Result<std::string> body = fireworks::signal_body(order, style);
  if (!body.ok()) co_return body.error();
  Result<HttpRequest> ask = request("POST", kHotLoad, deadline);
  if (!ask.ok()) co_return ask.error();
  HttpRequest question = std::move(*ask);
  question.headers["Content-Type"] = "application/json";
  question.body = std::move(*body);
  question.once = true;
  const Identity before = std::exchange(signalled_, order.target());
  Result<HttpResponse> answer = co_await http_.send(std::move(question));
  if (!answer.ok()) co_return answer.error();
  if (answer->status >= 300 && answer->status < 500) signalled_ = before;
  // What the body of a success says is not documented, and nobody reads it.
  if (is_2xx(*answer)) co_return Done();
  refused = std::move(*answer);
  co_return fireworks::signal_error(refused.status, refused.body);
}

awaitable<Status> FireworksHotload::reset(TimePoint deadline) {
  Result<HttpRequest> ask = request("DELETE", deployment_path() + "/ledger", deadline);
  if (!ask.ok()) co_return ask.error();
  HttpRequest question = std::move(*ask);
  const Result<HttpResponse> answer = co_await http_.send(std::move(question));
  if (!answer.ok()) co_return answer.error();
  wanted_ = signalled_ = Identity();
  if (is_2xx(*answer) || answer->status == 404) co_return Done();
  co_return fireworks::read_error(answer->status, answer->body);
}

}  // namespace ebb
