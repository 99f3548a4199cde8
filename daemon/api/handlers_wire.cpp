// The same in the words of Fireworks' API.
#include <nlohmann/json.hpp>

#include "daemon/api/answers.hpp"
#include "daemon/api/fields.hpp"
#include "daemon/api/routes.hpp"
#include "daemon/api/weights_view.hpp"
#include "daemon/api/wire_face.hpp"

namespace ebb::handlers {
namespace {

using nlohmann::json;

constexpr int kLedgerRows = 100;
constexpr int kLoadRows = 1'000;

/// Nothing, or what is wrong with the request as a whole.
std::optional<Response> unfit(const ApiParts& parts, const Call& call) {
  if (parts.snapshots == nullptr) return problem(404, "this daemon coordinates no snapshots");
  if (auto refusal = refused(QueryFields(call.query).finish())) return refusal;
  if (call.params.contains("job")) return std::nullopt;
  for (const char* name : {"fireworks-model", "fireworks-deployment"}) {
    if (call.request.header(name).empty()) return problem(400, std::string("the header ") + name + " is missing");
  }
  return std::nullopt;
}

Response told(const Error& error) {
  return error.code == ErrorCode::internal ? problem(503, error.what) : problem(error);
}

}  // namespace

awaitable<Response> wire_publish(ApiParts parts, Call call) {
  if (auto refusal = unfit(parts, call)) co_return *refusal;
  Result<Publication> said = publication_from_wire(call.request.body);
  if (!said.ok()) co_return problem(said.error());
  JobId job(job_asked(call.params, call.request));
  const Result<Snapshots::Published> taken = co_await parts.snapshots->publish(std::move(job), std::move(*said));
  if (!taken.ok()) co_return told(taken.error());
  co_return json_response(json::object());
}

awaitable<Response> wire_status(ApiParts parts, Call call) {
  if (auto refusal = unfit(parts, call)) co_return *refusal;
  const JobId job(job_asked(call.params, call.request));
  if (const Result<WeightsView> known = parts.snapshots->weights(job); !known.ok()) co_return told(known.error());
  WeightsPage page(job);
  page.limit = 1;
  const auto rows = co_await parts.weights->snapshots(std::move(page));
  if (!rows.ok()) co_return told(rows.error());
  // Read after the ledger, so that a snapshot which has just failed is not shown as still under way.
  const Result<WeightsView> weights = parts.snapshots->weights(job);
  if (!weights.ok()) co_return told(weights.error());
  const auto& waiting = weights->weights->chain.waiting;
  const Snapshot* newest = rows->empty() ? nullptr : &rows->front().snapshot;
  if (!waiting.empty()) newest = &waiting.back();
  co_return json_response(wire_status_view(*weights, newest));
}

awaitable<Response> wire_ledger(ApiParts parts, Call call) {
  if (auto refusal = unfit(parts, call)) co_return *refusal;
  const JobId job(call.params.at("job"));
  if (const Result<WeightsView> known = parts.snapshots->weights(job); !known.ok()) co_return told(known.error());
  WeightsPage newest(job);
  newest.limit = kLedgerRows;
  const auto snapshots = co_await parts.weights->snapshots(std::move(newest));
  if (!snapshots.ok()) co_return told(snapshots.error());
  WeightsPage moves(job);
  moves.limit = kLoadRows;
  const auto loads = co_await parts.weights->loads(std::move(moves));
  if (!loads.ok()) co_return told(loads.error());
  co_return json_response(wire_ledger_view(*snapshots, *loads));
}

awaitable<Response> wire_reset(ApiParts parts, Call call) {
  if (auto refusal = unfit(parts, call)) co_return *refusal;
  JobId job(call.params.at("job"));
  std::string by = call.who.empty() ? "somebody on this host" : call.who;
  const Status done = co_await parts.snapshots->reset(std::move(job), std::move(by));
  if (!done.ok()) co_return told(done.error());
  co_return json_response(json::object());
}

}  // namespace ebb::handlers
