#include "daemon/pull/service.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/api/answers.hpp"
#include "daemon/model/json_text.hpp"
#include "daemon/ports/spawn.hpp"
#include "daemon/pull/request.hpp"

namespace ebb::pull {
namespace {

namespace asio = boost::asio;
using nlohmann::json;

constexpr std::size_t kFailuresMax = 64;

json state_json(const Shelf& shelf, const std::string& identity, const char* state) {
  return json{{"identity", identity}, {"state", state},   {"directory", shelf.path(identity)},
              {"bytes_done", 0},      {"bytes_total", 0}, {"error", ""},
              {"retryable", false}};
}

Response not_allowed(const std::string& methods) {
  Response response = problem(405, "this path takes " + methods);
  response.headers["Allow"] = methods;
  return response;
}

}  // namespace

Service::Service(asio::any_io_executor executor, Shelf& shelf, Puller& puller, ApiConfig config, Duration timeout)
    : executor_(std::move(executor)), shelf_(shelf), puller_(puller), config_(std::move(config)), timeout_(timeout) {}

awaitable<Response> Service::handle(Request request) {
  const Result<RequestTarget> target = target_from(request.target);
  if (!target.ok()) co_return problem(target.error());
  const std::vector<std::string>& segments = target->segments;
  const bool health = segments.size() == 1 && segments[0] == "healthz";
  const bool reads = request.method == "GET" || request.method == "HEAD";
  std::string who;
  const Scope needed = health ? Scope::open : reads ? Scope::read : Scope::operate;
  if (auto refusal = guard_.refuse(request, needed, "", config_, who)) co_return *refusal;
  if (!target->query.empty()) co_return problem(400, "this request takes no parameters");
  if (health) co_return reads ? text_response("ok\n") : not_allowed("GET, HEAD");
  co_return answer(request, segments);
}

Response Service::answer(const Request& request, const std::vector<std::string>& segments) {
  const bool reads = request.method == "GET" || request.method == "HEAD";
  const bool ours = segments.size() >= 2 && segments[0] == "v1" && segments[1] == "snapshots";
  if (!ours || segments.size() > 3) return problem(404, "there is nothing here; see /v1/snapshots");
  if (segments.size() == 2) return reads ? list() : not_allowed("GET, HEAD");
  if (reads) return one(segments[2]);
  return request.method == "PUT" ? put(segments[2], request) : not_allowed("GET, HEAD, PUT");
}

Response Service::put(const std::string& identity, const Request& request) {
  Result<Path> path = path_from(request.body, identity);
  if (!path.ok()) return problem(path.error());
  if (stopping_) return problem(503, "ebb-pull is stopping");
  const std::optional<Complete> here = shelf_.find(identity);
  if (here && (here->kind != path->back().kind || here->parent != path->back().parent))
    return problem(409, "'" + identity + "' is here with another parent: an identity is new for each snapshot");
  bool known = current_ != nullptr && current_->identity() == identity;
  if (here && !known) known = shelf_.touch(identity).ok();
  if (!known) {
    if (queued_ != nullptr && queued_->identity() != identity)
      fail(queued_->identity(), Error{ErrorCode::cancelled, "superseded by '" + identity + "'", true});
    failed_.erase(identity);
    queued_ = std::make_shared<Job>();
    queued_->path = std::move(*path);
    if (!std::exchange(running_, true)) spawn(executor_, run());
  }
  Response response = one(identity);
  response.status = 202;
  return response;
}

std::optional<std::string> Service::state_text(const std::string& identity) const {
  if (const auto here = shelf_.find(identity)) {
    json state = state_json(shelf_, identity, "ready");
    state["bytes_done"] = here->bytes();
    state["bytes_total"] = here->bytes();
    return json_text(state);
  }
  for (const JobPtr& job : {current_, queued_}) {
    if (job == nullptr || job->identity() != identity) continue;
    json state = state_json(shelf_, identity, "pulling");
    state["bytes_done"] = job->progress.done.load();
    state["bytes_total"] = job->progress.total.load();
    return json_text(state);
  }
  const auto failed = failed_.find(identity);
  if (failed == failed_.end()) return std::nullopt;
  json state = state_json(shelf_, identity, "failed");
  state["error"] = failed->second.what;
  state["retryable"] = failed->second.retryable;
  return json_text(state);
}

Response Service::one(const std::string& identity) const {
  const std::optional<std::string> state = state_text(identity);
  if (!state) return problem(404, "'" + identity.substr(0, 200) + "' was not asked for and is not here");
  Response response;
  response.body = *state;
  return response;
}

Response Service::list() const {
  std::vector<std::string> names;
  for (const JobPtr& job : {queued_, current_}) {
    if (job != nullptr) names.push_back(job->identity());
  }
  for (const Complete& snapshot : shelf_.all()) names.push_back(snapshot.identity);
  for (const auto& [identity, error] : failed_) names.push_back(identity);
  json rows = json::array();
  std::set<std::string> shown;
  for (const std::string& name : names) {
    if (!shown.insert(name).second) continue;
    if (const auto state = state_text(name)) rows.push_back(json::parse(*state));
  }
  json body = json::object();
  body["snapshots"] = std::move(rows);
  return json_response(body);
}

void Service::fail(const std::string& identity, const Error& error) {
  spdlog::warn("snapshot={} pull=failed code={} retryable={} problem=\"{}\"", identity, to_string(error.code),
               error.retryable, error.what);
  if (failed_.insert_or_assign(identity, error).second) failures_.push_back(identity);
  while (failures_.size() > kFailuresMax) {
    failed_.erase(failures_.front());
    failures_.pop_front();
  }
}

awaitable<void> Service::limit(std::shared_ptr<asio::steady_timer> timer, JobPtr job) {
  constexpr auto kDone = asio::as_tuple(asio::use_awaitable);
  const auto [error] = co_await timer->async_wait(kDone);
  if (error) co_return;
  job->timed_out = true;
  job->stop.request();
}

awaitable<void> Service::run() {
  while (queued_ != nullptr && !stopping_) {
    current_ = std::exchange(queued_, nullptr);
    const JobPtr job = current_;
    auto timer = std::make_shared<asio::steady_timer>(executor_, timeout_);
    spawn(executor_, limit(timer, job));
    auto work = [&puller = puller_, job] { return puller.pull(job->path, job->progress, job->stop); };
    const Status done = co_await worker_.run(std::move(work));
    timer->cancel();
    current_ = nullptr;
    if (done.ok()) continue;
    Error error = done.error();
    if (job->timed_out) error = Error{ErrorCode::timeout, "not done within " + to_text(timeout_), true};
    fail(job->identity(), error);
  }
  running_ = false;
}

void Service::stop() {
  stopping_ = true;
  if (current_ != nullptr) current_->stop.request();
}

}  // namespace ebb::pull
