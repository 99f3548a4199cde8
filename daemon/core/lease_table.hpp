// The life of a slot in use, as a table.
//
//            start              ready               current
//   (free) ---------> starting --------> syncing <---------> serving
//                        |                  |      stale        |
//                        |  reclaim         |  reclaim          |  reclaim
//                        v                  v                   v
//                        +------------> draining <--------------+
//                                       |  |  ^ overdue: evict, and stay
//                              gone     |  |  |
//        (free) <-- released <----------+  +--+
//                      ^                   | stuck
//                      |       gone        v
//                      +---------------- lost      still counted, never lent again until its GPUs are seen free
//
// `gone` releases from every phase: a replica may end at any time. `ready` and `current` never bring a draining or
// lost slot back to life.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "daemon/model/state.hpp"

namespace ebb {

enum class LeaseEvent : std::uint8_t {
  ready,    ///< the fleet says it answers
  current,  ///< it serves an admissible snapshot (or needs none)
  reclaim,  ///< it is to leave: production needs the GPUs, or nobody needs the replica
  overdue,  ///< its drain deadline has passed
  stuck,    ///< it will not go in spite of everything
  gone,     ///< ended, GPUs seen free
  stale,    ///< it has lost its weights, or fell too far behind
};
inline constexpr std::size_t kLeaseEvents = static_cast<std::size_t>(LeaseEvent::stale) + 1;
inline constexpr std::size_t kLeasePhases = static_cast<std::size_t>(LeasePhase::released) + 1;

struct LeaseTransition {
  LeasePhase from;
  LeaseEvent event;
  LeasePhase to;
  bool evict = false;  ///< the effect: end it now
};

inline constexpr std::array kLeaseTable{
    LeaseTransition{LeasePhase::starting, LeaseEvent::ready, LeasePhase::syncing},
    LeaseTransition{LeasePhase::syncing, LeaseEvent::current, LeasePhase::serving},
    LeaseTransition{LeasePhase::serving, LeaseEvent::stale, LeasePhase::syncing},
    LeaseTransition{LeasePhase::starting, LeaseEvent::reclaim, LeasePhase::draining},
    LeaseTransition{LeasePhase::syncing, LeaseEvent::reclaim, LeasePhase::draining},
    LeaseTransition{LeasePhase::serving, LeaseEvent::reclaim, LeasePhase::draining},
    LeaseTransition{LeasePhase::draining, LeaseEvent::overdue, LeasePhase::draining, true},
    LeaseTransition{LeasePhase::starting, LeaseEvent::stuck, LeasePhase::lost},
    LeaseTransition{LeasePhase::syncing, LeaseEvent::stuck, LeasePhase::lost},
    LeaseTransition{LeasePhase::serving, LeaseEvent::stuck, LeasePhase::lost},
    LeaseTransition{LeasePhase::draining, LeaseEvent::stuck, LeasePhase::lost},
    LeaseTransition{LeasePhase::starting, LeaseEvent::gone, LeasePhase::released},
    LeaseTransition{LeasePhase::syncing, LeaseEvent::gone, LeasePhase::released},
    LeaseTransition{LeasePhase::serving, LeaseEvent::gone, LeasePhase::released},
    LeaseTransition{LeasePhase::draining, LeaseEvent::gone, LeasePhase::released},
    LeaseTransition{LeasePhase::lost, LeaseEvent::gone, LeasePhase::released},
};

static_assert(std::all_of(kLeaseTable.begin(), kLeaseTable.end(),
                          [](const LeaseTransition& row) {
                            return static_cast<std::size_t>(row.event) < kLeaseEvents &&
                                   static_cast<std::size_t>(row.from) < kLeasePhases;
                          }),
              "the counts name the last of each");

/// Every pair that is not in the table is a no-op; the exhaustive test writes each of them down.
constexpr LeaseTransition transition(LeasePhase from, LeaseEvent event) {
  for (const LeaseTransition& row : kLeaseTable) {
    if (row.from == from && row.event == event) return row;
  }
  return {from, event, from, false};
}

static_assert(transition(LeasePhase::syncing, LeaseEvent::reclaim).to == LeasePhase::draining,
              "no waiting for weights");
static_assert(transition(LeasePhase::draining, LeaseEvent::ready).to == LeasePhase::draining, "no way back");
static_assert(transition(LeasePhase::lost, LeaseEvent::ready).to == LeasePhase::lost, "lost stays counted");

/// True while the replica works or will: what a target counts.
constexpr bool is_active(LeasePhase phase) {
  return phase == LeasePhase::starting || phase == LeasePhase::syncing || phase == LeasePhase::serving;
}

/// The event happens to the lease; `since` moves when the phase changes. In place, since it is asked of every replica
/// at every tick.
void advance(Lease& lease, LeaseEvent event, TimePoint now);

}  // namespace ebb
