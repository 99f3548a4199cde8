// A trainer: plans, writes, publishes; mostly as it is told, and sometimes not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/ports/snapshots.hpp"
#include "tests/sim/engines.hpp"

namespace ebb::sim {

class Trainer {
 public:
  Trainer(SteppedClock& clock, Random& random, Engines& engines, WeightsJudge& judge);

  [[nodiscard]] bool busy() const { return busy_; }
  void daemon_ended() { busy_ = false; }
  /// One publication, or a blunder.
  awaitable<void> turn(Snapshots& daemon);
  /// One publication as planned; `last` says what became of it.
  awaitable<void> honest(Snapshots& daemon);
  void heal() { faults_on_ = false; }

  /// The newest publication that was answered with success; empty: none.
  [[nodiscard]] const Identity& newest() const { return newest_; }

 private:
  awaitable<void> blunder(Snapshots& daemon);
  /// Publishes and takes the answer in.
  awaitable<void> publish(Snapshots& daemon, Publication said);
  [[nodiscard]] Publication named(const std::string& name, const Identity& parent);

  SteppedClock& clock_;
  Random& random_;
  Engines& engines_;
  WeightsJudge& judge_;
  std::string run_ = "run-0";
  std::int64_t step_ = -1;  ///< of the newest publication
  int runs_ = 0, names_ = 0;
  std::optional<Publication> unsure_;  ///< it may have been taken
  std::vector<Publication> said_;      ///< the newest that were taken, oldest first
  Identity newest_;
  bool busy_ = false;
  bool faults_on_ = true;
};

}  // namespace ebb::sim
