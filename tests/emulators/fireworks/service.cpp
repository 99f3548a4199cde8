#include "tests/emulators/fireworks/service.hpp"

#include <spdlog/fmt/fmt.h>

#include <boost/asio.hpp>
#include <cstdlib>
#include <utility>

#include "tests/emulators/common/tasks.hpp"
#include "tests/emulators/common/tokens.hpp"

namespace ebb::emulator::fireworks {

using nlohmann::json;

namespace {

constexpr const char* kHotLoad = "/hot_load/v1/models/hot_load";
constexpr double kStep = 0.01;          // a request that waits for a swap looks so often, in real seconds
constexpr double kDrainTimeout = 90.0;  // of a request that does not say x-fireworks-hot-load-drain-timeout
constexpr int kPageMost = 200;
constexpr int kPageUsual = 50;

std::string header(const HttpRequestIn& request, const char* name) {
  const auto found = request.head.headers.find(name);
  return found == request.head.headers.end() ? "" : found->second;
}

/// "hot_load_bucket_url" is "hotLoadBucketUrl".
std::string camel(const std::string& snake) {
  std::string out;
  bool raise = false;
  for (const char c : snake) {
    if (c != '_') out += static_cast<char>(raise && c >= 'a' && c <= 'z' ? c - 32 : c);
    raise = c == '_';
  }
  return out;
}

std::optional<std::vector<std::string>> mask_of(const std::map<std::string, std::string>& query) {
  const auto found = query.find("updateMask");
  if (found == query.end() || found->second.empty()) return std::nullopt;
  std::vector<std::string> out;
  std::string name;
  for (const char c : found->second + ",") {
    if (c != ',') {
      name += c;
    } else if (!name.empty()) {
      out.push_back(camel(std::exchange(name, "")));
    }
  }
  return out;
}

std::string last_part(const std::string& name) { return name.substr(name.rfind('/') + 1); }

}  // namespace

Service::Service(asio::io_context& io, Config config, std::function<double()> now)
    : config_(std::move(config)),
      now_(std::move(now)),
      knobs_(default_knobs()),
      server_(io, [this](HttpRequestIn request, Reply reply) { return handle(std::move(request), std::move(reply)); }) {
}

Result<std::uint16_t> Service::start() {
  auto port = server_.listen(config_.host, config_.port);
  if (port) config_.port = *port;
  return port;
}

Site* Service::site(const std::string& id) {
  const auto found = sites_.find(id);
  return found == sites_.end() ? nullptr : &found->second;
}

bool Service::may(const HttpRequestIn& request) const {
  return config_.key.empty() || header(request, "authorization") == "Bearer " + config_.key ||
         header(request, "x-api-key") == config_.key;
}

const char* Service::faults_of(const HttpRequestIn& request) const {
  if (request.path == kHotLoad) return request.head.method == "POST" ? "signal_faults" : "status_faults";
  if (request.path.ends_with("/ledger")) return "ledger_faults";
  return request.path.starts_with("/v1/accounts/") ? "deployment_faults" : nullptr;
}

awaitable<void> Service::handle(HttpRequestIn request, Reply reply) {
  if (request.path.starts_with("/_")) {
    Said said = request.loopback ? control(request) : refusal(404, "no such path");
    co_await send_json(std::move(said), reply);
    co_return;
  }
  ++requests_;
  const double latency_s = knobs_.number("latency_s");
  if (latency_s > 0) co_await pause(latency_s);
  for (auto& [id, site] : sites_) site.advance(now_());
  if (!may(request)) {
    Said said = refusal(401, "Unauthorized: invalid API key");
    co_await send_json(std::move(said), reply);
    co_return;
  }
  const char* faults = faults_of(request);
  const std::optional<std::string> word = faults == nullptr ? std::nullopt : knobs_.take(faults);
  if (word) {
    std::function<Said()> act = [this, &request] { return answer(request); };
    std::function<Said(int)> refuse = [](int status) { return refusal(status, fmt::format("injected {}", status)); };
    std::string success = knobs_.text("success_body");
    co_await answer_with_fault(*word, std::move(act), std::move(refuse), std::move(success), reply);
    co_return;
  }
  if (request.path == "/inference/v1/completions") {
    co_await complete(std::move(request), reply);
    co_return;
  }
  Said said = answer(request);
  co_await send_json(std::move(said), reply);
}

Said Service::answer(const HttpRequestIn& request) {
  if (request.path == kHotLoad || request.path == std::string(kHotLoad) + "/hint") return hot_load(request);
  const Parts parts = parts_of(request.path);
  if (parts.size() == 2 && parts[0] == "v1" && parts[1] == "accounts") {
    json page;
    page["accounts"][0]["name"] = "accounts/" + config_.account;
    return {200, page};
  }
  const bool ours = parts.size() >= 4 && parts[0] == "v1" && parts[1] == "accounts" && parts[3] == "deployments";
  if (!ours) return refusal(404, "no such path");
  if (parts[2] != config_.account) return refusal(403, "no access to account " + parts[2]);
  return deployments(request, Parts(parts.begin() + 4, parts.end()));
}

Said Service::hot_load(const HttpRequestIn& request) {
  const std::string deployment = header(request, "fireworks-deployment");
  const std::string model = header(request, "fireworks-model");
  if (deployment.empty() || model.empty()) return refusal(400, "fireworks-model and fireworks-deployment are required");
  Site* found = site(last_part(deployment));
  const bool named = deployment == "accounts/" + config_.account + "/deployments/" + last_part(deployment);
  if (found == nullptr || !named || found->deleted()) return refusal(404, "deployment not found: " + deployment);
  if (found->fields().value("baseModel", "") != model) return refusal(404, "model not served there: " + model);
  if (!found->fields().value("enableHotLoad", false)) return refusal(400, "hot load is not enabled");
  if (request.path != kHotLoad) {
    const json body = json::parse(request.body, nullptr, false);
    if (request.head.method != "POST") return refusal(405, "method not allowed");
    return body.is_object() && body.contains("identity") ? Said(200, "{}") : refusal(400, "identity is required");
  }
  if (request.head.method == "GET") return {200, found->status_page(now_())};
  if (request.head.method != "POST") return refusal(405, "method not allowed");
  if (!header(request, "content-type").starts_with("application/json")) return refusal(415, "JSON is expected");
  return found->signal(request.body, now_());
}

// ---------------------------------------------------------------- deployments

Said Service::create(const std::string& id, json body) {
  if (id.empty() || !body.is_object()) return refusal(400, "deploymentId and a body are required");
  if (sites_.contains(id)) return refusal(409, "deployment already exists: " + id);
  if (!body.contains("baseModel") || !body["baseModel"].is_string()) return refusal(400, "base_model is required");
  const double now = now_();
  json fixed;
  fixed["baseModel"] = body["baseModel"];
  Site made(config_.account, id, fixed, knobs_, config_.bucket);
  Said said = made.patch(body, std::nullopt, now);
  if (said.status != 200) return said;
  made.scale(std::max(1, body.value("minReplicaCount", 0)), now);
  said = Said(200, made.resource(now));
  sites_.emplace(id, std::move(made));
  return said;
}

Said Service::deployments(const HttpRequestIn& request, const Parts& rest) {
  const std::string& method = request.head.method;
  if (rest.empty()) {
    if (method == "GET") return list(request);
    if (method != "POST") return refusal(405, "method not allowed");
    const auto query = query_of(request.query);
    const auto id = query.find("deploymentId");
    return create(id == query.end() ? "" : id->second, json::parse(request.body, nullptr, false));
  }
  if (rest.size() == 2 && rest[1] == "ledger") return ledger(request, rest[0]);
  if (rest.size() != 1) return refusal(404, "no such path");
  const std::size_t colon = rest[0].find(':');
  return one_deployment(request, rest[0].substr(0, colon), colon == std::string::npos ? "" : rest[0].substr(colon + 1));
}

Said Service::one_deployment(const HttpRequestIn& request, const std::string& id, const std::string& verb) {
  Site* found = site(id);
  if (found == nullptr || (found->deleted() && verb != "undelete" && request.head.method != "GET")) {
    return refusal(404, "deployment not found: " + id);
  }
  const double now = now_();
  const std::string& method = request.head.method;
  if (method == "GET" && verb.empty()) return {200, found->resource(now)};
  if (method == "DELETE" && verb.empty()) {
    if (query_of(request.query)["hard"] == "true") {
      sites_.erase(id);
    } else {
      found->set_deleted(true, now);
    }
    return {200, "{}"};
  }
  if (method == "POST" && verb == "undelete") {
    found->set_deleted(false, now);
    return {200, found->resource(now)};
  }
  if (method != "PATCH") return refusal(405, "method not allowed");
  const json body = json::parse(request.body, nullptr, false);
  if (verb == "scale") {
    const json count = body.is_object() ? body.value("replicaCount", json()) : json();
    if (!count.is_number_integer() || count < 0) return refusal(400, "replica_count must not be negative");
    found->scale(count.get<int>(), now);
    return {200, "{}"};
  }
  if (!verb.empty()) return refusal(404, "no such verb");
  return found->patch(body, mask_of(query_of(request.query)), now);
}

Said Service::ledger(const HttpRequestIn& request, const std::string& id) {
  Site* found = site(id);
  if (found == nullptr || found->deleted()) return refusal(404, "deployment not found: " + id);
  if (request.head.method == "GET") return {200, found->ledger_page()};
  if (request.head.method != "DELETE") return refusal(405, "method not allowed");
  found->reset_ledger();
  return {200, "{}"};
}

Said Service::list(const HttpRequestIn& request) {
  auto query = query_of(request.query);
  const int asked = query["pageSize"].empty() ? kPageUsual : std::atoi(query["pageSize"].c_str());
  if (asked < 0) return refusal(400, "page_size must not be negative");
  const int most = asked == 0 ? kPageUsual : std::min(asked, kPageMost);
  json page;
  page["deployments"] = json::array();
  page["nextPageToken"] = "";
  for (auto at = sites_.upper_bound(query["pageToken"]); at != sites_.end(); ++at) {
    if (at->second.deleted() && query["showDeleted"] != "true") continue;
    if (page["deployments"].size() == static_cast<std::size_t>(most)) {
      page["nextPageToken"] = last_part(page["deployments"].back()["name"]);
      break;
    }
    page["deployments"].push_back(at->second.resource(now_()));
  }
  return {200, page};
}

// ---------------------------------------------------------------- completions, knobs

awaitable<void> Service::complete(HttpRequestIn request, Reply reply) {
  const double began = now_();
  Said said;
  for (bool waits = true; waits;) {
    waits = false;
    for (auto& [id, one] : sites_) one.advance(now_());
    said = completion(request, now_() - began, waits);
    if (!waits) break;
    if (reply->client_gone()) co_return;
    co_await pause(kStep);
  }
  co_await send_json(std::move(said), reply);
}

Said Service::completion(const HttpRequestIn& request, double waited, bool& waits) {
  const json body = json::parse(request.body, nullptr, false);
  if (request.head.method != "POST" || !body.is_object()) return refusal(400, "a completion is a POST of JSON");
  const std::string model = body.value("model", "");
  Site* found = site(last_part(model.substr(model.find('#') + 1)));
  if (found == nullptr || found->deleted()) return refusal(404, "model not found: " + model);
  if (!found->has_replicas()) {
    found->scale(1, now_());  // unless its maximum is zero
    json busy;
    busy["error"]["message"] = "the deployment is scaling up from zero";
    busy["error"]["code"] = "DEPLOYMENT_SCALING_UP";
    busy["error"]["type"] = "error";
    return {503, busy};
  }
  const std::optional<std::string> weights = found->serving(now_());
  if (!weights) {
    if (found->sync() && knobs_.text("sync_new") == "425") return refusal(425, "hot load in progress");
    const std::string said = header(request, "x-fireworks-hot-load-drain-timeout");
    if (waited >= (said.empty() ? kDrainTimeout : std::atof(said.c_str()))) return refusal(425, "hot load in progress");
    waits = true;
    return {};
  }
  const std::string prompt = body.contains("prompt") && body["prompt"].is_string() ? body["prompt"] : json("");
  json out;
  out["object"] = "text_completion";
  out["model"] = found->fields().value("baseModel", "") + "@" + *weights;
  out["choices"][0]["index"] = 0;
  out["choices"][0]["finish_reason"] = "length";
  out["choices"][0]["text"] = TokenFunction(prompt, *weights).text(std::clamp(body.value("max_tokens", 4), 1, 64));
  return {200, out};
}

Said Service::control(const HttpRequestIn& request) {
  if (request.path == "/_knob") {
    if (request.head.method == "POST") {
      const Status done = knobs_.set(json::parse(request.body, nullptr, false));
      if (!done.ok()) return refusal(400, done.error().what);
    }
    return {200, knobs_.all()};
  }
  if (request.path != "/_state") return refusal(404, "no such path");
  json out;
  out["requests"] = requests_;
  for (auto& [id, one] : sites_) {
    one.advance(now_());
    json& about = out["deployments"][id];
    about["taken"] = one.taken();
    about["faults"] = one.faults();
    about["crashes"] = one.crashes();
  }
  return {200, out};
}

}  // namespace ebb::emulator::fireworks
