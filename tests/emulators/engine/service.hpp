// The stand-in engine's routes: OpenAI's, /health, /metrics and /_fault; with dev mode those for weights as well.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "tests/emulators/common/http_server.hpp"
#include "tests/emulators/engine/engine.hpp"
#include "tests/emulators/engine/faults.hpp"
#include "tests/emulators/engine/openai.hpp"
#include "tests/emulators/engine/weight_control.hpp"
#include "tests/emulators/engine/weight_routes.hpp"

namespace ebb::emulator {

struct ServiceConfig {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;  ///< 0: any free one
  std::string model = "stand-in";
  std::string weights = "base";  ///< identity, goes into every token and into system_fingerprint
  Dialect dialect = Dialect::vllm;
  SchedulerConfig scheduler;
  WeightsConfig updates;
  double startup_s = 0;  ///< spent before, shown on the page
  std::string instance;  ///< makes response ids unique; empty: the port
};

class EngineService {
 public:
  EngineService(asio::io_context& io, ServiceConfig config);

  /// Starts to listen and to work. Returns the port.
  Result<std::uint16_t> start();
  /// From here on new requests and /health are answered 503; what is in flight goes on.
  void begin_drain();
  /// Waits until nothing is in flight, at most `seconds`; what is left is aborted and its clients are told. Returns
  /// how many were aborted.
  awaitable<int> finish_drain(double seconds);
  /// Closes every connection and ends the loop.
  void stop();

  /// Switches a fault on. `die_after`, `refuse` start their time now.
  void set_fault(FaultSpec spec);
  void clear_faults();
  [[nodiscard]] bool has(Fault fault) const { return faults_.contains(fault); }
  [[nodiscard]] Engine& engine() { return engine_; }
  [[nodiscard]] WeightControl& weights() { return weights_; }
  [[nodiscard]] std::string metrics_page() const;

 private:
  using Reply = std::shared_ptr<HttpReply>;
  awaitable<void> handle(HttpRequestIn request, Reply reply);
  awaitable<void> complete(Kind kind, HttpRequestIn request, Reply reply);
  awaitable<void> stream(std::shared_ptr<Generation> generation, AnswerFrame frame, Reply reply);
  awaitable<void> answer_whole(std::shared_ptr<Generation> generation, AnswerFrame frame, Reply reply);
  awaitable<void> show_metrics(Reply reply);
  awaitable<void> show_health(Reply reply);
  awaitable<void> change_fault(HttpRequestIn request, Reply reply);
  awaitable<void> refuse_for(double seconds);
  awaitable<void> die_after(double seconds);
  awaitable<void> send_error(Reply reply, std::string handler, int status, std::string type, std::string message);
  AnswerFrame frame_for(const CompletionRequest& request);

  asio::io_context& io_;
  ServiceConfig config_;
  Engine engine_;
  Faults faults_;
  WeightControl weights_;
  WeightRoutes weight_routes_;
  HttpServer server_;
  std::string frozen_page_;
  double started_unix_;
  std::uint64_t next_answer_ = 1;
  int answering_ = 0;  ///< completions whose answer is not fully sent
  bool draining_ = false;
  Signal quiet_;
};

}  // namespace ebb::emulator
