// A stand-in trainer: plans, writes, publishes and waits, step by step, and checks that rollouts come from what it
// wrote.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tests/emulators/common/tasks.hpp"
#include "tests/emulators/trainer/client.hpp"
#include "tests/emulators/trainer/writer.hpp"

namespace ebb::emulator {

struct TrainerConfig {
  std::string api;
  std::string job = "rl";
  std::string run = "run";
  std::string model = "stand-in";  ///< what rollouts ask for
  std::string store;               ///< a directory; empty: where the plan says
  std::string token;
  std::string report;  ///< a file; empty: none
  ModelShape shape;
  DeltaEncoding encoding = DeltaEncoding::exclusive_or;
  ChecksumFormat checksum = ChecksumFormat::xxh3_128;
  std::uint64_t seed = 1;
  int steps = 60;
  int fail_at = 0;          ///< from this step on, the first increment is damaged; 0: none
  double step_s = 0;        ///< from one publication to the next, at least
  double patience_s = 120;  ///< how long the daemon may be away
  bool tail = false;        ///< a line a step on standard output
  bool check = true;        ///< ask the replicas what they serve
};

/// One step of training and what became of its snapshot.
struct StepReport {
  std::int64_t step = 0;
  std::string kind;
  std::string identity;
  std::string previous_identity;
  std::string reason;   ///< the plan's
  std::string digest;   ///< of the weights that were written
  std::string phase;    ///< serving, failed, rejected, dropped; empty: it was not even published
  std::string problem;  ///< why not serving
  bool damaged = false;
  std::int64_t bytes = 0;
  double published_unix = 0;
  double write_s = 0;
  double serving_s = 0;  ///< from the publication to its end
  int checked = 0;       ///< replicas that were asked
  int away = 0;          ///< replicas that were leaving when they were asked
  std::vector<std::string> mismatches;

  /// What was whole serves, what was damaged does not, and every replica had the weights.
  [[nodiscard]] bool as_expected() const;
};

nlohmann::json to_json(const StepReport& step);

class Trainer {
 public:
  Trainer(asio::io_context& io, TrainerConfig config);
  /// Checks the configuration.
  Status prepare();
  /// Until the last step, `stop`, or a daemon that stays away.
  awaitable<void> run();
  void stop();

  [[nodiscard]] const std::vector<StepReport>& steps() const { return steps_; }
  /// The whole report, as it is written to the file after each step.
  [[nodiscard]] nlohmann::json report() const;
  /// Whether every step that was wanted was made, and went as expected.
  [[nodiscard]] bool ok() const;

 private:
  /// What was written under an identity.
  struct Written {
    std::int64_t step = 0;
    std::string digest;
    std::shared_ptr<const Weights> weights;  ///< of the newest ones only: an increment builds on them
  };

  awaitable<StepReport> one_step(std::int64_t step);
  Status write(const PlanAnswer& plan, StepReport& report);
  awaitable<void> check(StepReport& report);
  void judge(const ServingReplica& replica, const RolloutAnswer& answer, StepReport& report) const;
  void remember(const StepReport& report);
  void note(StepReport report);
  awaitable<void> until_next(double began);

  TrainerConfig config_;
  SnapshotWriter writer_;
  std::unique_ptr<EbbClient> ebb_;
  std::shared_ptr<const Weights> weights_;
  std::map<std::string, Written> written_;
  std::vector<StepReport> steps_;
  Signal stopping_;
  bool stopped_ = false;
  bool damage_due_ = false;
  double began_ = 0;
  std::string problem_;  ///< what ended it early
};

}  // namespace ebb::emulator
