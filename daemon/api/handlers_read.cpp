// Routes that show what the board has.
#include <boost/asio/this_coro.hpp>
#include <nlohmann/json.hpp>

#include "config/describe.hpp"
#include "daemon/api/answers.hpp"
#include "daemon/api/fields.hpp"
#include "daemon/api/routes.hpp"
#include "daemon/api/views.hpp"
#include "daemon/core/hotload.hpp"

namespace ebb::handlers {
namespace {

constexpr std::uint64_t kPointsDefault = 900;
constexpr std::uint64_t kPointsMax = 3'600;

/// Most routes take no parameters; one that is misspelt should say so rather than be ignored.
std::optional<Response> no_parameters(const Call& call) { return refused(QueryFields(call.query).finish()); }

/// What each replica of a job with snapshots has, and whether it may serve with it.
JobsWeights weights_of(const ApiParts& parts, const Config& config) {
  JobsWeights out;
  for (const JobConfig& job : config.jobs) {
    if (!job.snapshots.enabled || parts.snapshots == nullptr) continue;
    auto& shown = out[job.name];
    const Result<WeightsView> known = parts.snapshots->weights(job.name);
    if (!known.ok()) continue;
    for (const auto& [deployment, weights] : known->weights->deployments) {
      const auto fleet = known->fleets.find(deployment);
      if (fleet == known->fleets.end()) continue;
      for (const auto& [name, replica] : weights.replicas) {
        const bool serves = may_serve(known->weights->chain, replica, job.snapshots, fleet->second);
        shown[name] = WeightsShown{replica.loaded.value, serves};
      }
    }
  }
  return out;
}

}  // namespace

Response status(const ApiParts&, const Call& call) {
  if (auto refusal = no_parameters(call)) return *refusal;
  return json_response(status_view(call.view));
}

Response pools(const ApiParts&, const Call& call) {
  if (auto refusal = no_parameters(call)) return *refusal;
  return json_response(pools_view(call.view));
}

Response services(const ApiParts&, const Call& call) {
  if (auto refusal = no_parameters(call)) return *refusal;
  return json_response(services_view(call.view));
}

Response jobs(const ApiParts&, const Call& call) {
  if (auto refusal = no_parameters(call)) return *refusal;
  return json_response(jobs_view(call.view));
}

Response replicas(const ApiParts& parts, const Call& call) {
  QueryFields fields(call.query);
  ReplicaFilter filter;
  filter.deployment = fields.text("deployment").value_or("");
  filter.phase = fields.text("phase").value_or("");
  if (auto refusal = refused(fields.finish())) return *refusal;
  return json_response(replicas_view(call.view, filter, weights_of(parts, *call.view.config)));
}

Response history(const ApiParts& parts, const Call& call) {
  QueryFields fields(call.query);
  const auto since = fields.time("since");
  const auto max = fields.count("max", 2, kPointsMax).value_or(kPointsDefault);
  if (auto refusal = refused(fields.finish())) return *refusal;
  return json_response(history_view(parts.control.history(), since, max));
}

Response config(const ApiParts&, const Call& call) {
  if (auto refusal = no_parameters(call)) return *refusal;
  nlohmann::json out = nlohmann::json::object();
  out["hash"] = call.view.config->hash;
  out["yaml"] = describe(*call.view.config);
  return json_response(out);
}

Response overrides(const ApiParts&, const Call& call) {
  if (auto refusal = no_parameters(call)) return *refusal;
  return json_response(overrides_view(call.view));
}

Response metrics(const ApiParts& parts, const Call&) {
  Response response = text_response(parts.control.metrics_text());
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return response;
}

Response healthz(const ApiParts&, const Call&) { return text_response("ok\n"); }

Response readyz(const ApiParts&, const Call& call) {
  if (call.view.ready) return text_response("ready\n");
  return text_response("not ready: " + call.view.not_ready_why + "\n", 503);
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
