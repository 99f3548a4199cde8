#include <gtest/gtest.h>

#include "policies/allocation/max_min.hpp"
#include "policies/victim/newest.hpp"
#include "tests/support/builders.hpp"

namespace ebb::testing {
namespace {

Claim claim(double weight, int cap, int gpus = 1, int guarantee = 0) {
  return {JobId("j"), weight, Replicas{guarantee}, Replicas{cap}, Gpus{gpus}};
}

std::vector<int> shared(int slack, std::vector<Claim> claims) {
  std::vector<int> out;
  for (const Replicas given : MaxMin{}.share(Gpus{slack}, claims)) out.push_back(given.count);
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

TEST(MaxMin, NeverGivesMoreThanThereIs) {
  for (int slack = 0; slack < 40; ++slack) {
    const std::vector<Claim> claims{claim(1, 5, 3, 2), claim(2.5, 9, 2), claim(0.1, 7, 5, 1), claim(7, 2, 8)};
    const auto given = MaxMin{}.share(Gpus{slack}, claims);
    int used = 0;
    for (std::size_t i = 0; i < claims.size(); ++i) {
      EXPECT_LE(given[i], claims[i].cap);
      used += given[i].count * claims[i].gpus_per_replica.count;
    }
    EXPECT_LE(used, slack);
  }
}

TEST(Newest, WhoServesNobodyLeavesFirstThenTheYoungest) {
  const auto candidate = [](const char* id, LeasePhase phase, double started) {
    return Candidate{ReplicaId(id), phase, at_second(started), at_second(started), Gpus{1}};
  };
  const auto order =
      NewestVictim{}.order({candidate("old", LeasePhase::serving, 1), candidate("young", LeasePhase::serving, 9),
                            candidate("starting", LeasePhase::starting, 5), candidate("twin", LeasePhase::serving, 9)});
  std::vector<std::string> names;
  for (const Candidate& c : order) names.push_back(c.replica.value);
  EXPECT_EQ(names, (std::vector<std::string>{"starting", "young", "twin", "old"}));
}

}  // namespace
}  // namespace ebb::testing
