// The table of routes: what the API has, in one place. docs/openapi.yaml is checked against it.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "daemon/api/events.hpp"
#include "daemon/api/guard.hpp"
#include "daemon/api/http.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/control.hpp"
#include "daemon/ports/ledger.hpp"
#include "daemon/ports/snapshots.hpp"
#include "daemon/ports/weights_ledger.hpp"

namespace ebb {

/// What handlers work with; outlives the io_context.
struct ApiParts {
  ApiParts(Control& control_, Ledger& ledger_, const Clock& clock_)
      : control(control_), ledger(ledger_), clock(clock_) {}
  Control& control;
  Ledger& ledger;
  const Clock& clock;
  Snapshots* snapshots = nullptr;    ///< null: there is no coordinator here
  WeightsLedger* weights = nullptr;  ///< null together with it
};

/// A request that has passed the guard.
struct Call {
  Call() {}  // NOLINT(modernize-use-equals-default)
  Request request;
  std::map<std::string, std::string> params;  ///< of the path's {names}
  std::map<std::string, std::string> query;
  std::string who;  ///< the token's name; empty without tokens
  BoardView view;   ///< with a config
};

using Handler = Response (*)(const ApiParts& parts, const Call& call);
using SlowHandler = awaitable<Response> (*)(ApiParts parts, Call call);

struct Route {
  const char* method;
  const char* pattern;  ///< "/v1/decisions/{tick}"
  Scope scope;
  Handler handler;             ///< answers at once, or
  SlowHandler slow = nullptr;  ///< waits for the ledger or the loop
};

/// All but the status page's files.
std::span<const Route> routes();

/// The parameters when the path's segments fit the pattern.
std::optional<std::map<std::string, std::string>> matched(std::string_view pattern,
                                                          const std::vector<std::string>& segments);

/// The answer to a body or query that is not as it should be, or nothing.
std::optional<Response> refused(const Status& status);

namespace handlers {
Response status(const ApiParts& parts, const Call& call);
Response pools(const ApiParts& parts, const Call& call);
Response services(const ApiParts& parts, const Call& call);
Response jobs(const ApiParts& parts, const Call& call);
Response replicas(const ApiParts& parts, const Call& call);
Response history(const ApiParts& parts, const Call& call);
Response config(const ApiParts& parts, const Call& call);
Response metrics(const ApiParts& parts, const Call& call);
Response healthz(const ApiParts& parts, const Call& call);
Response readyz(const ApiParts& parts, const Call& call);
awaitable<Response> events(ApiParts parts, Call call);
awaitable<Response> decisions(ApiParts parts, Call call);
awaitable<Response> decision(ApiParts parts, Call call);
awaitable<Response> explain(ApiParts parts, Call call);
Response overrides(const ApiParts& parts, const Call& call);
awaitable<Response> set_override(ApiParts parts, Call call);
awaitable<Response> clear_override(ApiParts parts, Call call);
awaitable<Response> set_demand(ApiParts parts, Call call);
// What trainers ask: natively, and in the words of Fireworks' API.
awaitable<Response> snapshots(ApiParts parts, Call call);
awaitable<Response> publish(ApiParts parts, Call call);
awaitable<Response> plan_snapshot(ApiParts parts, Call call);
awaitable<Response> snapshot(ApiParts parts, Call call);
awaitable<Response> weights_ledger(ApiParts parts, Call call);
awaitable<Response> reset_ledger(ApiParts parts, Call call);
awaitable<Response> wire_publish(ApiParts parts, Call call);
awaitable<Response> wire_status(ApiParts parts, Call call);
awaitable<Response> wire_ledger(ApiParts parts, Call call);
awaitable<Response> wire_reset(ApiParts parts, Call call);
}  // namespace handlers

}  // namespace ebb
