// The life of a snapshot, as a table.
//
//             published            verified            signalled            reached
//   planned -----------> published --------> verified -----------> loading ---------> serving
//      |                     |                |   |                  |
//      | orphaned            | rejected,      |   | reached: nobody  | failed,
//      v                     v timeout        |   v is there         v timeout
//   dropped              rejected             |  serving           failed
//      ^                     |                | timeout              |
//      |                     |                v                      |
//      |                     |              failed                   |
//      |                     +--------+-------+----------------------+
//      |        orphaned              |
//      +-- published, verified,       v
//          loading              the chain breaks: what waits on top of it is orphaned, and the next one is full
//
// `orphaned`: its parent failed, or the ledger was reset. What has ended stays as it ended.
#pragma once

#include <array>
#include <cstdint>

#include "daemon/model/snapshot.hpp"

namespace ebb {

enum class SnapshotEvent : std::uint8_t {
  published,  ///< the trainer says that it is uploaded
  verified,   ///< whole and readable
  rejected,   ///< malformed
  signalled,  ///< the first deployment was told to load it
  reached,    ///< enough replicas serve it, or there are none
  failed,     ///< so many did not take it that enough cannot be reached
  timeout,    ///< the deadline of its phase has passed
  orphaned,   ///< there is no ground under it any more
};

struct SnapshotTransition {
  SnapshotPhase from;
  SnapshotEvent event;
  SnapshotPhase to;
  bool breaks = false;  ///< the effect: the next snapshot is full (I6)
};

inline constexpr std::array kSnapshotTable{
    SnapshotTransition{SnapshotPhase::planned, SnapshotEvent::published, SnapshotPhase::published},
    SnapshotTransition{SnapshotPhase::planned, SnapshotEvent::orphaned, SnapshotPhase::dropped},
    SnapshotTransition{SnapshotPhase::published, SnapshotEvent::verified, SnapshotPhase::verified},
    SnapshotTransition{SnapshotPhase::published, SnapshotEvent::rejected, SnapshotPhase::rejected, true},
    SnapshotTransition{SnapshotPhase::published, SnapshotEvent::timeout, SnapshotPhase::rejected, true},
    SnapshotTransition{SnapshotPhase::published, SnapshotEvent::orphaned, SnapshotPhase::dropped},
    SnapshotTransition{SnapshotPhase::verified, SnapshotEvent::signalled, SnapshotPhase::loading},
    SnapshotTransition{SnapshotPhase::verified, SnapshotEvent::reached, SnapshotPhase::serving},
    SnapshotTransition{SnapshotPhase::verified, SnapshotEvent::timeout, SnapshotPhase::failed, true},
    SnapshotTransition{SnapshotPhase::verified, SnapshotEvent::orphaned, SnapshotPhase::dropped},
    SnapshotTransition{SnapshotPhase::loading, SnapshotEvent::reached, SnapshotPhase::serving},
    SnapshotTransition{SnapshotPhase::loading, SnapshotEvent::failed, SnapshotPhase::failed, true},
    SnapshotTransition{SnapshotPhase::loading, SnapshotEvent::timeout, SnapshotPhase::failed, true},
    SnapshotTransition{SnapshotPhase::loading, SnapshotEvent::orphaned, SnapshotPhase::dropped},
};

/// Every pair that is not in the table is a no-op; the exhaustive test writes each of them down.
constexpr SnapshotTransition transition(SnapshotPhase from, SnapshotEvent event) {
  for (const SnapshotTransition& row : kSnapshotTable) {
    if (row.from == from && row.event == event) return row;
  }
  return {from, event, from, false};
}

/// Nothing will happen to it any more.
constexpr bool has_ended(SnapshotPhase phase) {
  return phase == SnapshotPhase::serving || phase == SnapshotPhase::rejected || phase == SnapshotPhase::failed ||
         phase == SnapshotPhase::dropped;
}

static_assert(transition(SnapshotPhase::published, SnapshotEvent::signalled).to == SnapshotPhase::published,
              "what was not verified is not signalled");
static_assert(transition(SnapshotPhase::failed, SnapshotEvent::reached).to == SnapshotPhase::failed,
              "the trainer was told that it failed, and goes on with a full one");

}  // namespace ebb
