#include "adapters/coreweave/coreweave_hotload.hpp"

#include <algorithm>
#include <utility>

#include "adapters/http/auth.hpp"
#include "config/hotload_rules.hpp"

namespace ebb {

namespace {

constexpr const char* kVendor = "https://api.coreweave.com";
constexpr const char* kHotLoads = "/v1alpha1/inference/hotLoads";
constexpr const char* kDeployments = "/v1alpha1/inference/deployments/";
constexpr std::size_t kBodyMax = 4u << 20;
// At a thousand replicas a page; a list that goes on for longer does not end.
constexpr int kPagesMax = 20;

bool is_2xx(const HttpResponse& response) { return response.status >= 200 && response.status < 300; }

/// Page tokens are opaque.
std::string query_value(const std::string& text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace

CoreweaveHotload::CoreweaveHotload(Options options, HttpClient& http, Clock& clock)
    : options_(std::move(options)), http_(http), clock_(clock) {
  if (options_.config.endpoint.url.empty()) options_.config.endpoint.url = kVendor;
}

HotloadCapabilities CoreweaveHotload::capabilities() const { return capabilities_of(options_.config); }

awaitable<Result<std::string>> CoreweaveHotload::get(std::string path, TimePoint deadline) {
  Result<HttpRequest> ask = request_for(options_.config.endpoint, path);
  if (!ask.ok()) co_return ask.error();
  HttpRequest question = std::move(*ask);
  question.headers["Accept"] = "application/json";
  question.timeout = deadline - clock_.now();
  question.body_max = kBodyMax;
  if (question.timeout <= Duration{0}) co_return Error{ErrorCode::unreachable, "no time left to ask", true};
  Result<HttpResponse> answer = co_await http_.send(std::move(question));
  if (!answer.ok()) co_return answer.error();
  if (!is_2xx(*answer)) co_return coreweave::failure_from(answer->status, answer->body).error;
  co_return std::move(answer->body);
}

awaitable<Result<std::vector<coreweave::HotLoadSeen>>> CoreweaveHotload::newest(TimePoint deadline) {
  // Two: while the newest has no replicas yet, those of the one before it are the ones there are.
  std::string path =
      std::string(kHotLoads) + "?parentDeploymentId=" + query_value(options_.config.deployment) + "&maxPageSize=2";
  const Result<std::string> body = co_await get(std::move(path), deadline);
  if (!body.ok()) co_return body.error();
  auto page = coreweave::hot_loads_from(*body);
  if (!page.ok()) co_return page.error();
  co_return std::move(page->items);
}

awaitable<Result<std::vector<coreweave::Replica>>> CoreweaveHotload::replicas_of(std::string hot_load,
                                                                                 TimePoint deadline) {
  std::vector<coreweave::Replica> out;
  std::string token;
  for (int pages = 0; pages < kPagesMax; ++pages) {
    std::string path = std::string(kHotLoads) + "/" + query_value(hot_load) + "/replicas?maxPageSize=1000";
    if (!token.empty()) path += "&pageToken=" + query_value(token);
    const Result<std::string> body = co_await get(std::move(path), deadline);
    if (!body.ok()) co_return body.error();
    auto page = coreweave::replicas_from(*body);
    if (!page.ok()) co_return page.error();
    std::move(page->items.begin(), page->items.end(), std::back_inserter(out));
    token = page->next;
    if (token.empty()) co_return out;
  }
  co_return Error{ErrorCode::malformed, "CoreWeave: the list of replicas does not end", true};
}

awaitable<Result<coreweave::DeploymentSeen>> CoreweaveHotload::deployment(TimePoint deadline) {
  std::string path = kDeployments + query_value(options_.config.deployment);
  const Result<std::string> body = co_await get(std::move(path), deadline);
  if (!body.ok()) co_return body.error();
  co_return coreweave::deployment_from(*body);
}

bool CoreweaveHotload::is_overdue(const coreweave::HotLoadSeen& load) {
  if (load.progress != coreweave::Progress::completed) return false;
  if (completed_ != load.id) {
    completed_ = load.id;
    completed_at_ = clock_.now();
  }
  return clock_.now() - completed_at_ >= options_.times.settled;
}

awaitable<Result<HotloadSeen>> CoreweaveHotload::look(std::vector<EngineAddress>, TimePoint deadline) {
  const auto loads = co_await newest(deadline);
  if (!loads.ok()) co_return loads.error();
  if (loads->empty()) co_return co_await before_the_first(deadline);
  std::vector<coreweave::Replica> replicas;
  for (const coreweave::HotLoadSeen& load : *loads) {
    auto listed = co_await replicas_of(load.id, deadline);
    if (!listed.ok()) co_return listed.error();
    replicas = std::move(*listed);
    if (!replicas.empty()) break;
  }
  HotloadSeen seen;
  const coreweave::HotLoadSeen& now = loads->front();
  seen.replicas = coreweave::reports_of(replicas, now, options_.config.deployment, is_overdue(now));
  sick_ = seen.replicas.empty() || std::any_of(seen.replicas.begin(), seen.replicas.end(), [](const WeightsReport& r) {
            return !r.ready || r.stage == LoadStage::error;
          });
  co_await update_condition(deadline);
  seen.condition = condition_;
  co_return seen;
}

awaitable<Result<HotloadSeen>> CoreweaveHotload::before_the_first(TimePoint deadline) {
  const auto site = co_await deployment(deadline);
  if (!site.ok()) co_return site.error();
  HotloadSeen seen;
  seen.condition = condition_ = site->condition;
  if (site->ready || site->updating) {
    WeightsReport all;
    all.replica = ReplicaId(options_.config.deployment + "/all");
    all.ready = site->ready;
    seen.replicas.push_back(std::move(all));
  }
  co_return seen;
}

awaitable<void> CoreweaveHotload::update_condition(TimePoint deadline) {
  const bool often = sick_ || !condition_.empty();
  const Duration interval = often ? options_.times.condition_sick : options_.times.condition_fine;
  if (asked_at_ != TimePoint{} && clock_.now() - asked_at_ < interval) co_return;
  asked_at_ = clock_.now();
  // It must not cost the pages that matter more their answer.
  const TimePoint until = asked_at_ + (deadline - asked_at_) / 2;
  const auto site = co_await deployment(until);
  if (site.ok()) condition_ = site->condition;
  if (!site.ok() && site.error().code == ErrorCode::not_found) condition_ = "not found";
}

awaitable<Status> CoreweaveHotload::stage(LoadOrder, std::vector<EngineAddress>, TimePoint) { co_return Done(); }
awaitable<Status> CoreweaveHotload::pause(LoadOrder, std::vector<EngineAddress>, TimePoint) { co_return Done(); }
awaitable<Status> CoreweaveHotload::resume(std::vector<EngineAddress>, TimePoint) { co_return Done(); }
// The service keeps no chain that could be forgotten: a full hot-load begins a new one.
awaitable<Status> CoreweaveHotload::reset(TimePoint) { co_return Done(); }

awaitable<Status> CoreweaveHotload::create(std::string body, TimePoint deadline, coreweave::Failure& failure) {
  Result<HttpRequest> ask = request_for(options_.config.endpoint, kHotLoads);
  if (!ask.ok()) co_return ask.error();
  HttpRequest question = std::move(*ask);
  question.method = "POST";
  question.headers["Content-Type"] = "application/json";
  question.body = std::move(body);
  question.body_max = kBodyMax;
  question.once = true;
  question.timeout = deadline - clock_.now();
  if (question.timeout <= Duration{0}) co_return Error{ErrorCode::unreachable, "no time left to ask", true};
  const Result<HttpResponse> answer = co_await http_.send(std::move(question));
  if (!answer.ok()) co_return answer.error();
  if (is_2xx(*answer)) co_return Done();
  failure = coreweave::failure_from(answer->status, answer->body);
  co_return failure.error;
}

awaitable<Status> CoreweaveHotload::signal(LoadOrder order, std::vector<EngineAddress>, TimePoint deadline) {
  const Result<std::string> body = coreweave::create_body(order, options_.config.deployment);
  if (!body.ok()) co_return body.error();
  // A lock that is let go between the refusal and the look at it would pass for a refusal of the chain, so what nobody
  // seems to lock is tried once more.
  Status done = Done();
  for (int tries = 0; tries < 2; ++tries) {
    coreweave::Failure failure;
    done = co_await create(*body, deadline, failure);
    if (failure.refusal == coreweave::Refusal::exists) co_return co_await compare(std::move(order), deadline);
    if (failure.refusal != coreweave::Refusal::locked) co_return done;
    const Result<bool> locked = co_await is_locked(deadline);
    if (!locked.ok() || *locked) co_return done;
  }
  Error refused = done.error();
  refused.code = ErrorCode::invalid;
  refused.retryable = false;
  co_return refused;
}

awaitable<Result<bool>> CoreweaveHotload::is_locked(TimePoint deadline) {
  const auto loads = co_await newest(deadline);
  if (!loads.ok()) co_return loads.error();
  const bool running = std::any_of(loads->begin(), loads->end(), [](const coreweave::HotLoadSeen& load) {
    return load.progress == coreweave::Progress::running;
  });
  if (running) co_return true;
  const auto site = co_await deployment(deadline);
  if (!site.ok()) co_return site.error();
  co_return !site->ready;
}

awaitable<Status> CoreweaveHotload::compare(LoadOrder order, TimePoint deadline) {
  std::string path = std::string(kHotLoads) + "/" + coreweave::hot_load_id(order);
  const Result<std::string> body = co_await get(std::move(path), deadline);
  // It is there, and nobody says whose: it may have been taken.
  const Error unclear{ErrorCode::internal, "CoreWeave: a hot-load of this id exists, and cannot be read", true};
  if (!body.ok()) co_return unclear;
  const auto load = coreweave::hot_load_from(*body);
  if (!load.ok()) co_return unclear;
  const bool same = load->identity == order.target() && load->deployment == options_.config.deployment &&
                    load->full == order.path.front().full();
  if (same) co_return Done();
  co_return Error{ErrorCode::conflict, "CoreWeave: a hot-load of this id exists and is another one", false};
}

}  // namespace ebb
