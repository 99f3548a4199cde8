#include "daemon/core/chain.hpp"

#include <gtest/gtest.h>

#include <set>

namespace ebb {
namespace {

constexpr TimePoint kNow{Duration{1'000'000}};

Publication full(const std::string& name, std::optional<std::int64_t> step = std::nullopt) {
  Publication said;
  said.identity = Identity(name);
  said.run = "run";
  said.step = step;
  return said;
}

Publication on_top(const std::string& name, const std::string& parent,
                   std::optional<std::int64_t> step = std::nullopt) {
  Publication said = full(name, step);
  said.kind = SnapshotKind::incremental;
  said.parent = Identity(parent);
  return said;
}

Chain taken(Chain chain, const Publication& said) {
  Result<ChainStep> step = published(std::move(chain), said, {}, {}, kNow);
  EXPECT_TRUE(step.ok()) << (step.ok() ? "" : step.error().what);
  return step.ok() ? std::move(step->chain) : Chain();
}

Chain serving(Chain chain, const Publication& said) {
  chain = taken(std::move(chain), said);
  for (const SnapshotEvent event : {SnapshotEvent::verified, SnapshotEvent::signalled, SnapshotEvent::reached}) {
    chain = after(std::move(chain), said.identity, event, "", kNow).chain;
  }
  return chain;
}

/// "a" is full, each further one builds on the one before.
Chain chain_of(const std::vector<std::string>& names) {
  Chain chain;
  for (std::size_t i = 0; i < names.size(); ++i) {
    chain = serving(std::move(chain), i == 0 ? full(names[i]) : on_top(names[i], names[i - 1]));
  }
  return chain;
}

std::vector<std::string> names_of(const std::vector<Snapshot>& path) {
  std::vector<std::string> names;
  for (const Snapshot& snapshot : path) names.push_back(snapshot.identity().value);
  return names;
}

SnapshotPlan plan_for(const Chain& chain, int full_every = 25, const ChainRules& rules = {}) {
  Result<ChainStep> step = planned(chain, "run", std::nullopt, {full_every, "test"}, rules, false);
  EXPECT_TRUE(step.ok()) << (step.ok() ? "" : step.error().what);
  return step.ok() ? *step->chain.planned : SnapshotPlan();
}

TEST(Chain, SixtyStepsAreFullAtOneTwentySixAndFiftyOne) {
  Chain chain;
  std::set<int> fulls;
  for (int number = 1; number <= 60; ++number) {
    const SnapshotPlan plan = plan_for(chain);
    if (plan.kind == SnapshotKind::full) fulls.insert(number);
    Publication said;
    said.identity = plan.identity;
    said.kind = plan.kind;
    said.parent = plan.parent;
    said.run = plan.run;
    said.step = plan.step;
    chain = serving(std::move(chain), said);
  }
  EXPECT_EQ(fulls, (std::set<int>{1, 26, 51}));
}

TEST(Chain, NeverMoreThanThirtyOnTopOfAFullOneWhateverThePolicyOrTheTrainerSays) {
  Chain chain = serving({}, full("s0"));
  for (int i = 1; i <= kMostSinceFull; ++i) {
    chain = serving(std::move(chain), on_top("s" + std::to_string(i), "s" + std::to_string(i - 1)));
  }
  EXPECT_EQ(plan_for(chain, 1'000).kind, SnapshotKind::full);
  const auto refused = published(chain, on_top("s31", "s30"), {}, {}, kNow);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
}

TEST(Chain, AVendorsLimitEndsTheChainEarlier) {
  HotloadCapabilities vendor;
  vendor.incrementals_max = 2;
  const ChainRules rules = chain_rules({}, {HotloadCapabilities(), vendor});
  EXPECT_EQ(plan_for(chain_of({"a", "b"}), 25, rules).kind, SnapshotKind::incremental);
  EXPECT_EQ(plan_for(chain_of({"a", "b", "c"}), 25, rules).kind, SnapshotKind::full);
  vendor.incrementals_max = 128;
  EXPECT_EQ(chain_rules({}, {vendor}).incrementals_max, kMostSinceFull);
}

TEST(Chain, AdaptersAreAlwaysFull) {
  SnapshotsConfig config;
  config.adapter = true;
  const ChainRules rules = chain_rules(config, {HotloadCapabilities()});
  EXPECT_EQ(plan_for(chain_of({"a"}), 25, rules).kind, SnapshotKind::full);
  const auto refused = published(chain_of({"a"}), on_top("b", "a"), {}, rules, kNow);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::invalid);
}

TEST(Chain, AFleetThatAppliesNoIncrementsIsNeverAskedTo) {
  HotloadCapabilities stock;
  stock.incremental = false;
  stock.no_incremental_why = "stock vLLM has no file deltas";
  const ChainRules rules = chain_rules({}, {stock});
  EXPECT_EQ(plan_for(chain_of({"a"}), 25, rules).reason, "stock vLLM has no file deltas");
  const auto refused = published(chain_of({"a"}), on_top("b", "a"), {}, rules, kNow);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().what.find("stock vLLM"), std::string::npos);
}

TEST(Chain, TheSameWordsTwiceAreOneSnapshotAndOtherWordsAConflict) {
  const Chain chain = chain_of({"a"});
  Known known;
  known.same = chain.links.back();
  const auto again = published(chain, full("a"), known, {}, kNow);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->repeated);
  EXPECT_EQ(again->chain, chain);
  const auto other = published(chain, on_top("a", "z"), known, {}, kNow);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, ErrorCode::conflict);
}

TEST(Chain, RefusalsNameTheirReason) {
  struct Row {
    int line;
    Publication said;
    ErrorCode code;
    const char* word;
  };
  Chain chain = serving({}, full("a", 10));
  chain = serving(std::move(chain), on_top("b", "a", 11));
  Publication parented = full("f", 12);
  parented.parent = Identity("b");
  const Row rows[] = {
      {__LINE__, on_top("c", "a", 12), ErrorCode::conflict, "fork"},
      {__LINE__, on_top("c", "x", 12), ErrorCode::conflict, "not in the chain"},
      {__LINE__, on_top("c", "b", 11), ErrorCode::conflict, "rewind"},
      {__LINE__, full("c", 3), ErrorCode::conflict, "rewind"},
      {__LINE__, on_top("c", "", 12), ErrorCode::invalid, "parent"},
      {__LINE__, on_top("c", "c", 12), ErrorCode::invalid, "its own parent"},
      {__LINE__, parented, ErrorCode::invalid, "no parent"},
      {__LINE__, full("a/b", 12), ErrorCode::invalid, "slash"},
      {__LINE__, full("", 12), ErrorCode::invalid, "empty"},
      {__LINE__, full("..", 12), ErrorCode::invalid, "dot"},
      {__LINE__, full(std::string(201, 'x'), 12), ErrorCode::invalid, "longer"},
      {__LINE__, full("c", -1), ErrorCode::conflict, "0 or more"},
  };
  for (const Row& row : rows) {
    const auto refused = published(chain, row.said, {}, {}, kNow);
    ASSERT_FALSE(refused.ok()) << "row at line " << row.line;
    EXPECT_EQ(refused.error().code, row.code) << "row at line " << row.line;
    EXPECT_NE(refused.error().what.find(row.word), std::string::npos) << row.line << ": " << refused.error().what;
  }
}

TEST(Chain, ANewRunBeginsWithAFullSnapshotAndAnOldOneDoesNotComeBack) {
  Publication first = full("a", 7);
  first.run = "one";
  const Chain chain = serving({}, first);
  Publication other = on_top("b", "a", 0);
  other.run = "two";
  EXPECT_FALSE(published(chain, other, {}, {}, kNow).ok());
  Publication begun = full("c", 0);
  begun.run = "two";
  const Chain later = serving(chain, begun);
  EXPECT_EQ(later.run, "two");
  Known known;
  known.run_is_over = true;
  Publication stale = full("d", 8);
  stale.run = "one";
  EXPECT_FALSE(published(later, stale, known, {}, kNow).ok());
}

TEST(Chain, AFailureMakesTheNextPlanFullUnderANewName) {
  Chain chain = chain_of({"a", "b"});
  const SnapshotPlan before = plan_for(chain);
  chain = taken(std::move(chain), on_top("c", "b"));
  chain = after(std::move(chain), Identity("c"), SnapshotEvent::verified, "", kNow).chain;
  chain = after(std::move(chain), Identity("c"), SnapshotEvent::signalled, "", kNow).chain;
  chain = after(std::move(chain), Identity("c"), SnapshotEvent::failed, "bad checksum", kNow).chain;
  const SnapshotPlan plan = plan_for(chain);
  EXPECT_EQ(plan.kind, SnapshotKind::full);
  EXPECT_NE(plan.reason.find("bad checksum"), std::string::npos);
  EXPECT_EQ(plan.step, before.step) << "the step is written once more";
  EXPECT_NE(plan.identity, before.identity);
  EXPECT_FALSE(published(chain, on_top("d", "b"), {}, {}, kNow).ok());
  EXPECT_TRUE(published(chain, full("d"), {}, {}, kNow).ok());
}

TEST(Chain, WhatWaitsOnTopOfAFailureIsDroppedUpToTheNextFullOne) {
  Chain chain = chain_of({"a"});
  for (const auto& said : {on_top("b", "a"), on_top("c", "b"), full("f"), on_top("g", "f")}) {
    chain = taken(std::move(chain), said);
  }
  const ChainStep step = after(chain, Identity("b"), SnapshotEvent::rejected, "no index", kNow);
  EXPECT_EQ(names_of(step.changed), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(step.changed[1].phase, SnapshotPhase::dropped);
  EXPECT_EQ(names_of(step.chain.waiting), (std::vector<std::string>{"f", "g"}));
  EXPECT_TRUE(step.chain.why_full.empty()) << "the full one is there already";
}

TEST(Chain, ThePathLeadsFromWhatIsLoadedToTheTarget) {
  Chain chain = chain_of({"a", "b", "c"});
  EXPECT_EQ(names_of(path_to_target(chain, Identity("c"))), (std::vector<std::string>{}));
  EXPECT_EQ(names_of(path_to_target(chain, Identity("a"))), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(names_of(path_to_target(chain, Identity())), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(names_of(path_to_target(chain, Identity("foreign"))), (std::vector<std::string>{"a", "b", "c"}));
  chain = taken(std::move(chain), full("f"));
  EXPECT_EQ(names_of(path_to_target(chain, Identity("b"))), (std::vector<std::string>{"c"})) << "not verified yet";
  chain = after(std::move(chain), Identity("f"), SnapshotEvent::verified, "", kNow).chain;
  EXPECT_EQ(names_of(path_to_target(chain, Identity("c"))), (std::vector<std::string>{"f"}));
}

TEST(Chain, AResetForgetsEverythingButTheNames) {
  Chain chain = chain_of({"a", "b"});
  chain = taken(std::move(chain), on_top("c", "b"));
  const std::string before = plan_for(chain).identity.value;
  const ChainStep step = reset(chain, kNow);
  EXPECT_EQ(names_of(step.changed), (std::vector<std::string>{"c"}));
  EXPECT_EQ(plan_for(step.chain).kind, SnapshotKind::full);
  EXPECT_EQ(plan_for(step.chain).reason, "the ledger was reset");
  EXPECT_FALSE(published(step.chain, on_top("d", "b"), {}, {}, kNow).ok());
  EXPECT_TRUE(published(step.chain, full("d", 0), {}, {}, kNow).ok()) << "steps may begin anew";
  EXPECT_FALSE(versions_behind(step.chain, Identity("b")).has_value());
}

TEST(Chain, PlanningTwiceSaysTheSame) {
  const Chain chain = chain_of({"a"});
  EXPECT_EQ(plan_for(chain), plan_for(chain));
}

}  // namespace
}  // namespace ebb
