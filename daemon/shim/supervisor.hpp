// The loop beside one engine: orders in, signals out, until nothing of the replica runs any more.
//
//            drain | SIGTERM | lease lapsed              deadline | evict
//   running ------------------------------> draining ----------------------> killing
//      |            SIGTERM to the leader       |      SIGKILL to the group     |
//      +---------- the leader has ended --------+-------------------------------+----> everything else is taken
//                                                                                      down, exit.json, locks free
#pragma once

#include <optional>
#include <string>

#include "daemon/shim/engine.hpp"
#include "daemon/shim/lease.hpp"
#include "daemon/shim/options.hpp"

namespace ebb::shim {

class Supervisor {
 public:
  /// `log` is the engine's log, open for appending; both outlive the supervisor. SIGTERM, SIGINT and SIGCHLD must be
  /// blocked. Watches the directory from here on.
  Supervisor(const Options& options, const EngineId& engine, int log);

  /// Returns when nothing of the replica runs any more and exit.json is written.
  void run();
  /// Ends it at once with this reason, without waiting for an order.
  void kill_with(const std::string& reason);

 private:
  enum class Phase { running, draining, killing };

  void wait_for_news();
  void read_signals();
  bool engine_ended();
  void look_at_orders();
  void drain(const std::string& reason, long long left_ms);
  void kill_group(const std::string& reason);
  void announce(long long left_ms) const;
  void bound_log() const;
  void finish();

  const Options& options_;
  const EngineId engine_;
  const int log_;
  Fd signals_;
  Fd watch_;
  Phase phase_ = Phase::running;
  std::string reason_ = "exited";
  bool forced_ = false;
  long long deadline_ms_ = 0;  ///< boot time; draining only
  std::optional<std::string> drain_seen_;
  std::optional<Lease> lease_;
};

}  // namespace ebb::shim
