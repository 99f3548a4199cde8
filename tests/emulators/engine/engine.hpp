// The engine's loop: lets a Scheduler's steps take their time and hands the tokens to those who wait for them.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/emulators/common/tasks.hpp"
#include "tests/emulators/engine/metrics.hpp"
#include "tests/emulators/engine/openai.hpp"
#include "tests/emulators/engine/scheduler.hpp"

namespace ebb::emulator {

/// One request inside the engine. Its text is a function, so only the number of finished tokens is handed over.
struct Generation {
  explicit Generation(asio::any_io_executor executor) : changed(std::move(executor)) {}
  std::uint64_t id = 0;
  CompletionRequest request;
  std::string adapter;  ///< empty: the model itself
  WeightsSpans spans;
  Continuation made;  ///< what it will be when nothing cuts it short, under the weights as they are
  int prompt_tokens = 0;
  int cached_tokens = 0;  ///< of the prompt
  int ready = 0;          ///< tokens that exist
  bool ended = false;
  bool aborted = false;  ///< ended before its last token
  bool partial = false;  ///< aborted, and what there is counts as an answer
  [[nodiscard]] const char* finish_reason() const { return made.stopped ? "stop" : "length"; }
  double arrived = 0;
  double last_token_at = 0;
  Signal changed;
};

/// What becomes of generations while the engine stands still; who comes meanwhile waits outside in every mode.
enum class PauseMode {
  abort,    ///< they end at once with what they have
  wait,     ///< they run to their end first
  keep,     ///< they are frozen, and keep their KV (SGLang: in_place)
  retract,  ///< they go back to the queue, and lose it
};

/// Control thread only. Idle costs nothing: the loop sleeps until a request comes.
class Engine {
 public:
  Engine(asio::io_context& io, SchedulerConfig config, Dialect dialect);

  /// Runs until `stop`.
  awaitable<void> run();
  void stop();

  [[nodiscard]] bool fits(int prompt_tokens, int output_tokens) const;
  /// Queues a request that fits.
  std::shared_ptr<Generation> start(CompletionRequest request, std::string adapter);
  void abort(Generation& generation);
  void abort_all();

  /// Returns when no step is under way any more, or when `resume` came first.
  awaitable<void> pause(PauseMode mode);
  void resume();
  [[nodiscard]] bool is_paused() const { return holding_; }
  /// Paused, and between two steps.
  [[nodiscard]] bool is_still() const { return frozen_ && !stepping_; }
  /// Generations that hold KV blocks.
  [[nodiscard]] int holding_blocks() const { return scheduler_.running(); }
  [[nodiscard]] bool idle() const { return scheduler_.idle(); }

  /// From here on tokens come from these weights, in generations under way too.
  void set_weights(const std::string& adapter, WeightsTag tag);
  [[nodiscard]] const WeightsTag& weights(const std::string& adapter) const { return tags_.at(adapter); }
  [[nodiscard]] bool has_adapter(const std::string& adapter) const { return tags_.contains(adapter); }
  void drop_adapter(const std::string& adapter) { tags_.erase(adapter); }
  /// Forgets the KV of all prompts. While generations hold blocks it does nothing, and false, unless those are to start
  /// over.
  bool clear_cache(bool reset_running);
  /// A hanging engine never finishes a step; switching it off lets it go on.
  void hang(bool on);

  [[nodiscard]] std::size_t in_flight() const { return generations_.size(); }
  [[nodiscard]] EngineMetrics& metrics() { return metrics_; }
  [[nodiscard]] const EngineMetrics& metrics() const { return metrics_; }
  [[nodiscard]] Gauges gauges() const;
  [[nodiscard]] const SchedulerConfig& config() const { return scheduler_.config(); }

 private:
  void begin(const StepPlan& plan, double now);
  void publish(const StepPlan& plan, double now);
  void deliver(const TokenEvent& event, double now);
  void note_rate(std::size_t tokens, double now);
  void submit(Generation& generation);
  [[nodiscard]] bool is_blocked() const { return hanging_ || frozen_; }

  asio::io_context& io_;
  Scheduler scheduler_;
  EngineMetrics metrics_;
  Signal work_;
  std::map<std::uint64_t, std::shared_ptr<Generation>> generations_;
  std::uint64_t next_id_ = 1;
  Signal settled_;                                    ///< a step is over, or a pause
  std::map<std::string, WeightsTag> tags_{{"", {}}};  ///< by adapter; "" is the model
  std::set<std::string> cached_;                      ///< prompts whose KV is there
  std::vector<std::shared_ptr<Generation>> held_;     ///< came during a pause
  bool holding_ = false;
  bool frozen_ = false;
  bool stepping_ = false;
  bool hanging_ = false;
  bool stopped_ = false;
  double rate_since_ = 0;
  std::size_t rate_tokens_ = 0;
  double rate_ = 0;
};

}  // namespace ebb::emulator
