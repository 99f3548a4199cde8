// Routes that change something. Each is recorded in the ledger before it is answered.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "daemon/api/answers.hpp"
#include "daemon/api/bodies.hpp"
#include "daemon/api/fields.hpp"
#include "daemon/api/routes.hpp"
#include "daemon/model/json.hpp"

namespace ebb::handlers {
namespace {

/// A write that the ledger did not take did not happen.
Response not_written(const Error& error) {
  const bool ours = error.code == ErrorCode::internal || error.code == ErrorCode::exhausted;
  return ours ? problem(503, "nothing was changed, since it could not be recorded: " + error.what) : problem(error);
}

std::size_t in_force(const BoardView& view) {
  if (view.state == nullptr) return 0;
  const auto& all = view.state->overrides;
  const auto counts = [&](const auto& entry) { return entry.second.expires_at > view.now; };
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), counts));
}

}  // namespace

awaitable<Response> set_override(ApiParts parts, Call call) {
  if (auto refusal = refused(QueryFields(call.query).finish())) co_return *refusal;
  Result<Override> wanted = override_from_body(call.request.body, *call.view.config, parts.clock.now());
  if (!wanted.ok()) co_return problem(wanted.error());
  if (in_force(call.view) >= kOverridesMax) {
    co_return problem(409, "there are " + std::to_string(kOverridesMax) + " overrides in force; end one first");
  }
  Result<Override> set = co_await parts.control.set_override(std::move(*wanted));
  if (!set.ok()) co_return not_written(set.error());
  Response response = json_response(to_json(*set), 201);
  response.headers["Location"] = "/v1/overrides/" + set->id.value;
  co_return response;
}

awaitable<Response> clear_override(ApiParts parts, Call call) {
  QueryFields fields(call.query);
  const std::string named = fields.text("by").value_or("");
  if (named.size() > kOwnerMax) fields.fault("'by' is too long");
  if (!call.request.body.empty()) fields.fault("this request takes no body");
  if (auto refusal = refused(fields.finish())) co_return *refusal;
  OverrideId id(call.params.at("id"));
  // The token's name is proof, what the caller says is courtesy: both are worth keeping.
  std::string by = call.who.empty() ? named : named.empty() ? call.who : named + " (token " + call.who + ")";
  if (by.empty()) by = "somebody on this host";
  Status done = co_await parts.control.clear_override(std::move(id), std::move(by));
  if (!done.ok()) co_return not_written(done.error());
  Response response;
  response.status = 204;
  response.content_type.clear();
  co_return response;
}

awaitable<Response> set_demand(ApiParts parts, Call call) {
  if (auto refusal = refused(QueryFields(call.query).finish())) co_return *refusal;
  JobId job(call.params.at("job"));
  const auto& known = call.view.config->jobs;
  if (std::none_of(known.begin(), known.end(), [&](const JobConfig& j) { return j.name == job; })) {
    co_return problem(404, "there is no job '" + job.value.substr(0, 64) + "'; GET /v1/jobs lists them");
  }
  Result<Demand> demand = demand_from_body(call.request.body, parts.clock.now());
  if (!demand.ok()) co_return problem(demand.error());
  nlohmann::json out = to_json(*demand);
  out["job"] = job.value;
  Status done = co_await parts.control.set_demand(std::move(job), std::move(*demand));
  if (!done.ok()) co_return not_written(done.error());
  co_return json_response(out);
}

}  // namespace ebb::handlers
