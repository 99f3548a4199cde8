// The daemon's HTTP API: routes over values. The server hands requests in and carries answers out.
#pragma once

#include "daemon/api/guard.hpp"
#include "daemon/api/http.hpp"
#include "daemon/api/routes.hpp"

namespace ebb {

/// Control thread; calls may overlap. What it refers to must outlive the io_context.
class Api final : public RequestHandler {
 public:
  Api(Control& control, Ledger& ledger, const Clock& clock) : parts_(control, ledger, clock) {}
  /// With what trainers ask for.
  Api(Control& control, Ledger& ledger, const Clock& clock, Snapshots& snapshots, WeightsLedger& weights)
      : parts_(control, ledger, clock) {
    parts_.snapshots = &snapshots;
    parts_.weights = &weights;
  }

  /// The answer to one request; never throws. Tokens and modes come from the configuration in force at that moment.
  awaitable<Response> handle(Request request) override;

 private:
  awaitable<Response> dispatch(Request request);

  ApiParts parts_;
  Guard guard_;
};

}  // namespace ebb
