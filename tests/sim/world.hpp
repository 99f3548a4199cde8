// The world that a simulated daemon runs in: one pool, production that Ebb scales, production that somebody else
// scales, RL, and everything that goes wrong with them. The world is the truth; the daemon sees what the faults let
// through.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "daemon/ports/clock.hpp"
#include "daemon/ports/fleet.hpp"
#include "daemon/ports/metric_source.hpp"
#include "tests/sim/judge.hpp"
#include "tests/sim/truth.hpp"

namespace ebb::sim {

using Random = std::mt19937_64;
inline bool chance(Random& random, double p) { return std::generate_canonical<double, 32>(random) < p; }
inline int between(Random& random, int low, int high) {
  return low + static_cast<int>(random() % static_cast<std::uint64_t>(high - low + 1));
}

/// Wall time that steps when the daemon starts anew, and never while it runs: that is the Clock port's promise.
class SteppedClock final : public Clock {
 public:
  explicit SteppedClock(Clock& steady) : steady_(steady) {}
  Duration offset{0};
  [[nodiscard]] TimePoint now() const override { return steady_.now() + offset; }
  awaitable<void> sleep_until(TimePoint at) override { return steady_.sleep_until(at - offset); }
  [[nodiscard]] TimePoint steady() const { return steady_.now(); }

 private:
  Clock& steady_;
};

class Engines;

class World {
 public:
  World(const Config& config, SteppedClock& clock, Random& random, Judge& judge);

  /// A minute passes: load moves, faults come and go, replicas die.
  void pass_minute();
  /// Nothing goes wrong any more, and what is stuck lets go.
  void heal();
  /// The physics: what is due becomes ready or gone, leases lapse, the other owner takes or lets go of GPUs.
  void advance();

  awaitable<Result<FleetSeen>> view();
  awaitable<Result<Fleet::Applied>> apply(Action action);
  Status renew(const std::vector<ReplicaId>& replicas);
  Status forget(const std::vector<ReplicaId>& replicas);
  /// Of `chat` (ours) or `ext` (another owner's).
  awaitable<WorkloadSeen> sample(bool external);
  /// Engines that live in the RL replicas, from now on.
  void hosts(Engines& engines) { engines_ = &engines; }
  /// The daemon is gone; calls that were under way died with it.
  void daemon_ended();

  [[nodiscard]] const Truth& truth() const { return truth_; }

 private:
  void enter(Body& body, ReplicaPhase phase);
  Fleet::Applied take(const Action& action);
  void start(const Action& action, const ReplicaId& id, Fleet::Applied& out);
  void end(const ReplicaId& id, bool evict);
  void draw(ReadFault& fault, ReadFault last);
  /// Somebody else starts a replica in our fleet, or drains one.
  void meddle();
  [[nodiscard]] int free() const;

  const Config& config_;
  SteppedClock& clock_;
  Random& random_;
  Judge& judge_;
  Truth truth_;
  Engines* engines_ = nullptr;
  bool faults_on_ = true;
  std::set<ReplicaId> ever_;  ///< names that were used
  int foreign_ = 0;           ///< replicas that somebody else has started
};

}  // namespace ebb::sim
