#include "tests/emulators/trainer/client.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <utility>

#include "tests/emulators/common/clock.hpp"
#include "tests/emulators/common/tasks.hpp"

namespace ebb::emulator {

namespace {

using nlohmann::json;

constexpr double kRequest = 10;
constexpr int kLongPoll = 20;
constexpr double kPauseMax = 2;
constexpr double kBetweenPolls = 0.02;
constexpr std::size_t kBodyMax = 4u << 20;

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool flag_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

int number_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int>() : 0;
}

/// A daemon that is starting, busy or unable to write asks to be asked again.
bool is_transient(int status) { return status == 429 || status >= 500; }

Error refusal_of(int status, const std::string& body) {
  const json told = json::parse(body, nullptr, false);
  const std::string detail = told.is_object() ? text_of(told, "detail") : body.substr(0, 200);
  const ErrorCode code = status == 409                    ? ErrorCode::conflict
                         : status == 404                  ? ErrorCode::not_found
                         : status == 401 || status == 403 ? ErrorCode::denied
                                                          : ErrorCode::invalid;
  return Error{code, fmt::format("{}: {}", status, detail), false};
}

SnapshotAnswer snapshot_of(const json& body) {
  SnapshotAnswer answer;
  answer.phase = text_of(body, "phase");
  answer.reason = text_of(body, "reason");
  answer.ended = flag_of(body, "ended");
  answer.counted = number_of(body, "counted");
  return answer;
}

}  // namespace

EbbClient::EbbClient(HostPort api, std::string job, std::string token, double patience_s)
    : api_(std::move(api)), job_(std::move(job)), token_(std::move(token)), patience_s_(patience_s) {}

awaitable<Result<Answer>> EbbClient::once(std::string method, std::string target, std::string body, double seconds) {
  HttpCall call(co_await asio::this_coro::executor);
  call.limit(seconds);
  const Status connected = co_await call.connect(api_);
  if (!connected) co_return connected.error();
  Headers headers;
  headers["connection"] = "close";
  if (!body.empty()) headers["content-type"] = "application/json";
  if (!token_.empty()) headers["authorization"] = "Bearer " + token_;
  const auto head = co_await call.ask(std::move(method), std::move(target), std::move(headers), std::move(body));
  if (!head) co_return head.error();
  auto text = co_await call.read_all(kBodyMax);
  if (!text) co_return text.error();
  Answer answer;
  answer.status = head->status;
  answer.body = std::move(*text);
  co_return answer;
}

awaitable<Result<json>> EbbClient::ask(std::string method, std::string target, std::string body, double seconds) {
  const double give_up = monotonic_seconds() + patience_s_ + seconds;
  double wait = 0.1;
  std::string last;
  while (monotonic_seconds() < give_up) {
    const auto answer = co_await once(method, target, body, seconds);
    if (answer && !is_transient(answer->status)) {
      if (answer->status >= 300) co_return refusal_of(answer->status, answer->body);
      json parsed = json::parse(answer->body, nullptr, false);
      if (parsed.is_object()) co_return parsed;
      co_return Error{ErrorCode::malformed, "no JSON object: " + answer->body.substr(0, 200), false};
    }
    last = answer ? refusal_of(answer->status, answer->body).what : answer.error().what;
    ++retries_;
    co_await pause(wait);
    wait = std::min(wait * 2, kPauseMax);
  }
  co_return Error{ErrorCode::timeout, fmt::format("no answer for {} s: {}", patience_s_, last), true};
}

awaitable<Result<PlanAnswer>> EbbClient::plan(std::string run, std::int64_t step) {
  std::string body = json{{"run", run}, {"step", step}}.dump();
  const auto answer = co_await ask("POST", "/v1/jobs/" + job_ + "/snapshots:plan", std::move(body), kRequest);
  if (!answer) co_return answer.error();
  PlanAnswer plan;
  plan.full = text_of(*answer, "kind") != "incremental";
  plan.identity = text_of(*answer, "identity");
  plan.previous_identity = text_of(*answer, "previous_identity");
  plan.upload_url = text_of(*answer, "upload_url");
  plan.reason = text_of(*answer, "reason");
  co_return plan;
}

awaitable<Result<SnapshotAnswer>> EbbClient::publish(json body) {
  std::string text = body.dump();
  const auto answer = co_await ask("POST", "/v1/jobs/" + job_ + "/snapshots", std::move(text), kRequest);
  if (!answer) co_return answer.error();
  co_return snapshot_of(*answer);
}

awaitable<Result<SnapshotAnswer>> EbbClient::ended(std::string identity) {
  const std::string target =
      fmt::format("/v1/jobs/{}/snapshots/{}?wait=serving&timeout={}s", job_, identity, kLongPoll);
  while (true) {
    const auto answer = co_await ask("GET", target, "", kLongPoll + kRequest);
    if (!answer) co_return answer.error();
    SnapshotAnswer snapshot = snapshot_of(*answer);
    if (snapshot.ended) co_return snapshot;
    co_await pause(kBetweenPolls);  // a daemon that is stopping answers at once
  }
}

awaitable<Result<std::vector<ServingReplica>>> EbbClient::serving() {
  const auto answer = co_await ask("GET", "/v1/replicas", "", kRequest);
  if (!answer) co_return answer.error();
  std::vector<ServingReplica> found;
  const auto list = answer->find("replicas");
  if (list == answer->end() || !list->is_array()) co_return found;
  for (const json& item : *list) {
    if (!item.is_object() || text_of(item, "owner") != job_ || !flag_of(item, "serves")) continue;
    const auto at = host_port_from(text_of(item, "address"));
    if (!at) continue;
    ServingReplica replica;
    replica.id = text_of(item, "id");
    replica.at = *at;
    found.push_back(std::move(replica));
  }
  co_return found;
}

awaitable<Result<RolloutAnswer>> roll_out(HostPort at, std::string model, std::string prompt, double seconds) {
  std::string body = json{{"model", model}, {"prompt", prompt}, {"max_tokens", 2}}.dump();
  const auto answer = co_await fetch(std::move(at), "POST", "/v1/completions", std::move(body), seconds);
  if (!answer) co_return answer.error();
  if (answer->status == 503) co_return Error{ErrorCode::unreachable, "the engine is leaving", true};
  if (answer->status != 200) co_return refusal_of(answer->status, answer->body);
  const json parsed = json::parse(answer->body, nullptr, false);
  if (!parsed.is_object()) co_return Error{ErrorCode::malformed, "no JSON object", false};
  RolloutAnswer out;
  out.identity = text_of(parsed, "system_fingerprint");
  out.digest = text_of(parsed, "weights_digest");
  co_return out;
}

}  // namespace ebb::emulator
