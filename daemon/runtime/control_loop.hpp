// The loop: wait, observe, decide, record, act, record. Nothing else lives here.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "config/config.hpp"
#include "daemon/model/decision.hpp"
#include "daemon/model/record.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/ledger.hpp"
#include "daemon/runtime/actuator.hpp"
#include "daemon/runtime/observer.hpp"
#include "daemon/runtime/wiring.hpp"

namespace ebb {

/// What the loop tells whoever shows it. Control thread; must not block.
class LoopListener {
 public:
  virtual ~LoopListener() = default;
  /// Every sample, whether or not a decision came of it.
  virtual void observed(const Observation& seen, Duration took) = 0;
  /// A decision that was taken (recorded, or with the ledger down its shrinking part).
  virtual void decided(const Observation& seen, const Decision& decision, Duration took) = 0;
  virtual void finished(const Finished& action) = 0;
  virtual void state_is(const State& state) = 0;
  /// Empty problem: the ledger works again.
  virtual void ledger_is(const std::string& problem) = 0;
  /// One pass is complete: the only thing that feeds the watchdog.
  virtual void progress(TimePoint now) = 0;
};

class ControlLoop {
 public:
  struct Parts {
    Clock& clock;
    Ledger& ledger;
    Observer& observer;
    Actuator& actuator;
    LoopListener& listener;
    std::function<std::shared_ptr<const Config>()> config;
    std::function<std::shared_ptr<const Wiring>()> wiring;
    std::function<void(Observation&)> weights{};  ///< adds what the coordinator of snapshots knows
  };

  ControlLoop(boost::asio::any_io_executor executor, Parts parts);

  /// Runs until `stop`; returns after the pass that is under way. Replicas are left as they are. `owed`: outcomes that
  /// the state knows and the ledger does not.
  awaitable<void> run(State state, std::vector<Outcome> owed = {});
  void stop();
  /// Decides now rather than at the next tick.
  void poke();
  /// A recorded event takes effect in the next pass, which is poked.
  void tell(Event event);

 private:
  void take_in(State& state);  ///< what was told and what has ended since the last pass
  awaitable<Status> record_outcomes();
  awaitable<void> commit(const Observation& seen, Decision decision, std::shared_ptr<const Config> config,
                         std::shared_ptr<const Wiring> wiring, State& state);
  awaitable<void> keep_alive(const Observation& seen, const State& state, std::shared_ptr<const Config> config,
                             std::shared_ptr<const Wiring> wiring);
  awaitable<void> wait_until(TimePoint at);
  void ledger_answered(const Status& status);

  Parts parts_;
  boost::asio::steady_timer wake_;
  std::vector<Event> told_;
  std::vector<Outcome> unrecorded_;  ///< ended, and the ledger does not know it yet
  TimePoint renewed_at_{};
  bool poked_ = false;
  bool stopping_ = false;
  bool ledger_ok_ = true;
};

/// The decision with nothing but its endings, and without leases for what will not start: what may go out although it
/// could not be recorded (I9).
Decision only_shrinking(Decision decision);

/// Unfinished actions of a crashed run, closed: a start whose replicas no fleet shows did not happen.
std::vector<Finished> closed(const std::vector<ActionRow>& unfinished, const Observation& seen, TimePoint now);

}  // namespace ebb
