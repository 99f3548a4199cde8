// An RL job's rollouts: as many in flight as its replicas are worth, and none of them may be lost.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <string>

#include "tests/emulators/load/production.hpp"

namespace ebb::emulator {

struct RolloutConfig {
  DiscoveryConfig discovery;
  OutputConfig output;
  std::string
      rollouts;  ///< JSON lines, one for each attempt: which replica, which weights made its tokens; empty: none
  std::string model = "stand-in";
  int per_replica = 8;  ///< rollouts in flight per serving replica
  int total = 0;        ///< instead of per_replica: so many whatever the replicas
  double prompt_tokens = 64;
  double output_tokens = 200;
  double sigma = 0.6;
  int tokens_max = 2048;
  double timeout_s = 300;  ///< of one attempt
  double duration_s = 0;   ///< 0: until stopped
  std::uint64_t seed = 1;
};

/// Closed loop: the next rollout begins when one ends. A rollout whose replica leaves starts over on another one;
/// the tokens it had are counted as lost.
class RolloutLoad {
 public:
  RolloutLoad(asio::io_context& io, RolloutConfig config);
  Status prepare();
  /// Until `stop` or the duration is over; what is under way then is given up and counted as unfinished.
  awaitable<void> run();
  void stop();
  [[nodiscard]] const LoadReport& report() const { return report_; }
  [[nodiscard]] std::uint64_t restarts() const { return restarts_; }
  [[nodiscard]] std::uint64_t lost_tokens() const { return lost_tokens_; }

 private:
  awaitable<void> rollout(CallSpec spec);
  awaitable<void> write_reports();
  CallSpec next_rollout();
  [[nodiscard]] int wanted() const;
  /// True when the rollout is over, one way or the other.
  bool note(const CallOutcome& outcome, double began);
  void write_attempt(const std::string& replica, double began_unix, const CallOutcome& outcome);
  void integrate();
  void write_second();
  void write_summary(bool final);

  asio::io_context& io_;
  RolloutConfig config_;
  Random random_;
  Router router_;
  Signal changed_;
  Discovery discovery_;
  LineFile series_;
  LineFile attempts_;
  LoadReport report_;
  std::uint64_t restarts_ = 0;
  std::uint64_t lost_tokens_ = 0;
  double began_ = 0;
  double replica_seconds_ = 0;
  double integrated_at_ = 0;
  int alive_ = 0;      ///< rollouts begun and not ended
  int in_flight_ = 0;  ///< of them on a replica now
  bool stopped_ = false;
  bool over_ = false;
};

}  // namespace ebb::emulator
