// The weights of the simulated world, as values that the judge reads.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/model/weights.hpp"

namespace ebb::sim {

/// One engine, as it really is. Times are steady.
struct Engine {
  int process = 1;
  Identity held;      ///< empty: the base weights
  bool whole = true;  ///< false: a load broke off half-way
  bool paused = false;
  TimePoint paused_since{};
  bool leaves = false;             ///< draining
  std::vector<Snapshot> applying;  ///< oldest first; empty: none
  TimePoint applied_at{};          ///< max: never
  TimePoint dies_at = TimePoint::max();
  Identity failed;  ///< shown as an error
  Identity stale;   ///< shown instead, as an error of an older target, until then
  TimePoint stale_until{};
  Identity lies;                             ///< shown instead of `held`
  TimePoint unready_until{};                 ///< listed, and takes no requests
  TimePoint up_at{};                         ///< its hot-load manager answers from then on
  TimePoint catch_up_at = TimePoint::max();  ///< the vendor brings it up to date
};

/// One deployment.
struct Site {
  HotloadCapabilities can;
  bool ours = false;  ///< its engines are the RL fleet's replicas
  std::map<ReplicaId, Engine> engines;
  TimePoint dark_until{}, slow_until{}, empty_until{};
  Identity offered;  ///< what a vendor brings newcomers to
};

}  // namespace ebb::sim
