// The weights of one replica, as a table.
//
//              blank             full                current
//   unknown ----------> base ------------> loading -----------> serving
//     |  |                |                 ^  ^  |              |   ^
//     |  +-- full --------|-----------------+  |  |   full,      |   |
//     |                   |                    |  |  incremental |   |
//     |                   |                    +--|--------------+   |
//     +---- current ------+-----------------------|------------------+
//                           (it caught up itself) |
//            full                                 | error, timeout
//   loading <--------- failed <-------------------+
//
// An incremental snapshot goes only onto `serving` (I5), and nothing onto `loading` (I7). A failed replica stays gated
// until a full one was loaded, whatever it reports; so does an unknown or a serving one that shows an error where a
// failed load leaves weights that are not whole (`error` takes both to failed). `blank` takes a serving replica back to
// base: it lost its weights. `refused` (nobody touched it), `restarted` (another process behind the name) and `reset`
// (what is loaded belongs to no chain) make unknown of every phase that they apply to; the next report says more.
// `gone` ends every phase.
#pragma once

#include <array>
#include <cstdint>

#include "daemon/model/weights.hpp"

namespace ebb {

enum class WeightsEvent : std::uint8_t {
  blank,        ///< reports no snapshot, or one that is none of ours
  current,      ///< ready, and reports its target; without a load: one of the chain
  full,         ///< an order that begins with a full snapshot names it
  incremental,  ///< an order that begins with an incremental one names it
  refused,      ///< that order was refused
  error,        ///< reports an error for its target; without a load: any that leaves its weights in doubt
  timeout,      ///< the order's deadline has passed
  restarted,
  reset,
  gone,  ///< ended, or draining
};

struct WeightsTransition {
  WeightsPhase from;
  WeightsEvent event;
  WeightsPhase to;
};

inline constexpr std::array kWeightsTable{
    WeightsTransition{WeightsPhase::unknown, WeightsEvent::blank, WeightsPhase::base},
    WeightsTransition{WeightsPhase::unknown, WeightsEvent::current, WeightsPhase::serving},
    WeightsTransition{WeightsPhase::unknown, WeightsEvent::full, WeightsPhase::loading},
    WeightsTransition{WeightsPhase::unknown, WeightsEvent::error, WeightsPhase::failed},
    WeightsTransition{WeightsPhase::unknown, WeightsEvent::gone, WeightsPhase::left},
    WeightsTransition{WeightsPhase::base, WeightsEvent::current, WeightsPhase::serving},
    WeightsTransition{WeightsPhase::base, WeightsEvent::full, WeightsPhase::loading},
    WeightsTransition{WeightsPhase::base, WeightsEvent::restarted, WeightsPhase::unknown},
    WeightsTransition{WeightsPhase::base, WeightsEvent::reset, WeightsPhase::unknown},
    WeightsTransition{WeightsPhase::base, WeightsEvent::gone, WeightsPhase::left},
    WeightsTransition{WeightsPhase::loading, WeightsEvent::current, WeightsPhase::serving},
    WeightsTransition{WeightsPhase::loading, WeightsEvent::refused, WeightsPhase::unknown},
    WeightsTransition{WeightsPhase::loading, WeightsEvent::error, WeightsPhase::failed},
    WeightsTransition{WeightsPhase::loading, WeightsEvent::timeout, WeightsPhase::failed},
    WeightsTransition{WeightsPhase::loading, WeightsEvent::restarted, WeightsPhase::unknown},
    WeightsTransition{WeightsPhase::loading, WeightsEvent::gone, WeightsPhase::left},
    WeightsTransition{WeightsPhase::serving, WeightsEvent::blank, WeightsPhase::base},
    WeightsTransition{WeightsPhase::serving, WeightsEvent::full, WeightsPhase::loading},
    WeightsTransition{WeightsPhase::serving, WeightsEvent::incremental, WeightsPhase::loading},
    WeightsTransition{WeightsPhase::serving, WeightsEvent::error, WeightsPhase::failed},
    WeightsTransition{WeightsPhase::serving, WeightsEvent::restarted, WeightsPhase::unknown},
    WeightsTransition{WeightsPhase::serving, WeightsEvent::reset, WeightsPhase::unknown},
    WeightsTransition{WeightsPhase::serving, WeightsEvent::gone, WeightsPhase::left},
    WeightsTransition{WeightsPhase::failed, WeightsEvent::full, WeightsPhase::loading},
    WeightsTransition{WeightsPhase::failed, WeightsEvent::restarted, WeightsPhase::unknown},
    WeightsTransition{WeightsPhase::failed, WeightsEvent::gone, WeightsPhase::left},
};

/// Every pair that is not in the table is a no-op; the exhaustive test writes each of them down.
constexpr WeightsTransition transition(WeightsPhase from, WeightsEvent event) {
  for (const WeightsTransition& row : kWeightsTable) {
    if (row.from == from && row.event == event) return row;
  }
  return {from, event, from};
}

/// Whether an order that begins with a snapshot of this kind may name a replica in this phase.
constexpr bool may_be_told(WeightsPhase phase, SnapshotKind kind) {
  const WeightsEvent event = kind == SnapshotKind::full ? WeightsEvent::full : WeightsEvent::incremental;
  return phase != WeightsPhase::loading && transition(phase, event).to == WeightsPhase::loading;
}

static_assert(!may_be_told(WeightsPhase::base, SnapshotKind::incremental), "nothing to build on");
static_assert(!may_be_told(WeightsPhase::failed, SnapshotKind::incremental), "a failed replica needs a full one");
static_assert(transition(WeightsPhase::failed, WeightsEvent::current).to == WeightsPhase::failed,
              "gated till reloaded");
static_assert(transition(WeightsPhase::loading, WeightsEvent::reset).to == WeightsPhase::loading,
              "a load that is under way ends first: there is one at a time");

}  // namespace ebb
