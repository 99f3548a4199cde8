#include "tests/emulators/engine/scheduler.hpp"

#include <algorithm>
#include <utility>

namespace ebb::emulator {

Scheduler::Scheduler(SchedulerConfig config) : config_(config), free_blocks_(config.kv_blocks) {}

bool Scheduler::fits(int prompt_tokens, int output_tokens) const {
  const std::int64_t total = std::int64_t{prompt_tokens} + output_tokens;
  return total <= config_.max_model_len && total <= std::int64_t{config_.kv_blocks} * config_.block_size;
}

void Scheduler::submit(SequenceSpec spec) {
  Sequence sequence;
  sequence.spec = spec;
  waiting_.push_back(sequence);
}

bool Scheduler::abort(std::uint64_t id) {
  const auto matches = [id](const Sequence& s) { return s.spec.id == id; };
  if (const auto found = std::find_if(running_.begin(), running_.end(), matches); found != running_.end()) {
    release(*found);
    running_.erase(found);
    return true;
  }
  const auto queued = std::find_if(waiting_.begin(), waiting_.end(), matches);
  if (queued == waiting_.end()) return false;
  waiting_.erase(queued);
  return true;
}

void Scheduler::retract() {
  while (!running_.empty()) preempt_newest();
}

void Scheduler::retarget(std::uint64_t id, int output_tokens) {
  for (Sequence& sequence : running_) {
    if (sequence.spec.id == id) sequence.spec.output_tokens = output_tokens;
  }
  for (Sequence& sequence : waiting_) {
    if (sequence.spec.id == id) sequence.spec.output_tokens = output_tokens;
  }
}

std::optional<StepPlan> Scheduler::begin_step() {
  if (idle()) return std::nullopt;
  StepPlan plan;
  int budget = config_.max_batched_tokens;
  schedule_running(plan, budget);
  // Whoever was just pushed out for want of blocks must not come straight back in.
  if (plan.preempted == 0) admit_waiting(plan, budget);
  plan.duration = duration_of(plan);
  return plan;
}

void Scheduler::schedule_running(StepPlan& plan, int& budget) {
  for (Sequence& sequence : running_) sequence.scheduled = 0;
  for (std::size_t i = 0; i < running_.size() && budget > 0; ++i) {
    const int tokens = std::min(running_[i].total() - running_[i].computed, budget);
    while (i < running_.size() && !reserve(running_[i], running_[i].computed + tokens)) {
      preempt_newest();  // the newest may be the one that asks: then the loop ends
      ++plan.preempted;
    }
    if (i < running_.size()) count(running_[i], tokens, plan, budget);
  }
}

void Scheduler::admit_waiting(StepPlan& plan, int& budget) {
  while (!waiting_.empty() && budget > 0 && running() < config_.max_num_seqs) {
    Sequence& next = waiting_.front();
    const int tokens = std::min(next.total(), budget);
    if (!reserve(next, tokens)) return;  // in order of arrival: nobody overtakes
    if (!next.ran_before) plan.first_scheduled.push_back(next.spec.id);
    next.ran_before = true;
    count(next, tokens, plan, budget);
    running_.push_back(std::move(next));
    waiting_.pop_front();
  }
}

void Scheduler::count(Sequence& sequence, int tokens, StepPlan& plan, int& budget) {
  sequence.scheduled = tokens;
  budget -= tokens;
  const bool decode = sequence.generated > 0 && sequence.total() - sequence.computed == 1;
  (decode ? plan.decode_tokens : plan.prefill_tokens) += tokens;
}

double Scheduler::duration_of(const StepPlan& plan) const {
  // A step reads all weights once, which is what a lone sequence waits for, and a little more for each of the batch.
  // With 40 tokens/s, 0.01 and 32 sequences: 25 ms x 1.31 = 33 ms, so 31 tokens/s each and 977 together.
  const double decode = plan.decode_tokens == 0
                            ? 0
                            : (1 + config_.batch_slowdown * (plan.decode_tokens - 1)) / config_.decode_tokens_per_s;
  return decode + plan.prefill_tokens / config_.prefill_tokens_per_s;
}

std::vector<TokenEvent> Scheduler::finish_step() {
  std::vector<TokenEvent> events;
  for (Sequence& sequence : running_) {
    if (sequence.scheduled == 0) continue;
    sequence.computed += sequence.scheduled;
    sequence.scheduled = 0;
    if (sequence.computed < sequence.total()) continue;  // a chunk of prefill, no token yet
    TokenEvent event;
    event.id = sequence.spec.id;
    event.position = sequence.generated++;
    event.last = sequence.generated >= sequence.spec.output_tokens;
    if (event.last) release(sequence);
    events.push_back(event);
  }
  std::erase_if(running_, [](const Sequence& s) { return s.generated >= s.spec.output_tokens; });
  return events;
}

double Scheduler::kv_usage() const {
  return config_.kv_blocks == 0 ? 0 : static_cast<double>(used_blocks()) / config_.kv_blocks;
}

bool Scheduler::reserve(Sequence& sequence, int tokens) {
  const int more = std::max(0, blocks_for(tokens) - sequence.blocks);
  if (more > free_blocks_) return false;
  free_blocks_ -= more;
  sequence.blocks += more;
  return true;
}

void Scheduler::release(Sequence& sequence) {
  free_blocks_ += sequence.blocks;
  sequence.blocks = 0;
}

void Scheduler::preempt_newest() {
  Sequence victim = std::move(running_.back());
  running_.pop_back();
  release(victim);
  victim.computed = 0;  // recompute: its KV entries are gone, its tokens are not
  victim.scheduled = 0;
  waiting_.push_front(std::move(victim));
}

}  // namespace ebb::emulator
