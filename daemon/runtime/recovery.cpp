#include "daemon/runtime/recovery.hpp"

#include "daemon/core/reduce.hpp"
#include "daemon/runtime/control_loop.hpp"

namespace ebb {

awaitable<Result<Resumed>> resume(ResumeParts parts) {
  Result<Recovered> before = co_await parts.ledger.recover();
  if (!before.ok()) co_return before.error();
  Resumed out;
  out.state = rebased(std::move(before.value().state), parts.clock.now());
  Observation seen =
      co_await parts.observer.observe(parts.config, parts.wiring, parts.clock.now() + parts.config->observe_timeout);
  out.endings = closed(before.value().unfinished, seen, parts.clock.now());
  std::vector<Outcome> outcomes;
  for (const Finished& ending : out.endings) {
    out.state = reduce(std::move(out.state), ending.outcome, ending.action);
    outcomes.push_back(ending.outcome);
  }
  if (!outcomes.empty()) {
    std::vector<Outcome> told = outcomes;
    const Status written = co_await parts.ledger.record(std::move(told));
    if (!written.ok()) out.owed = std::move(outcomes);
  }
  out.state.started_at = parts.clock.now();
  Event started;
  started.at = out.state.started_at;
  started.kind = "started";
  started.detail = parts.build + " config " + parts.config->hash;
  (void)co_await parts.ledger.record(std::move(started));
  co_return out;
}

}  // namespace ebb
