// Routes that read the ledger.
#include <charconv>
#include <nlohmann/json.hpp>

#include "daemon/api/answers.hpp"
#include "daemon/api/fields.hpp"
#include "daemon/api/routes.hpp"
#include "daemon/api/views.hpp"
#include "daemon/model/json.hpp"

namespace ebb::handlers {
namespace {

constexpr std::uint64_t kPageDefault = 50;
constexpr std::uint64_t kPageMax = 1'000;
constexpr auto kTickMax = static_cast<std::uint64_t>(INT64_MAX);  // what SQLite counts with

Response not_read(const Error& error) {
  if (error.code == ErrorCode::not_found) return problem(404, error.what);
  return problem(503, "the ledger cannot be read: " + error.what);
}

/// The newest decision is on the board even when the ledger could not take it.
std::optional<nlohmann::json> on_board(const BoardView& view, std::optional<std::uint64_t> tick) {
  if (view.decision == nullptr || (tick && view.decision->tick != *tick)) return std::nullopt;
  return to_json(*view.decision);
}

awaitable<Result<nlohmann::json>> find_decision(ApiParts parts, BoardView view, std::optional<std::uint64_t> tick,
                                                std::optional<TimePoint> at) {
  if (!at) {
    if (auto newest = on_board(view, tick)) co_return *newest;
  }
  if (tick) co_return co_await parts.ledger.decision(*tick);
  co_return co_await parts.ledger.decision_at(at.value_or(view.now));
}

}  // namespace

awaitable<Response> decisions(ApiParts parts, Call call) {
  QueryFields fields(call.query);
  Ledger::Page page;
  page.limit = static_cast<int>(fields.count("limit", 1, kPageMax).value_or(kPageDefault));
  page.before = fields.count("before", 0, kTickMax);
  page.since = fields.time("since");
  page.changed_only = fields.flag("changed");
  if (auto refusal = refused(fields.finish())) co_return *refusal;
  const auto limit = static_cast<std::size_t>(page.limit);
  Result<std::vector<nlohmann::json>> rows = co_await parts.ledger.decisions(page);
  if (!rows.ok()) co_return not_read(rows.error());
  nlohmann::json out = nlohmann::json::object();
  // Ask again with before=next_before for older ones; null: there are none.
  out["next_before"] = nullptr;
  if (rows->size() == limit) out["next_before"] = rows->back().value("tick", std::uint64_t{0});
  out["decisions"] = std::move(*rows);
  co_return json_response(out);
}

awaitable<Response> decision(ApiParts parts, Call call) {
  std::map<std::string, std::string> query = call.query;
  query["tick"] = call.params.at("tick");
  QueryFields fields(std::move(query));
  const auto tick = fields.count("tick", 0, kTickMax);
  if (auto refusal = refused(fields.finish())) co_return *refusal;
  Result<nlohmann::json> found = co_await find_decision(parts, std::move(call.view), tick, std::nullopt);
  if (!found.ok()) co_return not_read(found.error());
  co_return json_response(*found);
}

awaitable<Response> explain(ApiParts parts, Call call) {
  QueryFields fields(call.query);
  const auto tick = fields.count("tick", 0, kTickMax);
  const auto at = fields.time("at");
  if (tick && at) fields.fault("give either 'tick' or 'at'");
  if (auto refusal = refused(fields.finish())) co_return *refusal;
  Result<nlohmann::json> found = co_await find_decision(parts, std::move(call.view), tick, at);
  if (!found.ok()) co_return not_read(found.error());
  co_return json_response(explained(*found));
}

}  // namespace ebb::handlers
