// Every (state, event) pair of the three tables written down: the tables say what happens, this says what does not.
#include <gtest/gtest.h>

#include <vector>

#include "daemon/core/load_table.hpp"
#include "daemon/core/snapshot_table.hpp"
#include "daemon/core/weights_table.hpp"

namespace ebb {
namespace {

template <class Phase>
struct Row {
  int line;
  Phase from;
  std::vector<Phase> to;  ///< one per event, in their order
};

template <class Event, class Phase>
void expect_rows(const std::vector<Row<Phase>>& rows, std::size_t phases, std::size_t events) {
  EXPECT_EQ(rows.size(), phases) << "a phase is not written down";
  for (const Row<Phase>& row : rows) {
    ASSERT_EQ(row.to.size(), events) << "row at line " << row.line;
    for (std::size_t event = 0; event < events; ++event) {
      EXPECT_EQ(transition(row.from, static_cast<Event>(event)).to, row.to[event])
          << "row at line " << row.line << ", event " << event;
    }
  }
}

TEST(SnapshotTable, EveryPairIsWrittenDown) {
  using enum SnapshotPhase;
  //        published  verified   rejected   signalled  reached    failed     timeout    orphaned
  expect_rows<SnapshotEvent, SnapshotPhase>(
      {{__LINE__, planned, {published, planned, planned, planned, planned, planned, planned, dropped}},
       {__LINE__, published, {published, verified, rejected, published, published, published, rejected, dropped}},
       {__LINE__, verified, {verified, verified, verified, loading, serving, verified, failed, dropped}},
       {__LINE__, loading, {loading, loading, loading, loading, serving, failed, failed, dropped}},
       {__LINE__, serving, {serving, serving, serving, serving, serving, serving, serving, serving}},
       {__LINE__, rejected, {rejected, rejected, rejected, rejected, rejected, rejected, rejected, rejected}},
       {__LINE__, failed, {failed, failed, failed, failed, failed, failed, failed, failed}},
       {__LINE__, dropped, {dropped, dropped, dropped, dropped, dropped, dropped, dropped, dropped}}},
      8, 8);
}

TEST(SnapshotTable, TheChainBreaksExactlyWhereASnapshotFailsOnItsOwn) {
  for (int from = 0; from < 8; ++from) {
    for (int event = 0; event < 8; ++event) {
      const SnapshotTransition row = transition(static_cast<SnapshotPhase>(from), static_cast<SnapshotEvent>(event));
      const bool ended_badly =
          row.to != row.from && (row.to == SnapshotPhase::rejected || row.to == SnapshotPhase::failed);
      EXPECT_EQ(row.breaks, ended_badly) << to_string(row.from) << ", event " << event;
    }
  }
}

TEST(LoadTable, EveryPairIsWrittenDown) {
  using enum LoadPhase;
  //        ordered  accepted  put_off  refused  unanswered  seen  unseen  reached  failed  timeout  emptied
  expect_rows<LoadEvent, LoadPhase>(
      {{__LINE__, idle, {sending, idle, idle, idle, idle, idle, idle, idle, idle, idle, idle}},
       {__LINE__, sending, {sending, loading, sending, idle, asking, sending, sending, sending, sending, idle, idle}},
       {__LINE__, asking, {asking, asking, asking, idle, asking, loading, sending, asking, asking, idle, idle}},
       {__LINE__, loading, {loading, loading, loading, idle, loading, loading, loading, idle, idle, idle, idle}}},
      4, 11);
}

TEST(WeightsTable, EveryPairIsWrittenDown) {
  using enum WeightsPhase;
  //        blank  current  full  incremental  refused  error  timeout  restarted  reset  gone
  expect_rows<WeightsEvent, WeightsPhase>(
      {{__LINE__, unknown, {base, serving, loading, unknown, unknown, failed, unknown, unknown, unknown, left}},
       {__LINE__, base, {base, serving, loading, base, base, base, base, unknown, unknown, left}},
       {__LINE__, loading, {loading, serving, loading, loading, unknown, failed, failed, unknown, loading, left}},
       {__LINE__, serving, {base, serving, loading, loading, serving, failed, serving, unknown, unknown, left}},
       {__LINE__, failed, {failed, failed, loading, failed, failed, failed, failed, unknown, failed, left}},
       {__LINE__, left, {left, left, left, left, left, left, left, left, left, left}}},
      6, 10);
}

TEST(WeightsTable, AnIncrementalSnapshotGoesOnlyOntoServingWeights) {
  for (int phase = 0; phase < 6; ++phase) {
    const auto from = static_cast<WeightsPhase>(phase);
    EXPECT_EQ(may_be_told(from, SnapshotKind::incremental), from == WeightsPhase::serving) << to_string(from);
  }
}

}  // namespace
}  // namespace ebb
