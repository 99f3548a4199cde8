// ebb-engine: an OpenAI-compatible server that behaves like an inference engine without having one.
#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <boost/asio.hpp>
#include <csignal>
#include <iostream>

#include "daemon/model/time.hpp"
#include "tests/emulators/common/log.hpp"
#include "tests/emulators/common/tasks.hpp"
#include "tests/emulators/engine/service.hpp"

namespace {

using namespace ebb;            // NOLINT(google-build-using-namespace)
using namespace ebb::emulator;  // NOLINT(google-build-using-namespace)

struct Options {
  ServiceConfig service;
  std::string dialect = "vllm";
  std::string startup = "2s";
  std::string drain_timeout = "30s";
  std::string load_time = "1s";
  double time_scale = 1;
  std::vector<std::string> faults;
};

double seconds_from(const std::string& text) {
  const auto span = duration_from(text);
  if (!span || span->count() < 0) throw CLI::ValidationError("'" + text + "' is no duration such as 500ms or 2s");
  return static_cast<double>(span->count()) / 1000;
}

void declare(CLI::App& app, Options& o) {
  SchedulerConfig& s = o.service.scheduler;
  app.add_option("--host", o.service.host, "address to listen on")->capture_default_str();
  app.add_option("--port", o.service.port, "port to listen on; 0 picks a free one")->capture_default_str();
  app.add_option("--model", o.service.model, "served model name")->capture_default_str();
  app.add_option("--weights", o.service.weights, "weights identity, part of every token")->capture_default_str();
  app.add_option("--dialect", o.dialect, "whose metric names")->check(CLI::IsMember({"vllm", "sglang"}));
  app.add_option("--max-num-seqs", s.max_num_seqs, "running sequences")->check(CLI::Range(1, 4096));
  app.add_option("--max-num-batched-tokens", s.max_batched_tokens, "tokens per step")->check(CLI::Range(1, 1 << 20));
  app.add_option("--prefill-speed", s.prefill_tokens_per_s, "tokens/s")->check(CLI::Range(1.0, 1e9));
  app.add_option("--decode-speed", s.decode_tokens_per_s, "tokens/s of one sequence")->check(CLI::Range(0.1, 1e6));
  app.add_option("--batch-slowdown", s.batch_slowdown, "step time per further one")->check(CLI::Range(0.0, 10.0));
  app.add_option("--kv-blocks", s.kv_blocks, "KV cache blocks")->check(CLI::Range(1, 1 << 24));
  app.add_option("--block-size", s.block_size, "tokens per block")->check(CLI::Range(1, 1024));
  app.add_option("--max-model-len", s.max_model_len, "context length")->check(CLI::Range(1, 1 << 24));
  app.add_option("--startup", o.startup, "time before the port opens")->capture_default_str();
  app.add_option("--drain-timeout", o.drain_timeout, "for requests in flight after SIGTERM")->capture_default_str();
  app.add_option("--time-scale", o.time_scale, "speeds times this, times divided by it")->check(CLI::Range(0.01, 1e4));
  WeightsConfig& w = o.service.updates;
  app.add_flag("--dev-mode", w.dev_mode, "weight endpoints, as with VLLM_SERVER_DEV_MODE=1");
  app.add_option("--load-time", o.load_time, "of one load of weights")->capture_default_str();
  app.add_flag("--early-weights", w.early, "vllm: neither start_weight_update nor finish_weight_update");
  app.add_flag("--keep-clears-cache", w.keep_clears_cache, "vllm: clear_cache counts with mode=keep too");
  app.add_flag("--retract-cannot-flush", w.retract_cannot_flush, "sglang: no flush while retracted ones wait");
  app.add_option("--admin-key", w.admin_key, "Bearer token that the weight endpoints want");
  app.add_option("--fault", o.faults, "misbehave: nan, hang-metrics, die-after=5s, ... (repeatable)");
}

/// SIGTERM and SIGINT drain. A repeated SIGTERM changes nothing, since supervisors may tell twice; a SIGINT during the
/// drain ends at once.
awaitable<void> serve(Options options, EngineService& service, asio::io_context& io) {
  asio::signal_set signals(io, SIGTERM, SIGINT);
  co_await signals.async_wait(asio::use_awaitable);
  while (service.has(Fault::ignore_sigterm)) {
    log_line("ebb-engine", "SIGTERM ignored, as told");
    co_await signals.async_wait(asio::use_awaitable);
  }
  service.begin_drain();
  log_line("ebb-engine", fmt::format("draining, {} in flight", service.engine().in_flight()));
  asio::signal_set impatient(io, SIGINT);
  auto end_now = [&io](boost::system::error_code ec, int) {
    if (!ec) io.stop();
  };
  impatient.async_wait(std::move(end_now));
  const int aborted = co_await service.finish_drain(seconds_from(options.drain_timeout) / options.time_scale);
  log_line("ebb-engine", fmt::format("stopped, {} aborted", aborted));
  impatient.cancel();
  service.stop();
  io.stop();
}

int run(Options options) {
  ServiceConfig& config = options.service;
  config.dialect = options.dialect == "sglang" ? Dialect::sglang : Dialect::vllm;
  config.scheduler.prefill_tokens_per_s *= options.time_scale;
  config.scheduler.decode_tokens_per_s *= options.time_scale;
  config.startup_s = seconds_from(options.startup) / options.time_scale;
  config.updates.load_time_s = seconds_from(options.load_time) / options.time_scale;
  std::vector<FaultSpec> faults;
  for (const std::string& text : options.faults) {
    const auto fault = fault_from(text);
    if (!fault) throw CLI::ValidationError(fault.error().what);
    faults.push_back(*fault);
  }
  log_line("ebb-engine",
           fmt::format("stand-in engine: no GPU, no model; speeds are configured (prefill {} tokens/s, "
                       "decode {} tokens/s, {} sequences, {} KV blocks of {})",
                       config.scheduler.prefill_tokens_per_s, config.scheduler.decode_tokens_per_s,
                       config.scheduler.max_num_seqs, config.scheduler.kv_blocks, config.scheduler.block_size));
  asio::io_context io(1);
  // Starting up: no port yet, like an engine that loads its weights; a SIGTERM now has nothing to wait for, since the
  // default disposition ends the process.
  asio::steady_timer loading(io, std::chrono::milliseconds(static_cast<std::int64_t>(config.startup_s * 1000)));
  loading.wait();
  EngineService service(io, config);
  for (const FaultSpec& fault : faults) {
    if (fault.fault == Fault::fail_start) {
      log_line("ebb-engine", "failing to start, as told");
      return 1;
    }
  }
  const auto port = service.start();
  if (!port) {
    log_line("ebb-engine", port.error().what);
    return 1;
  }
  for (const FaultSpec& fault : faults) service.set_fault(fault);
  log_line("ebb-engine", fmt::format("ready on http://{}:{} model={} weights={} dialect={}", config.host, *port,
                                     config.model, config.weights, options.dialect));
  asio::co_spawn(io, serve(std::move(options), service, io), on_done("ebb-engine"));
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("A stand-in inference engine: no GPU, no model, honest about it.");
  declare(app, options);
  try {
    app.parse(argc, argv);
    return run(std::move(options));
  } catch (const CLI::ParseError& e) {
    const int status = app.exit(e);
    return status == 0 ? 0 : 2;
  }
}
