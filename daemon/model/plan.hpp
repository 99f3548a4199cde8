// What a decision wants done, in order: reclaim first.
#pragma once

#include <vector>

#include "daemon/model/ids.hpp"
#include "daemon/model/time.hpp"
#include "daemon/model/units.hpp"

namespace ebb {

enum class ActionKind {
  drain,  ///< let the named replicas finish, until `deadline`
  evict,  ///< end them now
  start,  ///< start replicas of the deployment under these names
};

/// One action per deployment and kind and tick. Applying it twice is the same as once: replicas are named.
struct Action {
  ActionId id;
  ActionKind kind = ActionKind::drain;
  FleetId fleet;
  DeploymentId deployment;
  std::vector<ReplicaId> replicas;  ///< sorted
  Gpus gpus_each;
  TimePoint deadline{};  ///< drain: when the fleet may kill; start: when it counts as failed
  friend bool operator==(const Action&, const Action&) = default;
};

struct Plan {
  std::vector<Action> actions;
  friend bool operator==(const Plan&, const Plan&) = default;
};

constexpr const char* to_string(ActionKind kind) {
  switch (kind) {
    case ActionKind::drain: return "drain";
    case ActionKind::evict: return "evict";
    case ActionKind::start: return "start";
  }
  return "unknown";
}

}  // namespace ebb
