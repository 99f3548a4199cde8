// Carries plans out. Actions run side by side and report when they have ended; the loop never waits for them, so that a
// slow start cannot delay the next reclaim.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "daemon/model/plan.hpp"
#include "daemon/model/record.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/runtime/wiring.hpp"

namespace ebb {

/// An action with how it ended.
struct Finished {
  Action action;
  Outcome outcome;
};

class Actuator {
 public:
  Actuator(boost::asio::any_io_executor executor, Clock& clock) : executor_(std::move(executor)), clock_(clock) {}

  /// Takes a recorded plan on. With `advise` every action ends at once as `advised`. A drain or eviction supersedes
  /// starts of its deployment that are still being tried. Starts in the deployments `held` end at once as `dropped`.
  void submit(const Plan& plan, std::shared_ptr<const Wiring> wiring, bool advise,
              const std::set<DeploymentId>& held = {});

  /// What ended since the last call.
  std::vector<Finished> take_finished() { return std::exchange(finished_, {}); }

  /// Deployments with a start that has not been answered yet (I4: one action in flight).
  [[nodiscard]] std::set<DeploymentId> busy() const;

 private:
  awaitable<void> run(Action action, std::shared_ptr<const Wiring> wiring, std::uint64_t generation);
  awaitable<Outcome> attempt(const Action& action, Fleet& fleet, std::uint64_t generation);
  awaitable<Result<Action>> revalidated(Action action, Fleet& fleet);
  [[nodiscard]] bool superseded(const Action& action, std::uint64_t generation) const;
  void finish(Action action, Outcome outcome);

  boost::asio::any_io_executor executor_;
  Clock& clock_;
  std::map<DeploymentId, int> in_flight_;             ///< starts only
  std::map<DeploymentId, std::uint64_t> generation_;  ///< moved on by every ending
  std::vector<Finished> finished_;
};

}  // namespace ebb
