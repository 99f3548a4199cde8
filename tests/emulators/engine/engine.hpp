// The engine's loop: lets a Scheduler's steps take their time and hands the tokens to those who wait for them.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "tests/emulators/common/tasks.hpp"
#include "tests/emulators/engine/metrics.hpp"
#include "tests/emulators/engine/scheduler.hpp"

namespace ebb::emulator {

/// One request inside the engine. Its text is a function, so only the number of finished tokens is handed over.
struct Generation {
  explicit Generation(asio::any_io_executor executor) : changed(std::move(executor)) {}
  std::uint64_t id = 0;
  std::string finish_reason;  ///< what it ends with when nothing cuts it short
  int ready = 0;              ///< tokens that exist
  bool ended = false;
  bool aborted = false;  ///< ended before its last token
  double arrived = 0;
  double last_token_at = 0;
  Signal changed;
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
  std::shared_ptr<Generation> start(int prompt_tokens, int output_tokens, std::string finish_reason);
  void abort(Generation& generation);
  void abort_all();
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

  asio::io_context& io_;
  Scheduler scheduler_;
  EngineMetrics metrics_;
  Signal work_;
  std::map<std::uint64_t, std::shared_ptr<Generation>> generations_;
  std::uint64_t next_id_ = 1;
  bool hanging_ = false;
  bool stopped_ = false;
  double rate_since_ = 0;
  std::size_t rate_tokens_ = 0;
  double rate_ = 0;
};

}  // namespace ebb::emulator
