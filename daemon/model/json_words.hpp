// The words of the model's enumerations in JSON. Internal to json_write.cpp and json_read.cpp.
#pragma once

#include <array>
#include <utility>

#include "daemon/model/explanation.hpp"
#include "daemon/model/observation.hpp"
#include "daemon/model/plan.hpp"
#include "daemon/model/record.hpp"
#include "daemon/model/state.hpp"

namespace ebb::words {

template <class E, std::size_t N>
struct Words {
  std::array<std::pair<E, const char*>, N> table;
  [[nodiscard]] const char* word(E value) const {
    for (const auto& [e, w] : table) {
      if (e == value) return w;
    }
    return "unknown";
  }
};

inline constexpr Words<ReplicaPhase, 6> kReplicaPhases{{{{ReplicaPhase::starting, "starting"},
                                                         {ReplicaPhase::ready, "ready"},
                                                         {ReplicaPhase::unhealthy, "unhealthy"},
                                                         {ReplicaPhase::draining, "draining"},
                                                         {ReplicaPhase::lost, "lost"},
                                                         {ReplicaPhase::gone, "gone"}}}};
inline constexpr Words<LeasePhase, 6> kLeasePhases{{{{LeasePhase::starting, "starting"},
                                                     {LeasePhase::syncing, "syncing"},
                                                     {LeasePhase::serving, "serving"},
                                                     {LeasePhase::draining, "draining"},
                                                     {LeasePhase::lost, "lost"},
                                                     {LeasePhase::released, "released"}}}};
inline constexpr Words<OverrideKind, 3> kOverrideKinds{
    {{{OverrideKind::freeze, "freeze"}, {OverrideKind::pin, "pin"}, {OverrideKind::drain_all, "drain_all"}}}};
inline constexpr Words<ActionKind, 3> kActionKinds{
    {{{ActionKind::drain, "drain"}, {ActionKind::evict, "evict"}, {ActionKind::start, "start"}}}};
inline constexpr Words<OutcomeKind, 5> kOutcomeKinds{{{{OutcomeKind::done, "done"},
                                                       {OutcomeKind::dropped, "dropped"},
                                                       {OutcomeKind::failed, "failed"},
                                                       {OutcomeKind::advised, "advised"},
                                                       {OutcomeKind::unknown, "unknown"}}}};
inline constexpr Words<Stage, 10> kStages{{{{Stage::freshness, "freshness"},
                                            {Stage::need, "need"},
                                            {Stage::reserve, "reserve"},
                                            {Stage::allocate, "allocate"},
                                            {Stage::guardrails, "guardrails"},
                                            {Stage::leases, "leases"},
                                            {Stage::snapshots, "snapshots"},
                                            {Stage::admission, "admission"},
                                            {Stage::diff, "diff"},
                                            {Stage::check, "check"}}}};

}  // namespace ebb::words
