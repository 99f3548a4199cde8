#include "tests/emulators/engine/scheduler.hpp"

#include <gtest/gtest.h>

#include <map>

namespace ebb::emulator {
namespace {

SchedulerConfig small() {
  SchedulerConfig config;
  config.max_num_seqs = 4;
  config.max_batched_tokens = 100;
  config.prefill_tokens_per_s = 1000;
  config.decode_tokens_per_s = 10;
  config.batch_slowdown = 0.5;
  config.block_size = 10;
  config.kv_blocks = 100;
  config.max_model_len = 500;
  return config;
}

SequenceSpec spec(std::uint64_t id, int prompt, int output) {
  SequenceSpec s;
  s.id = id;
  s.prompt_tokens = prompt;
  s.output_tokens = output;
  return s;
}

/// Runs until idle; the time that passed, and each sequence's tokens.
struct Ran {
  double seconds = 0;
  int steps = 0;
  int preempted = 0;
  std::map<std::uint64_t, int> tokens;
  std::map<std::uint64_t, double> ended_at;
};

Ran run(Scheduler& scheduler) {
  Ran result;
  while (const auto plan = scheduler.begin_step()) {
    result.seconds += plan->duration;
    result.preempted += plan->preempted;
    if (++result.steps > 10'000) {
      ADD_FAILURE() << "the scheduler makes no progress";
      return result;
    }
    for (const TokenEvent& event : scheduler.finish_step()) {
      EXPECT_EQ(event.position, result.tokens[event.id]) << "tokens come in order, each once";
      ++result.tokens[event.id];
      if (event.last) result.ended_at[event.id] = result.seconds;
    }
  }
  return result;
}

TEST(Scheduler, IsIdleWithoutWork) {
  Scheduler scheduler(small());
  EXPECT_FALSE(scheduler.begin_step());
  EXPECT_TRUE(scheduler.idle());
}

TEST(Scheduler, OneSequenceTakesPrefillPlusDecode) {
  Scheduler scheduler(small());
  scheduler.submit(spec(1, 50, 5));
  const Ran result = run(scheduler);
  // 50 tokens of prefill at 1000/s give the first token; four more at 10/s.
  EXPECT_NEAR(result.seconds, 0.05 + 4 * 0.1, 1e-9);
  EXPECT_EQ(result.tokens.at(1), 5);
  EXPECT_EQ(scheduler.used_blocks(), 0);
}

TEST(Scheduler, ALargerBatchIsSlowerEachButFasterTogether) {
  Scheduler one(small());
  one.submit(spec(1, 1, 11));
  Scheduler three(small());
  for (std::uint64_t id = 1; id <= 3; ++id) three.submit(spec(id, 1, 11));
  const double alone = run(one).seconds;
  const double together = run(three).seconds;
  EXPECT_NEAR(alone, 0.001 + 10 * 0.1, 1e-9);
  EXPECT_NEAR(together, 0.003 + 10 * 0.2, 1e-9);
  EXPECT_LT(together, 3 * alone);
}

TEST(Scheduler, ALongPromptIsPrefilledInChunks) {
  Scheduler scheduler(small());
  scheduler.submit(spec(1, 250, 1));
  const Ran result = run(scheduler);
  EXPECT_EQ(result.steps, 3);
  EXPECT_NEAR(result.seconds, 0.25, 1e-9);
}

TEST(Scheduler, WhoFindsNoPlaceWaitsInOrderOfArrival) {
  Scheduler scheduler(small());
  for (std::uint64_t id = 1; id <= 6; ++id) scheduler.submit(spec(id, 1, 10));
  ASSERT_TRUE(scheduler.begin_step());
  EXPECT_EQ(scheduler.running(), 4);
  EXPECT_EQ(scheduler.waiting(), 2);
  Scheduler fresh(small());
  for (std::uint64_t id = 1; id <= 6; ++id) fresh.submit(spec(id, 1, 10));
  const Ran result = run(fresh);
  EXPECT_LT(result.ended_at.at(4), result.ended_at.at(5));
  EXPECT_LE(result.ended_at.at(5), result.ended_at.at(6));
}

TEST(Scheduler, TellsWhoLeftTheQueueOnlyOnce) {
  Scheduler scheduler(small());
  scheduler.submit(spec(7, 250, 3));
  std::vector<std::uint64_t> seen;
  while (const auto plan = scheduler.begin_step()) {
    seen.insert(seen.end(), plan->first_scheduled.begin(), plan->first_scheduled.end());
    scheduler.finish_step();
  }
  EXPECT_EQ(seen, std::vector<std::uint64_t>{7});
}

TEST(Scheduler, AFullCachePreemptsTheNewestAndLosesNoToken) {
  SchedulerConfig config = small();
  config.kv_blocks = 6;  // 60 tokens for two sequences of up to 50
  Scheduler scheduler(config);
  scheduler.submit(spec(1, 20, 30));
  scheduler.submit(spec(2, 20, 30));
  const Ran result = run(scheduler);
  EXPECT_GT(result.preempted, 0);
  EXPECT_EQ(result.tokens.at(1), 30);
  EXPECT_EQ(result.tokens.at(2), 30);
  EXPECT_LT(result.ended_at.at(1), result.ended_at.at(2)) << "the older one is never the victim";
  EXPECT_EQ(scheduler.used_blocks(), 0);
}

TEST(Scheduler, NeverUsesMoreBlocksThanThereAre) {
  SchedulerConfig config = small();
  config.kv_blocks = 7;
  Scheduler scheduler(config);
  for (std::uint64_t id = 1; id <= 5; ++id) scheduler.submit(spec(id, 15, 40));
  int peak = 0;
  while (scheduler.begin_step()) {
    peak = std::max(peak, scheduler.used_blocks());
    ASSERT_LE(scheduler.used_blocks(), 7);
    ASSERT_LE(scheduler.running(), config.max_num_seqs);
    scheduler.finish_step();
  }
  EXPECT_GE(peak, 6);
}

TEST(Scheduler, RefusesWhatCanNeverRun) {
  SchedulerConfig config = small();
  config.kv_blocks = 20;  // 200 tokens, less than the context
  const Scheduler scheduler(config);
  EXPECT_TRUE(scheduler.fits(100, 100));
  EXPECT_FALSE(scheduler.fits(101, 100));
  EXPECT_FALSE(Scheduler(small()).fits(400, 101));
  EXPECT_FALSE(Scheduler(small()).fits(2'147'483'000, 2'147'483'000)) << "no overflow";
}

TEST(Scheduler, RetractedSequencesGiveTheirBlocksBackAndLoseNoToken) {
  Scheduler scheduler(small());
  scheduler.submit(spec(1, 20, 10));
  scheduler.submit(spec(2, 20, 10));
  for (int i = 0; i < 3; ++i) {
    scheduler.begin_step();
    scheduler.finish_step();
  }
  scheduler.retract();
  EXPECT_EQ(scheduler.used_blocks(), 0);
  EXPECT_EQ(scheduler.waiting(), 2);
  const auto plan = scheduler.begin_step();
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->prefill_tokens, 2 * 23) << "the prompt and what there was, computed anew";
  const auto events = scheduler.finish_step();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].id, 1u) << "in the order in which they came";
  EXPECT_EQ(events[0].position, 3);
}

TEST(Scheduler, ARetargetedSequenceEndsAtItsNewLength) {
  Scheduler scheduler(small());
  scheduler.submit(spec(1, 1, 50));
  scheduler.begin_step();
  scheduler.finish_step();
  scheduler.retarget(1, 4);
  int tokens = 1;
  while (scheduler.begin_step()) tokens += static_cast<int>(scheduler.finish_step().size());
  EXPECT_EQ(tokens, 4);
}

TEST(Scheduler, AnAbortFreesItsBlocksAtOnce) {
  Scheduler scheduler(small());
  scheduler.submit(spec(1, 50, 100));
  scheduler.submit(spec(2, 50, 100));
  scheduler.begin_step();
  EXPECT_TRUE(scheduler.abort(1));  // in the middle of a step
  EXPECT_FALSE(scheduler.abort(1));
  EXPECT_EQ(scheduler.used_blocks(), 5);
  const auto events = scheduler.finish_step();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events.front().id, 2u);
  EXPECT_TRUE(scheduler.abort(2));
  EXPECT_TRUE(scheduler.idle());
  EXPECT_DOUBLE_EQ(scheduler.kv_usage(), 0);
}

}  // namespace
}  // namespace ebb::emulator
