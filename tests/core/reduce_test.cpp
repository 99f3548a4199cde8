#include "daemon/core/reduce.hpp"

#include <gtest/gtest.h>

#include "tests/support/builders.hpp"

namespace ebb::testing {
namespace {

Action start_of(std::vector<std::string> names) {
  Action action;
  action.id = ActionId("7/rl@p/start");
  action.kind = ActionKind::start;
  action.deployment = kRl;
  for (std::string& name : names) action.replicas.emplace_back(std::move(name));
  return action;
}

State with_leases(std::vector<std::string> names, bool seen = false) {
  State state;
  for (const std::string& name : names) {
    Lease lease;
    lease.deployment = kRl;
    lease.seen = seen;
    state.leases[ReplicaId(name)] = lease;
  }
  return state;
}

TEST(Reduce, WhatCertainlyDoesNotExistGivesItsLeaseBack) {
  Outcome outcome;
  outcome.kind = OutcomeKind::failed;
  outcome.not_started = {ReplicaId("b")};
  const State state = reduce(with_leases({"a", "b"}), outcome, start_of({"a", "b"}));
  EXPECT_TRUE(state.leases.contains(ReplicaId("a")));
  EXPECT_FALSE(state.leases.contains(ReplicaId("b")));
  EXPECT_EQ(state.deployments.at(kRl).failures, 1);
}

TEST(Reduce, AFailureWithoutProofKeepsTheLease) {
  Outcome outcome;
  outcome.kind = OutcomeKind::failed;
  EXPECT_EQ(reduce(with_leases({"a"}), outcome, start_of({"a"})).leases.size(), 1u);
}

TEST(Reduce, AReplicaThatWasSeenIsNotForgottenByAnOutcome) {
  Outcome outcome;
  outcome.kind = OutcomeKind::failed;
  outcome.not_started = {ReplicaId("a")};
  EXPECT_EQ(reduce(with_leases({"a"}, true), outcome, start_of({"a"})).leases.size(), 1u);
}

TEST(Reduce, WhatWasOnlyAdvisedLeavesNoTrace) {
  Outcome outcome;
  outcome.kind = OutcomeKind::advised;
  EXPECT_TRUE(reduce(with_leases({"a", "b"}), outcome, start_of({"a", "b"})).leases.empty());
}

TEST(Reduce, EventsSetAndClearOverridesAndDemand) {
  Event set;
  set.set = Override{};
  set.set->id = OverrideId("o1");
  State state = reduce(State{}, set);
  EXPECT_EQ(state.overrides.size(), 1u);
  Event demand;
  demand.subject = "rl";
  demand.demand = Demand{};
  state = reduce(std::move(state), demand);
  EXPECT_EQ(state.demand.count(JobId("rl")), 1u);
  Event cleared;
  cleared.cleared = OverrideId("o1");
  EXPECT_TRUE(reduce(std::move(state), cleared).overrides.empty());
}

// Found by the simulator: seeds 54 and 97, ten days.
TEST(Rebased, AClockThatWentBackTakesTheStampsWithIt) {
  State state;
  Lease lease;
  lease.since = lease.said_at = at_second(3'600);
  lease.drain_deadline = at_second(3'660);
  state.leases[ReplicaId("r1")] = lease;
  const State moved = rebased(state, at_second(10));
  EXPECT_EQ(moved.leases.at(ReplicaId("r1")).said_at, TimePoint{}) << "said again at once";
  EXPECT_EQ(moved.leases.at(ReplicaId("r1")).drain_deadline, at_second(70));
  EXPECT_EQ(moved.leases.at(ReplicaId("r1")).asked_at, TimePoint{}) << "never stamped";
  EXPECT_EQ(rebased(state, at_second(7'200)), state) << "a clock that went on changes nothing";
}

}  // namespace
}  // namespace ebb::testing
