// Routes that show what the board has.
#include <boost/asio/this_coro.hpp>
#include <nlohmann/json.hpp>

#include "config/describe.hpp"
#include "daemon/api/answers.hpp"
#include "daemon/api/fields.hpp"
#include "daemon/api/routes.hpp"
#include "daemon/api/views.hpp"

namespace ebb::handlers {
namespace {

constexpr std::uint64_t kPointsDefault = 900;
constexpr std::uint64_t kPointsMax = 3'600;

/// Most routes take no parameters; one that is misspelt should say so rather than be ignored.
std::optional<Response> no_parameters(const Call& call) { return refused(QueryFields(call.query).finish()); }

}  // namespace

awaitable<Response> status(ApiParts, Call call) {
  if (auto refusal = no_parameters(call)) co_return *refusal;
  co_return json_response(status_view(call.view));
}

awaitable<Response> pools(ApiParts, Call call) {
  if (auto refusal = no_parameters(call)) co_return *refusal;
  co_return json_response(pools_view(call.view));
}

awaitable<Response> services(ApiParts, Call call) {
  if (auto refusal = no_parameters(call)) co_return *refusal;
  co_return json_response(services_view(call.view));
}

awaitable<Response> jobs(ApiParts, Call call) {
  if (auto refusal = no_parameters(call)) co_return *refusal;
  co_return json_response(jobs_view(call.view));
}

awaitable<Response> replicas(ApiParts, Call call) {
  QueryFields fields(call.query);
  ReplicaFilter filter;
  filter.deployment = fields.text("deployment").value_or("");
  filter.phase = fields.text("phase").value_or("");
  if (auto refusal = refused(fields.finish())) co_return *refusal;
  co_return json_response(replicas_view(call.view, filter));
}

awaitable<Response> history(ApiParts parts, Call call) {
  QueryFields fields(call.query);
  const auto since = fields.time("since");
  const auto max = fields.count("max", 2, kPointsMax).value_or(kPointsDefault);
  if (auto refusal = refused(fields.finish())) co_return *refusal;
  co_return json_response(history_view(parts.control.history(), since, max));
}

awaitable<Response> config(ApiParts, Call call) {
  if (auto refusal = no_parameters(call)) co_return *refusal;
  nlohmann::json out = nlohmann::json::object();
  out["hash"] = call.view.config->hash;
  out["yaml"] = describe(*call.view.config);
  co_return json_response(out);
}

awaitable<Response> overrides(ApiParts, Call call) {
  if (auto refusal = no_parameters(call)) co_return *refusal;
  co_return json_response(overrides_view(call.view));
}

awaitable<Response> metrics(ApiParts parts, Call) {
  Response response = text_response(parts.control.metrics_text());
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  co_return response;
}

awaitable<Response> healthz(ApiParts, Call) { co_return text_response("ok\n"); }

awaitable<Response> readyz(ApiParts, Call call) {
  if (call.view.ready) co_return text_response("ready\n");
  co_return text_response("not ready: " + call.view.not_ready_why + "\n", 503);
}

awaitable<Response> events(ApiParts parts, Call call) {
  if (auto refusal = no_parameters(call)) co_return *refusal;
  Response response;
  response.content_type = "text/event-stream";
  // HEAD wants the head only; a subscription that nobody reads would fill its buffer.
  if (call.request.method != "HEAD") {
    const auto executor = co_await boost::asio::this_coro::executor;
    const auto stream = std::make_shared<EventStream>(executor, EventLimits());
    stream->start(parts.control);
    response.stream = stream;
  }
  co_return response;
}

}  // namespace ebb::handlers
