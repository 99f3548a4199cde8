// The load of one deployment, as a table. There is one at a time (I7), and an order is given again only when it is
// certain that nobody took it.
//
//            ordered             accepted              reached, failed, timeout
//   (idle) ----------> sending -------------> loading --------------------------> (idle)
//                       ^   |                    ^
//          put off: ----+   | unanswered         |
//          send later       v                    |
//                        asking -----------------+
//                       |        seen: it is loading there
//                       | unseen: every replica answered for a while, and none has heard of it
//                       +----------------------> sending
//
// refused, timeout and emptied (all its replicas have left) end it from every phase: a reclaim does not wait for a
// load. A restart finds `sending` without an answer: that is `unanswered`.
#pragma once

#include <array>
#include <cstdint>

#include "daemon/model/weights.hpp"

namespace ebb {

enum class LoadEvent : std::uint8_t {
  ordered,     ///< recorded as intended
  accepted,    ///< the other side took it
  put_off,     ///< certainly not taken, and may be later
  refused,     ///< certainly not taken, and never will be
  unanswered,  ///< it may or may not have been taken
  seen,        ///< a replica is at it
  unseen,      ///< nobody is
  reached,     ///< every replica of the order has it
  failed,      ///< every replica has it or has failed
  timeout,
  emptied,  ///< no replica of the order is left
};

struct LoadTransition {
  LoadPhase from;
  LoadEvent event;
  LoadPhase to;
};

inline constexpr std::array kLoadTable{
    LoadTransition{LoadPhase::idle, LoadEvent::ordered, LoadPhase::sending},
    LoadTransition{LoadPhase::sending, LoadEvent::accepted, LoadPhase::loading},
    LoadTransition{LoadPhase::sending, LoadEvent::unanswered, LoadPhase::asking},
    LoadTransition{LoadPhase::sending, LoadEvent::refused, LoadPhase::idle},
    LoadTransition{LoadPhase::sending, LoadEvent::timeout, LoadPhase::idle},
    LoadTransition{LoadPhase::sending, LoadEvent::emptied, LoadPhase::idle},
    LoadTransition{LoadPhase::asking, LoadEvent::seen, LoadPhase::loading},
    LoadTransition{LoadPhase::asking, LoadEvent::unseen, LoadPhase::sending},
    LoadTransition{LoadPhase::asking, LoadEvent::refused, LoadPhase::idle},
    LoadTransition{LoadPhase::asking, LoadEvent::timeout, LoadPhase::idle},
    LoadTransition{LoadPhase::asking, LoadEvent::emptied, LoadPhase::idle},
    LoadTransition{LoadPhase::loading, LoadEvent::refused, LoadPhase::idle},
    LoadTransition{LoadPhase::loading, LoadEvent::reached, LoadPhase::idle},
    LoadTransition{LoadPhase::loading, LoadEvent::failed, LoadPhase::idle},
    LoadTransition{LoadPhase::loading, LoadEvent::timeout, LoadPhase::idle},
    LoadTransition{LoadPhase::loading, LoadEvent::emptied, LoadPhase::idle},
};

/// Every pair that is not in the table is a no-op; `put_off` stays in `sending` and only moves the time.
constexpr LoadTransition transition(LoadPhase from, LoadEvent event) {
  for (const LoadTransition& row : kLoadTable) {
    if (row.from == from && row.event == event) return row;
  }
  return {from, event, from};
}

static_assert(transition(LoadPhase::loading, LoadEvent::ordered).to == LoadPhase::loading, "one at a time");
static_assert(transition(LoadPhase::loading, LoadEvent::unanswered).to == LoadPhase::loading,
              "what was accepted is not signalled again");
static_assert(transition(LoadPhase::asking, LoadEvent::ordered).to == LoadPhase::asking, "look before repeating");

}  // namespace ebb
