// Every (state, event) pair written down: the table says what happens, this says what does not.
#include "daemon/core/lease_table.hpp"

#include <gtest/gtest.h>

namespace ebb {
namespace {

using enum LeasePhase;

struct Row {
  int line;
  LeasePhase from;
  LeasePhase ready, current, reclaim, overdue, stuck, gone, stale;
};

//                              ready     current   reclaim   overdue   stuck  gone      stale
constexpr Row kRows[] = {
    {__LINE__, starting, /*->*/ syncing, starting, draining, starting, lost, released, starting},
    {__LINE__, syncing, /*->*/ syncing, serving, draining, syncing, lost, released, syncing},
    {__LINE__, serving, /*->*/ serving, serving, draining, serving, lost, released, syncing},
    {__LINE__, draining, /*->*/ draining, draining, draining, draining, lost, released, draining},
    {__LINE__, lost, /*->*/ lost, lost, lost, lost, lost, released, lost},
    {__LINE__, released, /*->*/ released, released, released, released, released, released, released},
};

TEST(LeaseTable, EveryPairIsWrittenDown) {
  for (const Row& row : kRows) {
    const LeasePhase expected[kLeaseEvents] = {row.ready, row.current, row.reclaim, row.overdue,
                                               row.stuck, row.gone,    row.stale};
    for (std::size_t event = 0; event < std::size(expected); ++event) {
      EXPECT_EQ(transition(row.from, static_cast<LeaseEvent>(event)).to, expected[event])
          << "row at line " << row.line << ", event " << event;
      Lease lease;
      lease.phase = row.from;
      advance(lease, static_cast<LeaseEvent>(event), TimePoint{});
      EXPECT_EQ(lease.phase, expected[event]) << "row at line " << row.line << ", event " << event;
      EXPECT_EQ(lease.evicted, transition(row.from, static_cast<LeaseEvent>(event)).evict)
          << "row at line " << row.line;
    }
  }
}

TEST(LeaseTable, OnlyAnOverdueDrainEvicts) {
  for (const Row& row : kRows) {
    for (std::size_t event = 0; event < kLeaseEvents; ++event) {
      const bool expected = row.from == draining && static_cast<LeaseEvent>(event) == LeaseEvent::overdue;
      EXPECT_EQ(transition(row.from, static_cast<LeaseEvent>(event)).evict, expected) << "row at line " << row.line;
    }
  }
}

TEST(LeaseTable, SinceMovesOnlyWithThePhase) {
  static_assert(std::size(kRows) == kLeasePhases);
  const TimePoint then{Duration{1'000}};
  const TimePoint now{Duration{9'000}};
  Lease lease;
  lease.since = then;
  advance(lease, LeaseEvent::current, now);
  EXPECT_EQ(lease.since, then);
  advance(lease, LeaseEvent::ready, now);
  EXPECT_EQ(lease.since, now);
}

}  // namespace
}  // namespace ebb
