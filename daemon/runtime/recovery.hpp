// What a daemon does before its first tick: it takes up what the last run left.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "daemon/model/state.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/ledger.hpp"
#include "daemon/runtime/actuator.hpp"
#include "daemon/runtime/observer.hpp"
#include "daemon/runtime/wiring.hpp"

namespace ebb {

struct ResumeParts {
  Clock& clock;
  Ledger& ledger;
  Observer& observer;
  std::shared_ptr<const Config> config;
  std::shared_ptr<const Wiring> wiring;
  std::string build;  ///< for the event `started`
};

struct Resumed {
  State state;
  std::vector<Finished> endings;  ///< unfinished actions of the last run, closed against what the fleets show
  std::vector<Outcome> owed;      ///< the state knows them, the ledger did not take them: for ControlLoop::run
};

/// Reads the ledger, closes what was unfinished, and records that a run has started. An error: the ledger cannot be
/// read.
awaitable<Result<Resumed>> resume(ResumeParts parts);

}  // namespace ebb
