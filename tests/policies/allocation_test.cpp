#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "policies/allocation/max_min.hpp"
#include "policies/allocation/priority.hpp"
#include "policies/registry.hpp"
#include "policies/victim/cheapest_return.hpp"
#include "policies/victim/least_lost.hpp"
#include "policies/victim/newest.hpp"
#include "tests/support/builders.hpp"

namespace ebb::testing {
namespace {

Claim claim(double weight, int cap, int gpus = 1, int guarantee = 0) {
  return {JobId("j"), weight, Replicas{guarantee}, Replicas{cap}, Gpus{gpus}};
}

Claim at_priority(int priority, Claim claim) {
  claim.priority = priority;
  return claim;
}

std::vector<int> shared(int slack, const std::vector<Claim>& claims, const AllocationPolicy& policy = MaxMin{}) {
  std::vector<int> out;
  for (const Replicas given : policy.share(Gpus{slack}, claims)) out.push_back(given.count);
  return out;
}

struct Row {
  int line;
  const char* what;
  int slack;
  std::vector<Claim> claims;
  std::vector<int> given;
};

TEST(MaxMin, SharesAsTheTableSays) {
  const std::vector<Row> rows{
      {__LINE__, "nothing to share", 0, {claim(1, 9), claim(1, 9)}, {0, 0}},
      {__LINE__, "equal weights", 10, {claim(1, 99), claim(1, 99)}, {5, 5}},
      {__LINE__, "the earlier name takes the odd one", 9, {claim(1, 99), claim(1, 99)}, {5, 4}},
      {__LINE__, "weights", 9, {claim(2, 99), claim(1, 99)}, {6, 3}},
      {__LINE__, "a small cap leaves the rest to the others", 10, {claim(1, 2), claim(1, 99)}, {2, 8}},
      {__LINE__, "nobody wants all", 10, {claim(1, 2), claim(1, 3)}, {2, 3}},
      {__LINE__, "fair in GPUs, not in replicas", 16, {claim(1, 99, 1), claim(1, 99, 4)}, {8, 2}},
      {__LINE__, "what is too large gives way to what fits", 7, {claim(1, 99, 4), claim(1, 99, 2)}, {1, 1}},
      {__LINE__, "guarantees first", 4, {claim(100, 99), claim(1, 99, 1, 3)}, {1, 3}},
      {__LINE__, "guarantees share a shortage", 4, {claim(1, 99, 1, 4), claim(1, 99, 1, 4)}, {2, 2}},
      {__LINE__, "a guarantee beyond the cap is the cap", 4, {claim(1, 1, 1, 3), claim(1, 99)}, {1, 3}},
      {__LINE__, "no claims", 4, {}, {}},
  };
  for (const Row& row : rows) EXPECT_EQ(shared(row.slack, row.claims), row.given) << row.what << ", line " << row.line;
}

TEST(Priority, SharesAsTheTableSays) {
  const std::vector<Row> rows{
      {__LINE__, "the higher takes all it can use", 10, {claim(9, 99), at_priority(1, claim(1, 99))}, {0, 10}},
      {__LINE__, "and leaves what it cannot", 10, {claim(1, 99), at_priority(1, claim(1, 4))}, {6, 4}},
      {__LINE__, "guarantees before priority", 10, {claim(1, 99, 1, 3), at_priority(1, claim(1, 99))}, {3, 7}},
      {__LINE__, "the higher guarantee first", 4, {at_priority(-1, claim(1, 99, 1, 3)), claim(1, 99, 1, 3)}, {1, 3}},
      {__LINE__,
       "equals share by weight",
       9,
       {at_priority(5, claim(2, 99)), at_priority(5, claim(1, 99)), claim(1, 99)},
       {6, 3, 0}},
      {__LINE__, "too large for the rest", 3, {claim(1, 99), at_priority(1, claim(1, 99, 2))}, {1, 1}},
      {__LINE__, "no claims", 4, {}, {}},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(shared(row.slack, row.claims, PriorityAllocation{}), row.given) << row.what << ", line " << row.line;
  }
}

/// The definition: the next replica goes to whoever has the fewest GPUs per weight and can still take one.
std::vector<int> one_by_one(int room, const std::vector<Claim>& claims) {
  std::vector<int> given(claims.size());
  const auto turn = [&](const auto& limit) {
    for (;;) {
      std::size_t poorest = claims.size();
      double least = 0;
      for (std::size_t i = 0; i < claims.size(); ++i) {
        const int each = claims[i].gpus_per_replica.count;
        const double has = given[i] * each / claims[i].weight;
        if (given[i] >= limit(claims[i]) || each > room) continue;
        if (poorest == claims.size() || has < least) poorest = i, least = has;
      }
      if (poorest == claims.size()) return;
      ++given[poorest];
      room -= claims[poorest].gpus_per_replica.count;
    }
  };
  turn([](const Claim& claim) { return std::min(claim.guarantee, claim.cap).count; });
  turn([](const Claim& claim) { return claim.cap.count; });
  return given;
}

TEST(MaxMin, GivesWhatTakingTurnsOneReplicaAtATimeGives) {
  constexpr unsigned kSeed = 7;
  std::minstd_rand random(kSeed);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same claims every time
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int i = 0; i < 5'000; ++i) {
    std::vector<Claim> claims;
    for (int left = below(4); left >= 0; --left)
      claims.push_back(claim(0.5 * (1 + below(6)), below(12), 1 + below(4), below(5)));
    const int slack = below(60) - 5;
    EXPECT_EQ(shared(slack, claims, MaxMin{}), one_by_one(slack, claims)) << "seed " << kSeed << ", claims " << i;
  }
}

TEST(Allocation, NeverGivesMoreThanThereIs) {
  for (const auto name : allocation_policies()) {
    for (int slack = 0; slack < 40; ++slack) {
      const std::vector<Claim> claims{claim(1, 5, 3, 2), at_priority(2, claim(2.5, 9, 2)), claim(0.1, 7, 5, 1),
                                      at_priority(-3, claim(7, 2, 8))};
      const auto given = make_allocation(name)->share(Gpus{slack}, claims);
      int used = 0;
      for (std::size_t i = 0; i < claims.size(); ++i) {
        EXPECT_LE(given[i], claims[i].cap);
        used += given[i].count * claims[i].gpus_per_replica.count;
      }
      EXPECT_LE(used, slack) << name;
    }
  }
}

Candidate candidate(const char* id, LeasePhase phase, double started, double serving) {
  Candidate out{.replica = ReplicaId(id), .phase = phase, .started_at = at_second(started), .gpus = Gpus{1}};
  if (phase == LeasePhase::serving) out.start_took = at_second(serving) - at_second(started);
  out.age = at_second(100) - at_second(started);
  return out;
}

Candidate working(const char* id, std::optional<double> rollouts, double started = 1) {
  Candidate out = candidate(id, LeasePhase::serving, started, started);
  out.in_flight = rollouts;
  return out;
}

std::vector<std::string> order_of(const VictimPolicy& policy, std::vector<Candidate> candidates) {
  std::vector<std::string> names;
  for (const Candidate& c : policy.order(std::move(candidates))) names.push_back(c.replica.value);
  return names;
}

TEST(Newest, WhoServesNobodyLeavesFirstThenTheYoungest) {
  const auto names =
      order_of(NewestVictim{},
               {candidate("old", LeasePhase::serving, 1, 1), candidate("young", LeasePhase::serving, 9, 9),
                candidate("starting", LeasePhase::starting, 5, 5), candidate("twin", LeasePhase::serving, 9, 9)});
  EXPECT_EQ(names, (std::vector<std::string>{"starting", "young", "twin", "old"}));
}

TEST(LeastLost, WhoWorksOnTheFewestRolloutsLeavesFirst) {
  const auto names = order_of(LeastLostVictim{}, {working("nine", 9), working("none", 0), working("three", 3),
                                                  candidate("starting", LeasePhase::starting, 5, 5)});
  EXPECT_EQ(names, (std::vector<std::string>{"starting", "none", "three", "nine"}));
}

TEST(LeastLost, UnknownCountsAsTheMost) {
  const auto names = order_of(LeastLostVictim{}, {working("unknown", std::nullopt), working("busy", 1e9)});
  EXPECT_EQ(names, (std::vector<std::string>{"busy", "unknown"}));
}

TEST(LeastLost, BetweenEqualsTheYoungestLeaves) {
  const auto names = order_of(LeastLostVictim{}, {working("a", std::nullopt, 1), working("b", std::nullopt, 7),
                                                  working("c", std::nullopt, 7), working("d", std::nullopt, 3)});
  EXPECT_EQ(names, (std::vector<std::string>{"c", "b", "d", "a"}));
}

TEST(CheapestReturn, WhoDoesNotServeYetLeavesBeforeWhoStartedFast) {
  const auto names =
      order_of(CheapestReturnVictim{},
               {candidate("slow", LeasePhase::serving, 10, 70), candidate("fast", LeasePhase::serving, 1, 21),
                candidate("starting", LeasePhase::starting, 5, 5), candidate("syncing", LeasePhase::syncing, 3, 50)});
  EXPECT_EQ(names, (std::vector<std::string>{"starting", "syncing", "fast", "slow"}));
}

TEST(CheapestReturn, BetweenEqualStartsTheYoungerLeaves) {
  const auto names = order_of(CheapestReturnVictim{}, {candidate("old", LeasePhase::serving, 1, 21),
                                                       candidate("young", LeasePhase::serving, 50, 70)});
  EXPECT_EQ(names, (std::vector<std::string>{"young", "old"}));
}

}  // namespace
}  // namespace ebb::testing
