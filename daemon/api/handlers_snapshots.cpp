// What trainers ask, natively. Each change is recorded before it is answered.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "daemon/api/answers.hpp"
#include "daemon/api/bodies.hpp"
#include "daemon/api/fields.hpp"
#include "daemon/api/routes.hpp"
#include "daemon/api/weights_view.hpp"
#include "daemon/core/hotload.hpp"
#include "daemon/model/json_weights.hpp"

namespace ebb::handlers {
namespace {

using nlohmann::json;

// Proxies and clients give up on a minute's silence; who wants to wait longer asks again.
constexpr Duration kWaitMax{50'000};
constexpr std::uint64_t kRowsMax = 1'000;

/// Nothing, or why there is nothing to ask.
std::optional<Response> absent(const ApiParts& parts) {
  if (parts.snapshots != nullptr) return std::nullopt;
  return problem(404, "this daemon coordinates no snapshots");
}

Response refused_by(const Error& error) {
  // What could not be recorded may be asked again.
  return error.code == ErrorCode::internal ? problem(503, error.what) : problem(error);
}

const SnapshotsConfig& config_of(const Call& call, const JobId& job) {
  static const SnapshotsConfig kNone;
  for (const JobConfig& one : call.view.config->jobs) {
    if (one.name == job) return one.snapshots;
  }
  return kNone;
}

WeightsPage page_of(const Call& call, QueryFields& fields) {
  WeightsPage page(JobId(call.params.at("job")));
  page.limit = static_cast<int>(fields.count("limit", 1, kRowsMax).value_or(50));
  if (const auto before = fields.count("before", 1, INT64_MAX)) page.before = static_cast<std::int64_t>(*before);
  if (const auto identity = fields.text("identity")) page.identity = Identity(*identity);
  return page;
}

/// The body every page of rows has: ask again with before=next_before for older ones.
template <class Row, class View>
json rows_json(const char* name, const std::vector<Row>& rows, int limit, View view) {
  json list = json::array();
  for (const Row& row : rows) list.push_back(view(row));
  json out = json::object();
  out[name] = std::move(list);
  out["next_before"] = rows.size() < static_cast<std::size_t>(limit) ? json() : json(rows.back().seq);
  return out;
}

std::string upload_url(const std::string& store, const Identity& identity) {
  if (store.empty()) return "";
  return (store.front() == '/' ? "file://" : "") + store + "/" + identity.value;
}

}  // namespace

awaitable<Response> plan_snapshot(ApiParts parts, Call call) {
  if (auto refusal = refused(QueryFields(call.query).finish())) co_return *refusal;
  if (auto refusal = absent(parts)) co_return *refusal;
  Result<PlanWanted> wanted = plan_from_body(call.request.body);
  if (!wanted.ok()) co_return problem(wanted.error());
  const JobId job(call.params.at("job"));
  Result<SnapshotPlan> plan = co_await parts.snapshots->plan(job, std::move(wanted->run), wanted->step);
  if (!plan.ok()) co_return refused_by(plan.error());
  json out = to_json(*plan);
  out["previous_identity"] = plan->parent.empty() ? json() : json(plan->parent.value);
  const std::string url = upload_url(config_of(call, job).store, plan->identity);
  out["upload_url"] = url.empty() ? json() : json(url);
  co_return json_response(out);
}

awaitable<Response> publish(ApiParts parts, Call call) {
  if (auto refusal = refused(QueryFields(call.query).finish())) co_return *refusal;
  if (auto refusal = absent(parts)) co_return *refusal;
  Result<Publication> said = publication_from_body(call.request.body);
  if (!said.ok()) co_return problem(said.error());
  const JobId job(call.params.at("job"));
  const Result<Snapshots::Published> taken = co_await parts.snapshots->publish(job, std::move(*said));
  if (!taken.ok()) co_return refused_by(taken.error());
  Response response = json_response(snapshot_view(job, taken->snapshot), taken->repeated ? 200 : 201);
  response.headers["Location"] = "/v1/jobs/" + job.value + "/snapshots/" + taken->snapshot.identity().value;
  co_return response;
}

awaitable<Response> snapshot(ApiParts parts, Call call) {
  QueryFields fields(call.query);
  const auto wait = fields.text("wait");
  const auto timeout = fields.text("timeout");
  if (wait && *wait != "serving") fields.fault("'wait' must be serving");
  if (timeout && !wait) fields.fault("'timeout' goes with wait=serving only");
  const auto span = timeout ? duration_from(*timeout) : kWaitMax;
  if (!span || *span < Duration{0}) fields.fault("'timeout' must be a duration like 30s");
  if (auto refusal = refused(fields.finish())) co_return *refusal;
  if (auto refusal = absent(parts)) co_return *refusal;
  const JobId job(call.params.at("job"));
  Identity identity(call.params.at("identity"));
  const TimePoint until = wait ? parts.clock.now() + std::min(*span, kWaitMax) : TimePoint{};
  const Result<Snapshot> found = co_await parts.snapshots->ended(job, std::move(identity), until);
  if (!found.ok()) co_return refused_by(found.error());
  const Result<WeightsView> weights = parts.snapshots->weights(job);
  if (!weights.ok()) co_return problem(weights.error());
  co_return json_response(progress_view(job, *found, *weights, config_of(call, job)));
}

awaitable<Response> snapshots(ApiParts parts, Call call) {
  QueryFields fields(call.query);
  WeightsPage page = page_of(call, fields);
  if (page.identity) fields.fault("'identity' goes with the ledger only");
  if (auto refusal = refused(fields.finish())) co_return *refusal;
  if (auto refusal = absent(parts)) co_return *refusal;
  const JobId job = page.job;
  const int limit = page.limit;
  const auto rows = co_await parts.weights->snapshots(std::move(page));
  if (!rows.ok()) co_return problem(rows.error());
  // Looked at after the rows: what was published since then is not among them.
  const Result<WeightsView> now = parts.snapshots->weights(job);
  if (!now.ok()) co_return problem(now.error());
  const std::set<Identity> kept = needed(*now->weights);
  co_return json_response(rows_json("snapshots", *rows, limit, [&](const SnapshotRow& row) {
    json out = snapshot_view(job, row.snapshot);
    out["prunable"] = !kept.contains(row.snapshot.identity());
    return out;
  }));
}

awaitable<Response> weights_ledger(ApiParts parts, Call call) {
  QueryFields fields(call.query);
  WeightsPage page = page_of(call, fields);
  if (auto refusal = refused(fields.finish())) co_return *refusal;
  if (auto refusal = absent(parts)) co_return *refusal;
  const int limit = page.limit;
  if (const auto known = parts.snapshots->weights(page.job); !known.ok()) co_return problem(known.error());
  const auto rows = co_await parts.weights->loads(std::move(page));
  if (!rows.ok()) co_return problem(rows.error());
  co_return json_response(rows_json("loads", *rows, limit, load_view));
}

awaitable<Response> reset_ledger(ApiParts parts, Call call) {
  if (auto refusal = refused(QueryFields(call.query).finish())) co_return *refusal;
  if (auto refusal = absent(parts)) co_return *refusal;
  JobId job(call.params.at("job"));
  std::string by = call.who.empty() ? "somebody on this host" : call.who;
  const Status done = co_await parts.snapshots->reset(std::move(job), std::move(by));
  if (!done.ok()) co_return refused_by(done.error());
  Response response;
  response.status = 204;
  response.content_type.clear();
  co_return response;
}

}  // namespace ebb::handlers
