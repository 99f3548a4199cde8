#include "daemon/api/api.hpp"

#include <spdlog/spdlog.h>

#include <exception>
#include <set>
#include <utility>

#include "daemon/api/answers.hpp"
#include "daemon/api/assets.hpp"
#include "daemon/api/wire_face.hpp"

namespace ebb {
namespace {

const Asset* asset_at(const std::vector<std::string>& segments) {
  std::string path = "/";
  for (const std::string& segment : segments) path += (path.size() > 1 ? "/" : "") + segment;
  for (const Asset& asset : assets()) {
    if (asset.path == path) return &asset;
  }
  return nullptr;
}

Response asset_response(const Asset& asset, const Request& request) {
  Response response;
  response.headers["ETag"] = asset.etag;
  // Kept, but asked about each time: after an upgrade of the daemon the page must not be a mixture.
  response.headers["Cache-Control"] = "no-cache";
  if (request.header("if-none-match").find(asset.etag) != std::string::npos) {
    response.status = 304;
    response.content_type.clear();
    return response;
  }
  response.content_type = asset.content_type;
  response.body = asset.body;
  return response;
}

std::string joined(const std::set<std::string>& methods) {
  std::string out;
  for (const std::string& method : methods) out += (out.empty() ? "" : ", ") + method;
  return out;
}

Response allowed(const std::set<std::string>& methods) {
  Response response;
  response.status = 204;
  response.content_type.clear();
  response.headers["Allow"] = joined(methods);
  return response;
}

std::set<std::string> every_method() { return {"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"}; }

Response not_allowed(const std::set<std::string>& methods) {
  Response response = problem(405, "this path takes " + joined(methods));
  response.headers["Allow"] = joined(methods);
  return response;
}

std::string as_read(const std::string& method) { return method == "HEAD" ? "GET" : method; }

/// What the path can do, and the route that does what is asked.
struct Found {
  const Route* route = nullptr;
  const Asset* asset = nullptr;
  std::map<std::string, std::string> params;
  std::set<std::string> methods;
};

Found find(const std::string& method, const std::vector<std::string>& segments) {
  Found found;
  for (const Route& route : routes()) {
    auto params = matched(route.pattern, segments);
    if (!params) continue;
    found.methods.insert(route.method);
    if (route.method != as_read(method)) continue;
    found.route = &route;
    found.params = std::move(*params);
  }
  if (found.methods.empty()) found.asset = asset_at(segments);
  if (found.asset != nullptr) found.methods.insert("GET");
  if (found.methods.contains("GET")) found.methods.insert("HEAD");
  if (!found.methods.empty()) found.methods.insert("OPTIONS");
  return found;
}

void add_common(Response& response) {
  response.headers.try_emplace("Cache-Control", "no-store");
  response.headers["X-Content-Type-Options"] = "nosniff";
  response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'";
  response.headers["Referrer-Policy"] = "no-referrer";
}

}  // namespace

awaitable<Response> Api::handle(Request request) {
  Response response;
  const std::string line = request.method + " " + request.target.substr(0, request.target.find('?'));
  const bool head = request.method == "HEAD";
  try {
    response = co_await dispatch(std::move(request));
  } catch (const std::exception& failure) {
    spdlog::error("api=\"{}\" failed=\"{}\"", line, failure.what());
    response = problem(500, "the daemon could not answer; its log says why");
  }
  if (is_wire_path(line.substr(line.find(' ') + 1))) response = as_wire(std::move(response));
  if (head) response.stream.reset();
  add_common(response);
  co_return response;
}

awaitable<Response> Api::dispatch(Request request) {
  if (request.method == "OPTIONS" && request.target == "*") co_return allowed(every_method());
  Result<RequestTarget> target = target_from(request.target);
  if (!target.ok()) co_return problem(target.error());
  Found found = find(request.method, target->segments);
  if (found.methods.empty())
    co_return problem(404, "there is nothing at this path; docs/openapi.yaml lists what there is");
  Call call;
  call.view = parts_.control.view();
  if (call.view.config == nullptr) co_return problem(503, "the daemon is starting");
  const ApiConfig& limits = call.view.config->api;
  const Scope scope = found.route == nullptr ? Scope::open : found.route->scope;
  const std::string job = job_asked(found.params, request);
  if (auto refusal = guard_.refuse(request, scope, job, limits, call.who)) co_return *refusal;
  if (request.method == "OPTIONS") co_return allowed(found.methods);
  const bool reads = as_read(request.method) == "GET";
  if (found.asset != nullptr && reads) co_return asset_response(*found.asset, request);
  if (found.route == nullptr) co_return not_allowed(found.methods);
  call.params = std::move(found.params);
  call.query = std::move(target->query);
  call.request = std::move(request);
  if (found.route->handler != nullptr) co_return found.route->handler(parts_, call);
  co_return co_await found.route->slow(parts_, std::move(call));
}

}  // namespace ebb
