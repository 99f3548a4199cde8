#include "tests/emulators/engine/engine.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "tests/emulators/common/clock.hpp"
#include "tests/emulators/common/tokens.hpp"

namespace ebb::emulator {

namespace {

constexpr double kForever = 1e9;
constexpr std::size_t kCachedMax = 4096;  // prompts

std::string cache_key(const Generation& generation) { return generation.adapter + '\n' + generation.request.prompt; }

}  // namespace

Engine::Engine(asio::io_context& io, SchedulerConfig config, Dialect dialect)
    : io_(io), scheduler_(config), metrics_(dialect), work_(io.get_executor()), settled_(io.get_executor()) {}

awaitable<void> Engine::run() {
  double free_at = 0;  // when the last step ended; a late timer must not make the engine slower than configured
  while (!stopped_) {
    const auto plan = is_blocked() ? std::nullopt : scheduler_.begin_step();
    if (!plan) {
      co_await work_.wait(kForever);
      free_at = 0;
      continue;
    }
    stepping_ = true;
    const double now = monotonic_seconds();
    begin(*plan, now);
    // Being late by up to a step is made up for; more than that is lost time, as on a machine that is too busy.
    free_at = std::max(free_at, now - plan->duration) + plan->duration;
    co_await emulator::pause(free_at - now);
    while (hanging_ && !stopped_) {
      co_await work_.wait(kForever);
    }
    publish(*plan, monotonic_seconds());
    stepping_ = false;
    settled_.notify();
  }
}

void Engine::stop() {
  stopped_ = true;
  work_.notify();
  settled_.notify();
}

bool Engine::fits(int prompt_tokens, int output_tokens) const { return scheduler_.fits(prompt_tokens, output_tokens); }

std::shared_ptr<Generation> Engine::start(CompletionRequest request, std::string adapter) {
  auto generation = std::make_shared<Generation>(io_.get_executor());
  generation->id = next_id_++;
  generation->request = std::move(request);
  generation->adapter = std::move(adapter);
  generation->prompt_tokens = count_tokens(generation->request.prompt);
  generation->spans.push_back({0, tags_.at(generation->adapter)});
  generation->made = continuation_of(generation->request, generation->spans);
  generation->arrived = monotonic_seconds();
  generations_[generation->id] = generation;
  if (holding_) {
    held_.push_back(generation);
  } else {
    submit(*generation);
  }
  return generation;
}

void Engine::submit(Generation& generation) {
  if (cached_.contains(cache_key(generation))) generation.cached_tokens = generation.prompt_tokens;
  SequenceSpec spec;
  spec.id = generation.id;
  spec.prompt_tokens = generation.prompt_tokens;
  spec.output_tokens = generation.made.tokens;
  spec.arrived = generation.arrived;
  scheduler_.submit(spec);
  work_.notify();
}

awaitable<void> Engine::pause(PauseMode mode) {
  holding_ = true;
  if (mode == PauseMode::wait) {
    while (holding_ && !stopped_ && !(scheduler_.idle() && !stepping_)) co_await settled_.wait(kForever);
    frozen_ = holding_;
    co_return;
  }
  frozen_ = true;
  while (holding_ && !stopped_ && stepping_) co_await settled_.wait(kForever);
  if (!holding_ || stopped_) co_return;
  if (mode == PauseMode::retract) scheduler_.retract();
  if (mode != PauseMode::abort) co_return;
  const auto all = generations_;
  for (const auto& [id, generation] : all) {
    if (std::find(held_.begin(), held_.end(), generation) != held_.end()) continue;
    generation->partial = true;
    abort(*generation);
  }
}

void Engine::resume() {
  holding_ = frozen_ = false;
  const auto held = std::exchange(held_, {});
  for (const auto& generation : held) {
    if (!generation->ended) submit(*generation);
  }
  work_.notify();
  settled_.notify();
}

void Engine::set_weights(const std::string& adapter, WeightsTag tag) {
  tags_[adapter] = tag;
  for (const auto& [id, generation] : generations_) {
    if (generation->adapter != adapter) continue;
    if (generation->spans.back().from == generation->ready) {
      generation->spans.back().tag = tag;
    } else {
      generation->spans.push_back({generation->ready, tag});
    }
    generation->made = continuation_of(generation->request, generation->spans);
    scheduler_.retarget(id, generation->made.tokens);
  }
}

bool Engine::clear_cache(bool reset_running) {
  if (scheduler_.running() > 0) {
    if (!reset_running || stepping_) return false;
    scheduler_.retract();
  }
  cached_.clear();
  return true;
}

void Engine::abort(Generation& generation) {
  if (generation.ended) return;
  scheduler_.abort(generation.id);
  generation.ended = true;
  generation.aborted = true;
  ++metrics_.success["abort"];
  ++metrics_.aborted;
  ++metrics_.requests;
  generation.changed.notify();
  generations_.erase(generation.id);
}

void Engine::abort_all() {
  const auto all = generations_;
  for (const auto& [id, generation] : all) abort(*generation);
}

void Engine::hang(bool on) {
  hanging_ = on;
  work_.notify();
}

void Engine::begin(const StepPlan& plan, double now) {
  metrics_.preemptions += static_cast<std::uint64_t>(plan.preempted);
  for (const std::uint64_t id : plan.first_scheduled) {
    const auto found = generations_.find(id);
    if (found != generations_.end()) metrics_.queue_time.observe(now - found->second->arrived);
  }
}

void Engine::publish(const StepPlan& plan, double now) {
  const std::vector<TokenEvent> events = scheduler_.finish_step();
  metrics_.prompt_tokens += static_cast<std::uint64_t>(plan.prefill_tokens);
  metrics_.iteration_tokens.observe(plan.prefill_tokens + plan.decode_tokens);
  metrics_.generation_tokens += events.size();
  note_rate(events.size(), now);
  for (const TokenEvent& event : events) deliver(event, now);
}

void Engine::deliver(const TokenEvent& event, double now) {
  const auto found = generations_.find(event.id);
  if (found == generations_.end()) return;
  Generation& generation = *found->second;
  if (event.position == 0) {
    if (cached_.size() >= kCachedMax) cached_.clear();
    cached_.insert(cache_key(generation));
    metrics_.time_to_first_token.observe(now - generation.arrived);
  } else {
    metrics_.inter_token_latency.observe(now - generation.last_token_at);
  }
  generation.last_token_at = now;
  generation.ready = event.position + 1;
  generation.ended = event.last;
  generation.changed.notify();
  if (!event.last) return;
  metrics_.e2e_latency.observe(now - generation.arrived);
  ++metrics_.success[generation.finish_reason()];
  ++metrics_.requests;
  generations_.erase(found);
}

void Engine::note_rate(std::size_t tokens, double now) {
  rate_tokens_ += tokens;
  if (now - rate_since_ < 1) return;
  rate_ = static_cast<double>(rate_tokens_) / (now - rate_since_);
  rate_since_ = now;
  rate_tokens_ = 0;
}

Gauges Engine::gauges() const {
  Gauges gauges;
  gauges.running = scheduler_.running();
  gauges.waiting = scheduler_.waiting();
  gauges.kv_usage = scheduler_.kv_usage();
  gauges.generation_rate = scheduler_.idle() ? 0 : rate_;
  gauges.kv_blocks = scheduler_.config().kv_blocks;
  gauges.block_size = scheduler_.config().block_size;
  return gauges;
}

}  // namespace ebb::emulator
