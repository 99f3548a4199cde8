// Continuous batching as arithmetic: which sequences an engine's next step works on, how long it takes, and which
// tokens come out of it. No clock, no I/O: the caller says what time it is and waits for the step's duration.
//
//   submit --> waiting --admit--> running --last token--> finished
//                 ^                  |
//                 +----preempted-----+   (no free KV block: the newest loses its blocks and starts over)
//
// One step gives every running sequence one token of decode or a chunk of its prefill, out of a common token budget:
// the scheme of vLLM's V1 scheduler.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace ebb::emulator {

struct SchedulerConfig {
  int max_num_seqs = 32;          ///< running at most
  int max_batched_tokens = 2048;  ///< per step, prefill and decode together
  double prefill_tokens_per_s = 8000;
  double decode_tokens_per_s = 40;  ///< of a sequence that is alone
  double batch_slowdown = 0.01;     ///< each further sequence of the batch makes a step this much longer
  int block_size = 16;              ///< tokens per KV block
  int kv_blocks = 4096;
  int max_model_len = 8192;  ///< prompt and output together
};

struct SequenceSpec {
  std::uint64_t id = 0;
  int prompt_tokens = 1;
  int output_tokens = 1;
  double arrived = 0;  ///< seconds, on the caller's clock
};

/// What a step is going to do; it is over `duration` seconds after it began.
struct StepPlan {
  double duration = 0;
  int prefill_tokens = 0;
  int decode_tokens = 0;
  int preempted = 0;
  std::vector<std::uint64_t> first_scheduled;  ///< left the queue for the first time
};

/// One token that came out of a step.
struct TokenEvent {
  std::uint64_t id = 0;
  int position = 0;
  bool last = false;
};

class Scheduler {
 public:
  explicit Scheduler(SchedulerConfig config);

  /// False when the sequence could never run here: longer than the model's context or the whole KV cache.
  [[nodiscard]] bool fits(int prompt_tokens, int output_tokens) const;
  /// Puts a sequence that fits at the end of the queue.
  void submit(SequenceSpec spec);
  /// Takes a sequence out, whatever it is doing. False when there is none of that id (any more).
  bool abort(std::uint64_t id);
  /// Every running sequence goes back to the head of the queue and loses its blocks, in the order it came. Not during a
  /// step.
  void retract();
  /// Another number of tokens to generate, more than there are.
  void retarget(std::uint64_t id, int output_tokens);

  /// Decides the next step. Nothing when there is no work. Call `finish_step` before the next one.
  std::optional<StepPlan> begin_step();
  /// The tokens that came out of the step that was begun.
  std::vector<TokenEvent> finish_step();

  [[nodiscard]] int running() const { return static_cast<int>(running_.size()); }
  [[nodiscard]] int waiting() const { return static_cast<int>(waiting_.size()); }
  [[nodiscard]] bool idle() const { return running_.empty() && waiting_.empty(); }
  [[nodiscard]] int used_blocks() const { return config_.kv_blocks - free_blocks_; }
  [[nodiscard]] double kv_usage() const;
  [[nodiscard]] const SchedulerConfig& config() const { return config_; }

 private:
  struct Sequence {
    SequenceSpec spec;
    int computed = 0;  ///< tokens whose KV entries exist
    int generated = 0;
    int blocks = 0;
    int scheduled = 0;  ///< tokens of the step under way
    bool ran_before = false;
    [[nodiscard]] int total() const { return spec.prompt_tokens + generated; }
  };

  [[nodiscard]] int blocks_for(int tokens) const { return (tokens + config_.block_size - 1) / config_.block_size; }
  /// Takes what blocks the sequence needs for `tokens`; false and nothing taken when there are too few.
  bool reserve(Sequence& sequence, int tokens);
  void release(Sequence& sequence);
  /// Sends the newest running sequence back to the head of the queue.
  void preempt_newest();
  void schedule_running(StepPlan& plan, int& budget);
  void admit_waiting(StepPlan& plan, int& budget);
  void count(Sequence& sequence, int tokens, StepPlan& plan, int& budget);
  [[nodiscard]] double duration_of(const StepPlan& plan) const;

  SchedulerConfig config_;
  int free_blocks_;
  std::vector<Sequence> running_;  ///< in the order of admission
  std::deque<Sequence> waiting_;
};

}  // namespace ebb::emulator
