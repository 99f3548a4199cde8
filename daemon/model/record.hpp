// What the ledger keeps: one kind of row per thing that happened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/model/decision.hpp"
#include "daemon/model/observation.hpp"

namespace ebb {

/// How one action ended. `done` means the fleet took it; that it came true is seen in a later observation.
enum class OutcomeKind {
  done,     ///< the fleet accepted it
  dropped,  ///< its premise was gone when we looked again
  failed,   ///< tried as often as allowed
  advised,  ///< mode advise: not tried
  unknown,  ///< found without an outcome after a crash, and closed
};

struct Outcome {
  ActionId action;
  OutcomeKind kind = OutcomeKind::done;
  std::string detail;
  TimePoint at{};
  int attempts = 0;
  std::vector<ReplicaId> not_started;  ///< of a start: replicas that certainly do not exist
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

constexpr const char* to_string(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::done: return "done";
    case OutcomeKind::dropped: return "dropped";
    case OutcomeKind::failed: return "failed";
    case OutcomeKind::advised: return "advised";
    case OutcomeKind::unknown: return "unknown";
  }
  return "unknown";
}

/// An action as the ledger has it.
struct ActionRow {
  Action action;
  std::uint64_t tick = 0;
  TimePoint recorded_at{};
  std::optional<Outcome> outcome;
};

/// Things that change State between ticks, or that an operator wants to find later.
struct Event {
  std::uint64_t seq = 0;  ///< given by the ledger
  TimePoint at{};
  /// started stopped config_loaded config_refused override_set override_cleared demand_set action_unrecorded
  std::string kind;
  std::string subject;
  std::string detail;
  std::optional<Override> set;        ///< override_set
  std::optional<OverrideId> cleared;  ///< override_cleared
  std::optional<Demand> demand;       ///< demand_set; subject is the job
};

/// What a restart begins with.
struct Recovered {
  State state;                        ///< of the newest decision, with later events folded in
  std::vector<ActionRow> unfinished;  ///< recorded, no outcome
  bool fresh = false;                 ///< the ledger was empty
};

}  // namespace ebb
