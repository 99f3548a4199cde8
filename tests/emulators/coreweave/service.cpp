#include "tests/emulators/coreweave/service.hpp"

#include <spdlog/fmt/fmt.h>

#include <boost/asio.hpp>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <utility>

#include "tests/emulators/common/tasks.hpp"

namespace ebb::emulator::coreweave {

using nlohmann::json;

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr std::size_t kChainMost = 128;  // incremental ones on top of a full one
constexpr int kPageUsual = 50;
constexpr int kPageMost = 1'000;

std::string text(const json& object, const char* name) {
  const json value = object.is_object() ? object.value(name, json()) : json();
  return value.is_string() ? value.get<std::string>() : "";
}

int code_number(const std::string& word) {
  static const std::map<std::string, int> kNumbers{
      {"UNKNOWN", 2},         {"INVALID_ARGUMENT", 3},  {"DEADLINE_EXCEEDED", 4},  {"NOT_FOUND", 5},
      {"ALREADY_EXISTS", 6},  {"PERMISSION_DENIED", 7}, {"RESOURCE_EXHAUSTED", 8}, {"FAILED_PRECONDITION", 9},
      {"ABORTED", 10},        {"UNIMPLEMENTED", 12},    {"INTERNAL", 13},          {"UNAVAILABLE", 14},
      {"UNAUTHENTICATED", 16}};
  const auto found = kNumbers.find(word);
  return found == kNumbers.end() ? 2 : found->second;
}

const char* code_of(int status) {
  switch (status) {
    case 400: return "INVALID_ARGUMENT";
    case 401: return "UNAUTHENTICATED";
    case 403: return "PERMISSION_DENIED";
    case 404: return "NOT_FOUND";
    case 409: return "ABORTED";
    case 429: return "RESOURCE_EXHAUSTED";
    case 503: return "UNAVAILABLE";
    case 504: return "DEADLINE_EXCEEDED";
    default: return "INTERNAL";
  }
}

/// A page of [0, size): from where, how many, and whether the query is sound. A token is bound to what it is for.
struct Cut {
  std::size_t begin = 0, end = 0;
  std::string next;
  bool sound = true;
};

Cut cut(std::map<std::string, std::string> query, const std::string& bound, std::size_t size) {
  Cut out;
  const int asked = std::atoi(query["maxPageSize"].c_str());
  const int most = asked == 0 ? kPageUsual : std::min(asked, kPageMost);
  const std::string token = query["pageToken"];
  const std::string head = bound + "=";
  out.sound = asked >= 0 && (token.empty() || token.starts_with(head));
  if (!out.sound) return out;
  if (!token.empty()) out.begin = std::min(size, static_cast<std::size_t>(std::atoi(token.c_str() + head.size())));
  out.end = std::min(size, out.begin + static_cast<std::size_t>(most));
  if (out.end < size) out.next = head + std::to_string(out.end);
  return out;
}

}  // namespace

json default_knobs() {
  return {
      {"load_s", 1.0},               // until the first replica has the snapshot
      {"step_s", 0.2},               // until each further one does
      {"start_s", 2.0},              // until an added replica is up
      {"catch_up_s", 1.0},           // and has the newest snapshot
      {"newcomers_catch_up", true},  // false: never
      {"update_s", 0.0},             // a deployment is locked for so long after a PATCH
      {"interlock_status", 400},     // 400 or 409
      {"error_shape", "connect"},    // connect: the code is a word; gateway: a number
      {"running_state", "HOT_LOAD_STATE_RUNNING"},
      {"ready_state", "READY"},
      {"loading_state", "LOADING"},
      {"chain_limit", "reject"},     // reject; fail: the hot-load fails
      {"unknown_parent", "reject"},  // reject; fail
      {"bad", json::array()},        // identities that fail to load
      {"fail_state", "HOT_LOAD_STATE_FAILED"},
      {"end_stuck", false},    // those that never end are ended after all: they fail
      {"never_ends", 0},       // so many hot-loads to come never end
      {"wrong_identity", ""},  // what replicas report afterwards; empty: what they were told
      {"empty_replicas", false},
      {"latency_s", 0.0},
      {"page_most", 1'000},  // of replicas, whatever was asked for
      // What becomes of the next requests, one word each: see common/vendor.hpp.
      {"create_faults", json::array()},
      {"read_faults", json::array()},
  };
}

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

void Service::create(const std::string& id, int replicas) {
  Deployment made;
  made.fields["name"] = "rollouts";
  made.fields["autoscaling"]["min"] = replicas;
  made.fields["autoscaling"]["max"] = replicas;
  resize(made, now_() - knobs_.number("start_s"));
  deployments_.insert_or_assign(id, std::move(made));
}

Said Service::refusal(int status, const char* code, const std::string& message) const {
  json body;
  body["message"] = message;
  if (knobs_.text("error_shape") == "gateway") {
    body["code"] = code_number(code);
    body["details"] = json::array();
  } else {
    std::string word(code);
    for (char& c : word) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    body["code"] = word;
  }
  return {status, body};
}

// ---------------------------------------------------------------- what happens by itself

void Service::resize(Deployment& deployment, double now) {
  const auto wanted = static_cast<std::size_t>(deployment.fields["autoscaling"].value("min", 1));
  if (deployment.replicas.size() > wanted) deployment.replicas.resize(wanted);
  while (deployment.replicas.size() < wanted) {
    Replica added;
    added.zone = "zone-a";
    added.name = fmt::format("replica-{:04}", deployment.made++);
    added.up_at = now + knobs_.number("start_s");
    if (!deployment.chain.empty()) added.catch_up_at = added.up_at + knobs_.number("catch_up_s");
    deployment.replicas.push_back(std::move(added));
  }
}

void Service::advance(double now) {
  for (HotLoad& load : loads_) {
    if (load.state == State::running) advance(load, now);
  }
  for (auto& [id, deployment] : deployments_) {
    for (Replica& replica : deployment.replicas) {
      const bool due = replica.catch_up_at >= 0 && now >= replica.catch_up_at && !deployment.chain.empty();
      if (!due || !knobs_.flag("newcomers_catch_up") || running(id) != nullptr) continue;
      replica.current = deployment.chain.back();
      replica.catch_up_at = -1;
    }
  }
}

void Service::advance(HotLoad& load, double now) {
  const auto at = deployments_.find(load.deployment);
  if (at == deployments_.end()) return;
  std::vector<Replica>& replicas = at->second.replicas;
  double done_at = load.first_at;
  double last_at = done_at;
  for (Replica& replica : replicas) {
    last_at = done_at;
    if (load.reason.empty() && now >= done_at && replica.up_at <= now) {
      replica.current = load.shows;
      replica.catch_up_at = -1;
    }
    done_at += load.step;
  }
  const bool ends = knobs_.flag("end_stuck") && last_at == kNever;
  if (ends) load.reason = load.message = "Aborted";
  if (replicas.empty() || (now < last_at && !ends)) return;
  load.finished = now;
  load.state = load.reason.empty() ? State::completed : State::failed;
  if (load.state == State::completed) at->second.chain = load.chain;
}

std::string Service::missing_in_bucket(const std::string& identity) const {
  namespace fs = std::filesystem;
  if (config_.bucket.empty()) return {};
  std::error_code ignored;
  for (const char* name : {"config.json", "model.safetensors.index.json"}) {
    if (!fs::is_regular_file(fs::path(config_.bucket) / identity / name, ignored)) {
      return fmt::format("{} is missing in {}", name, identity);
    }
  }
  return {};
}

// ---------------------------------------------------------------- hot-loads

const HotLoad* Service::running(const std::string& deployment) const {
  for (const HotLoad& load : loads_) {
    if (load.deployment == deployment && load.state == State::running) return &load;
  }
  return nullptr;
}

HotLoad* Service::find(const std::string& id) {
  for (HotLoad& load : loads_) {
    if (load.id == id) return &load;
  }
  return nullptr;
}

Said Service::locked(const std::string& what) {
  const int status = knobs_.count("interlock_status");
  return refusal(status, status == 409 ? "ABORTED" : "FAILED_PRECONDITION", what);
}

std::optional<Said> Service::problem_of_spec(const json& spec) const {
  if (!spec.is_object()) return refusal(400, "INVALID_ARGUMENT", "the body is no JSON object");
  for (const auto& [name, value] : spec.items()) {
    const bool known = name == "deploymentId" || name == "identity" || name == "type" || name == "hotLoadId" ||
                       name == "promptCachePolicy" || name == "incrementalSnapshotMetadata";
    if (!known) return refusal(400, "INVALID_ARGUMENT", "unknown field \"" + name + "\"");
  }
  const std::string identity = text(spec, "identity");
  if (identity.empty() || identity.find('/') != std::string::npos) {
    return refusal(400, "INVALID_ARGUMENT", "identity must be one path segment");
  }
  const std::string policy = text(spec, "promptCachePolicy");
  if (!policy.empty() && policy != "PROMPT_CACHE_POLICY_PRESERVE" && policy != "PROMPT_CACHE_POLICY_RESET_ALL") {
    return refusal(400, "INVALID_ARGUMENT", "unknown prompt_cache_policy");
  }
  const std::string type = text(spec, "type");
  const bool incremental = type == "SNAPSHOT_TYPE_INCREMENTAL";
  if (!incremental && type != "SNAPSHOT_TYPE_FULL") return refusal(400, "INVALID_ARGUMENT", "type must be specified");
  const bool has_parent = !text(spec.value("incrementalSnapshotMetadata", json()), "previousSnapshotIdentity").empty();
  if (incremental != has_parent || (!incremental && spec.contains("incrementalSnapshotMetadata"))) {
    return refusal(400, "INVALID_ARGUMENT", "incremental_snapshot_metadata belongs to INCREMENTAL, and only there");
  }
  return std::nullopt;
}

Said Service::create(const HttpRequestIn& request) {
  const json spec = json::parse(request.body, nullptr, false);
  if (const auto problem = problem_of_spec(spec)) return *problem;
  const auto at = deployments_.find(text(spec, "deploymentId"));
  if (at == deployments_.end()) return refusal(404, "NOT_FOUND", "no such deployment");
  HotLoad load;
  load.id = text(spec, "hotLoadId");
  if (load.id.empty()) load.id = fmt::format("00000000-0000-4000-8000-{:012}", ++made_);
  if (find(load.id) != nullptr) return refusal(409, "ALREADY_EXISTS", "hot-load " + load.id + " already exists");
  if (running(at->first) != nullptr || now_() < at->second.updated_until) {
    ++interlocked_;
    return locked("another operation of the deployment is in progress");
  }
  load.deployment = at->first;
  load.spec = spec;
  std::string problem;
  if (text(spec, "type") == "SNAPSHOT_TYPE_INCREMENTAL") {
    load.chain = at->second.chain;
    const std::string parent = text(spec["incrementalSnapshotMetadata"], "previousSnapshotIdentity");
    if (load.chain.empty() || load.chain.back() != parent) {
      if (knobs_.text("unknown_parent") == "reject") {
        return refusal(400, "INVALID_ARGUMENT", "previous_snapshot_identity is not what is loaded");
      }
      problem = "the previous snapshot is not loaded";
    }
    if (load.chain.size() > kChainMost) {
      if (knobs_.text("chain_limit") == "reject") {
        return refusal(400, "FAILED_PRECONDITION", "the chain has 128 incremental snapshots; a full one is required");
      }
      problem = "the chain is too long";
    }
  }
  load.chain.push_back(text(spec, "identity"));
  begin(std::move(load), at->second, problem);
  return {200, shown(loads_.back())};
}

void Service::begin(HotLoad load, Deployment& deployment, const std::string& problem) {
  const std::string identity = text(load.spec, "identity");
  load.began = now_();
  load.step = knobs_.number("step_s");
  load.first_at = knobs_.use_one("never_ends") ? kNever : load.began + knobs_.number("load_s");
  load.shows = knobs_.text("wrong_identity").empty() ? identity : knobs_.text("wrong_identity");
  load.message = problem.empty() ? missing_in_bucket(identity) : problem;
  if (knobs_.lists("bad", identity)) load.message = "checksum mismatch in shard 2";
  if (!load.message.empty()) load.reason = "SnapshotInvalid";
  for (Replica& replica : deployment.replicas) replica.catch_up_at = -1;
  loads_.push_back(std::move(load));
}

json Service::shown(const HotLoad& load) const {
  json out;
  out["id"] = load.id;
  out["organizationId"] = config_.organization;
  out["spec"] = load.spec;
  out["snapshotChain"] = load.chain;
  out["finishedAt"] = nullptr;
  out["createdAt"] = fmt::format("1970-01-01T00:00:{:06.3f}Z", std::min(load.began, 59.999));
  std::string state = knobs_.text("running_state");
  if (load.state == State::completed) state = "HOT_LOAD_STATE_COMPLETED";
  if (load.state == State::failed) state = knobs_.text("fail_state");
  out["status"]["state"] = state;
  json condition;
  condition["type"] = "Ready";
  condition["status"] = load.state == State::completed ? "True" : load.state == State::failed ? "False" : "Unknown";
  condition["reason"] = load.state == State::failed ? load.reason : "";
  condition["message"] = load.state == State::failed ? load.message : "";
  out["conditions"] = json::array();
  out["conditions"].push_back(std::move(condition));
  return out;
}

Said Service::list(const HttpRequestIn& request) {
  auto query = query_of(request.query);
  const std::string deployment = query["parentDeploymentId"];
  std::vector<const HotLoad*> fitting;
  for (auto load = loads_.rbegin(); load != loads_.rend(); ++load) {
    if (deployment.empty() || load->deployment == deployment) fitting.push_back(&*load);
  }
  const Cut page = cut(query, "loads/" + deployment, fitting.size());
  if (!page.sound) return refusal(400, "INVALID_ARGUMENT", "invalid page size or token");
  json out;
  out["hotLoads"] = json::array();
  for (std::size_t i = page.begin; i < page.end; ++i) out["hotLoads"].push_back(shown(*fitting[i]));
  out["nextPageToken"] = page.next;
  return {200, out};
}

Said Service::replicas(const HttpRequestIn& request, const HotLoad& load) {
  const auto at = deployments_.find(load.deployment);
  std::vector<Replica> up;
  if (at != deployments_.end() && !knobs_.flag("empty_replicas")) {
    for (const Replica& replica : at->second.replicas) {
      if (replica.up_at <= now_()) up.push_back(replica);
    }
  }
  auto query = query_of(request.query);
  if (std::atoi(query["maxPageSize"].c_str()) > knobs_.count("page_most")) {
    query["maxPageSize"] = std::to_string(knobs_.count("page_most"));
  }
  const Cut page = cut(query, "replicas/" + load.id, up.size());
  if (!page.sound) return refusal(400, "INVALID_ARGUMENT", "invalid page size or token");
  json out;
  out["replicas"] = json::array();
  for (std::size_t i = page.begin; i < page.end; ++i) {
    json one;
    one["zone"] = up[i].zone;
    one["name"] = up[i].name;
    const bool loads = load.state == State::running && up[i].current != load.shows;
    one["state"] = knobs_.text(loads ? "loading_state" : "ready_state");
    one["currentSnapshotIdentity"] = up[i].current;
    out["replicas"].push_back(std::move(one));
  }
  out["nextPageToken"] = page.next;
  return {200, out};
}

Said Service::hot_loads(const HttpRequestIn& request, const Parts& rest) {
  const std::string& method = request.head.method;
  if (rest.empty()) return method == "POST" ? create(request) : list(request);
  if (rest[0].ends_with(":cancel")) return refusal(501, "UNIMPLEMENTED", "cancel is not implemented");
  const HotLoad* load = find(rest[0]);
  if (load == nullptr) return refusal(404, "NOT_FOUND", "no such hot-load");
  if (rest.size() == 1 && method == "GET") return {200, shown(*load)};
  if (rest.size() == 2 && rest[1] == "replicas" && method == "GET") return replicas(request, *load);
  return refusal(404, "NOT_FOUND", "no such path");
}

// ---------------------------------------------------------------- deployments, routes

json Service::shown(const std::string& id, const Deployment& deployment) const {
  json out = deployment.fields;
  out["id"] = id;
  out["organizationId"] = config_.organization;
  out["status"] = now_() < deployment.updated_until ? "STATUS_UPDATING" : "STATUS_READY";
  out["conditions"] = json::array();
  return out;
}

Said Service::patch(const std::string& id, const json& body) {
  Deployment& deployment = deployments_.at(id);
  if (running(id) != nullptr) return locked("a hot-load of the deployment is in progress");
  if (!body.is_object()) return refusal(400, "INVALID_ARGUMENT", "the body is no JSON object");
  json fields = deployment.fields;
  fields.merge_patch(body);
  const json& scaling = fields["autoscaling"];
  const bool sound = scaling.is_object() && scaling.value("min", 0) >= 1 && scaling.value("max", 0) >= 1;
  if (!sound) return refusal(400, "INVALID_ARGUMENT", "autoscaling.min and max must be at least 1");
  deployment.fields = std::move(fields);
  deployment.updated_until = now_() + knobs_.number("update_s");
  resize(deployment, now_());
  return {200, shown(id, deployment)};
}

Said Service::deployments(const HttpRequestIn& request, const Parts& rest) {
  const std::string& method = request.head.method;
  const json body = json::parse(request.body, nullptr, false);
  if (rest.empty() && method == "POST") {
    const json scaling = body.is_object() ? body.value("autoscaling", json()) : json();
    if (!scaling.is_object() || !scaling.contains("min")) {
      return refusal(400, "INVALID_ARGUMENT", "autoscaling is required");
    }
    const std::string id = fmt::format("00000000-0000-4000-9000-{:012}", ++made_);
    create(id, scaling.value("min", 1));
    deployments_.at(id).fields.merge_patch(body);
    return {200, shown(id, deployments_.at(id))};
  }
  if (rest.empty()) {
    json out;
    out["deployments"] = json::array();
    for (const auto& [id, deployment] : deployments_) out["deployments"].push_back(shown(id, deployment));
    return {200, out};
  }
  const auto at = deployments_.find(rest[0]);
  if (at == deployments_.end() || rest.size() > 1) return refusal(404, "NOT_FOUND", "no such deployment");
  if (method == "GET") return {200, shown(at->first, at->second)};
  if (method == "PATCH") return patch(at->first, body);
  if (method != "DELETE") return refusal(405, "UNIMPLEMENTED", "method not allowed");
  if (running(at->first) != nullptr) return locked("a hot-load of the deployment is in progress");
  deployments_.erase(at);
  return {200, "{}"};
}

Said Service::answer(const HttpRequestIn& request) {
  const Parts parts = parts_of(request.path);
  const bool ours = parts.size() >= 3 && parts[0] == "v1alpha1" && parts[1] == "inference";
  const Parts rest(parts.begin() + (ours ? 3 : 0), parts.end());
  if (ours && parts[2] == "hotLoads") return hot_loads(request, rest);
  if (ours && parts[2] == "deployments") return deployments(request, rest);
  return refusal(404, "NOT_FOUND", "no such path");
}

awaitable<void> Service::handle(HttpRequestIn request, Reply reply) {
  if (request.path.starts_with("/_")) {
    Said said = request.loopback ? control(request) : refusal(404, "NOT_FOUND", "no such path");
    co_await send_json(std::move(said), reply);
    co_return;
  }
  const double latency_s = knobs_.number("latency_s");
  if (latency_s > 0) co_await pause(latency_s);
  advance(now_());
  const auto key = request.head.headers.find("authorization");
  const bool may = config_.key.empty() || (key != request.head.headers.end() && key->second == "Bearer " + config_.key);
  if (!may) {
    Said said = refusal(401, "UNAUTHENTICATED", "invalid token");
    co_await send_json(std::move(said), reply);
    co_return;
  }
  const bool creates = request.head.method == "POST" && request.path.ends_with("/hotLoads");
  const std::optional<std::string> word = knobs_.take(creates ? "create_faults" : "read_faults");
  if (word) {
    std::function<Said()> act = [this, &request] { return answer(request); };
    std::function<Said(int)> refuse = [this](int status) { return refusal(status, code_of(status), "injected"); };
    co_await answer_with_fault(*word, std::move(act), std::move(refuse), "{}", reply);
    co_return;
  }
  Said said = answer(request);
  co_await send_json(std::move(said), reply);
}

Said Service::control(const HttpRequestIn& request) {
  if (request.path == "/_knob") {
    if (request.head.method == "POST") {
      const Status done = knobs_.set(json::parse(request.body, nullptr, false));
      if (!done.ok()) return refusal(400, "INVALID_ARGUMENT", done.error().what);
    }
    return {200, knobs_.all()};
  }
  if (request.path != "/_state") return refusal(404, "NOT_FOUND", "no such path");
  advance(now_());
  json out;
  out["interlocked"] = interlocked_;
  out["hot_loads"] = json::array();
  for (const HotLoad& load : loads_) out["hot_loads"].push_back(shown(load));
  return {200, out};
}

}  // namespace ebb::emulator::coreweave
