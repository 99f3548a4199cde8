// exec and plugin: advice that is there, and what happens without it.
#include <gtest/gtest.h>

#include "policies/capacity/exec.hpp"
#include "policies/capacity/plugin.hpp"
#include "tests/policies/probe.hpp"

namespace ebb::testing {
namespace {

Reading<Advice> advice(double need, const std::string& note = "busy") {
  return Sample<Advice>{{need, note}, at_second(10)};
}

CapacityProposal proposed(const CapacityPolicy& policy, const Reading<Advice>& said, double load = 30,
                          const PolicyMemory& memory = {}, double second = 10) {
  const auto signals = in_flight(second, load);
  return policy.propose({.deployment = kChat,
                         .signals = signals,
                         .ready = Replicas{1},
                         .min = Replicas{0},
                         .max = Replicas{100},
                         .reclaim = Duration{60'000},
                         .memory = memory,
                         .now = at_second(second),
                         .advice = said});
}

TEST(Advised, IsTheAdviceRoundedUp) {
  const ExecCapacity policy;
  EXPECT_EQ(proposed(policy, advice(2.2)).need, Replicas{3});
  EXPECT_EQ(proposed(policy, advice(0)).need, Replicas{0});
  EXPECT_EQ(proposed(policy, advice(1e300)).need, Replicas{1'000'000});
}

TEST(Advised, QuotesTheNoteAndNothingOfTheFallback) {
  const CapacityProposal out = proposed(PluginCapacity(), advice(2.2));
  ASSERT_EQ(out.why.size(), 1u);
  EXPECT_EQ(to_sentence(out.why[0]), "chat@p: plugin advises 2.2 (busy): 3 replicas");
  EXPECT_EQ(to_sentence(proposed(ExecCapacity(), advice(1, "")).why[0]),
            "chat@p: exec advises 1 (without a note): 1 replicas");
}

TEST(Advised, WithoutAdviceTheFallbackDecidesAndAStepSaysWhy) {
  const CapacityProposal out = proposed(ExecCapacity(), Missing{"no answer within 200ms", at_second(10)});
  EXPECT_EQ(out.need, Replicas{2}) << "30 in flight at 16 a replica";
  ASSERT_GE(out.why.size(), 2u);
  EXPECT_EQ(to_sentence(out.why[0]), "chat@p: exec gave no advice (no answer within 200ms): target_tracking decides");
  EXPECT_EQ(out.why[1].rule, "need.target_tracking");
}

TEST(Advised, IsKnownWhenAdvisedAndElseWhenTheFallbackKnows) {
  const ExecCapacity policy;
  const std::map<std::string, SignalSeen> none;
  const PolicyMemory memory;
  CapacityInput input{kChat, none, Replicas{1}, Replicas{0}, Replicas{9}, Duration{0}, memory, at_second(10), {}};
  EXPECT_FALSE(policy.propose(input).known);
  input.advice = advice(2);
  EXPECT_TRUE(policy.propose(input).known);
}

TEST(Advised, ItsFallbackLearnsWhileItIsAdvised) {
  const ExecCapacity policy;
  const CapacityProposal advised = proposed(policy, advice(1), 160);
  EXPECT_EQ(advised.need, Replicas{1});
  EXPECT_LE(advised.memory.numbers.size(), policy.memory_size());
  EXPECT_EQ(proposed(policy, Missing{"dead", at_second(10)}, 16, advised.memory).need, Replicas{10})
      << "its stabilisation remembers 160 in flight";
}

/// Asks again and again, with what the last proposal left behind.
struct Talk {
  ExecCapacity policy;
  PolicyMemory memory{};
  CapacityProposal last{};
  int need(double second, const Reading<Advice>& said, double load = 30) {
    last = proposed(policy, said, load, memory, second);
    memory = last.memory;
    return last.need.count;
  }
};

TEST(Advised, AnAnswerThatIsLateOnceEndsNothing) {
  Talk talk;
  const Reading<Advice> late = Missing{"no answer within 200ms", at_second(10)};
  EXPECT_EQ(talk.need(10, advice(30)), 30);
  EXPECT_EQ(talk.need(15, late), 30);
  EXPECT_EQ(to_sentence(talk.last.why.back()), "chat@p: 2 replicas, keeps the 30 that were advised within 5m");
  EXPECT_EQ(talk.need(20, advice(3)), 3) << "a new answer may be lower at once";
  EXPECT_EQ(talk.need(25, late, 160), 10) << "and the fallback's need higher";
}

TEST(Advised, AfterAWhileWithoutAnswersTheFallbackAloneDecides) {
  Talk talk;
  const Reading<Advice> dead = Missing{"it is down", at_second(10)};
  (void)talk.need(10, advice(30));
  EXPECT_EQ(talk.need(309, dead), 30);
  EXPECT_EQ(talk.need(310, dead), 2);
  EXPECT_EQ(talk.need(0, dead), 2) << "what was advised before the clock was set back says nothing";
}

TEST(Advised, AMemoryOfAnotherPolicyIsIgnored) {
  const ExecCapacity policy;
  const PolicyMemory left = proposed(policy, advice(1), 160).memory;
  EXPECT_EQ(proposed(PluginCapacity(), Reading<Advice>(), 16, left).need, Replicas{1});
  const auto a_moment_ago = static_cast<double>(at_second(9).time_since_epoch().count());
  for (const std::vector<double>& numbers :
       {std::vector<double>{}, {-1}, {0, 0, -1}, {0, 0, 1e300, 3}, {1e300, a_moment_ago, 0}}) {
    EXPECT_EQ(proposed(policy, Reading<Advice>(), 16, {left.version, numbers}).need, Replicas{1});
  }
}

TEST(Advised, SaysWhomToAsk) {
  EXPECT_TRUE(ExecCapacity().adviser()->plugin.empty());
  EXPECT_EQ(PluginCapacity().adviser()->deadline, Duration{200});
  EXPECT_FALSE(make_capacity("fixed")->adviser());
  EXPECT_EQ(ExecCapacity().problems().at(0).option, "command");
  EXPECT_EQ(PluginCapacity().problems().at(0).option, "path");
}

}  // namespace
}  // namespace ebb::testing
