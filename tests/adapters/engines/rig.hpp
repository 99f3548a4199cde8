// Stand-in engines, the real HTTP client and an adapter in one process; time is real, and loads take what is set.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "adapters/engines/engine_hotload.hpp"
#include "adapters/http/curl_client.hpp"
#include "adapters/sglang/sglang.hpp"
#include "adapters/vllm/vllm.hpp"
#include "daemon/runtime/system_clock.hpp"
#include "tests/emulators/common/http_client.hpp"
#include "tests/emulators/engine/service.hpp"
#include "tests/emulators/load/call.hpp"
#include "tests/emulators/trainer/weights.hpp"
#include "tests/emulators/trainer/writer.hpp"
#include "tests/runtime/temp_dir.hpp"
#include "tests/support/run.hpp"

namespace ebb::test {

/// As a replica that restarts under its name and port.
class StandIn {
 public:
  StandIn(boost::asio::io_context& io, emulator::ServiceConfig config) : io_(io), config_(std::move(config)) {
    begin();
  }
  void begin() {
    service_ = std::make_unique<emulator::EngineService>(io_, config_);
    const auto port = service_->start();
    ASSERT_TRUE(port) << port.error().what;
    config_.port = *port;
  }
  /// The process is gone: its port is closed and its connections break. Its frames stay until the context ends.
  void end() {
    if (service_ == nullptr) return;
    service_->stop();
    ended_.push_back(std::move(service_));
  }
  [[nodiscard]] bool is_up() const { return service_ != nullptr; }
  emulator::EngineService& service() { return *service_; }
  emulator::WeightControl& weights() { return service_->weights(); }
  void fault(const std::string& text) { service_->set_fault(*emulator::fault_from(text)); }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(config_.port); }
  [[nodiscard]] emulator::HostPort at() const { return {"127.0.0.1", config_.port}; }
  emulator::ServiceConfig& config() { return config_; }
  /// How often an endpoint was asked, by the beginning of method, path, query and body.
  int asked(const std::string& head) {
    int count = 0;
    for (const std::string& call : weights().calls()) count += call.starts_with(head) ? 1 : 0;
    return count;
  }

 private:
  boost::asio::io_context& io_;
  emulator::ServiceConfig config_;
  std::unique_ptr<emulator::EngineService> service_;
  std::vector<std::unique_ptr<emulator::EngineService>> ended_;
};

struct EngineRig {
  explicit EngineRig(HotloadKind kind) {
    hotload.kind = kind;
    hotload.update_timeout = Duration{10'000};
    engine.port = 0;
    engine.model = "m";
    engine.weights = "base";
    engine.dialect = kind == HotloadKind::sglang ? emulator::Dialect::sglang : emulator::Dialect::vllm;
    engine.scheduler.prefill_tokens_per_s = 100'000;
    engine.scheduler.decode_tokens_per_s = 400;
    engine.updates.dev_mode = true;
    engine.updates.load_time_s = 0.1;
  }
  ~EngineRig() {
    life.reset();
    for (auto& one : engines) one->end();
    io.drop();
  }
  EngineRig(const EngineRig&) = delete;
  EngineRig& operator=(const EngineRig&) = delete;

  StandIn& add() {
    engines.push_back(std::make_unique<StandIn>(io, engine));
    return *engines.back();
  }
  [[nodiscard]] std::vector<EngineAddress> addresses() const {
    std::vector<EngineAddress> out;
    for (std::size_t i = 0; i < engines.size(); ++i) {
      out.push_back({ReplicaId("r" + std::to_string(i)), engines[i]->url()});
    }
    return out;
  }
  [[nodiscard]] std::shared_ptr<EngineHotload> made() {
    EngineHttp engine_http(hotload.endpoint, life->http, life->clock);
    const std::string lora = adapters ? hotload.adapter_name : "";
    std::unique_ptr<const EngineDialect> dialect;
    if (hotload.kind == HotloadKind::vllm) {
      dialect = vllm_dialect(VllmOptions{hotload.vllm_update, lora}, std::move(engine_http));
    } else {
      dialect = sglang_dialect(SglangOptions{store.path(), hotload.checkpoint_dir, lora}, std::move(engine_http));
    }
    EngineHotloadOptions options{hotload, store.path(), adapters};
    return std::make_shared<EngineHotload>(std::move(options), std::move(dialect), life->http, life->clock,
                                           life->io.get_executor());
  }
  EngineHotload& daemon() {
    if (life->adapter == nullptr) life->adapter = made();
    return *life->adapter;
  }
  /// As after kill -9: what it had under way is cut off, its connections close.
  void restart_daemon() {
    life.reset();
    life = std::make_unique<Life>();
  }

  /// Writes a whole snapshot; returns its digest as the trainer has it.
  std::string write(const std::string& identity, std::uint64_t seed) {
    const emulator::SnapshotWriter writer(shape, emulator::DeltaEncoding::exclusive_or,
                                          emulator::ChecksumFormat::adler32);
    const emulator::Weights weights = emulator::initial_weights(shape, seed);
    EXPECT_TRUE(writer.full(store / identity, weights, 0).ok());
    return emulator::digest_of(weights);
  }
  [[nodiscard]] LoadOrder order(const std::string& identity, LoadTransitionMode transition = LoadTransitionMode::async,
                                ResetCache reset = ResetCache::all) const {
    LoadOrder out;
    out.id = identity + "/rl@pool/1";
    out.job = JobId("rl");
    out.deployment = DeploymentId("rl@pool");
    for (const EngineAddress& one : addresses()) out.replicas.push_back(one.replica);
    Snapshot snapshot;
    snapshot.said.identity = Identity(identity);
    out.path.push_back(snapshot);
    out.transition = transition;
    out.reset_cache = reset;
    return out;
  }

  TimePoint in(Duration span) { return clock.now() + span; }
  /// In the daemon's loop, where its timers are.
  template <class T>
  T run(awaitable<T> task, Duration limit = Duration{20'000}) {
    const auto result = test::start(life->io, std::move(task));
    until([&] { return result->has_value(); }, limit);
    if (!result->has_value()) throw std::logic_error("no answer in time");
    return std::move(**result);
  }
  bool until(const std::function<bool()>& done, Duration limit = Duration{20'000}) {
    const TimePoint end = in(limit);
    io.restart();
    while (!done() && clock.now() < end) {
      if (io.stopped()) io.restart();
      io.run_one_for(std::chrono::milliseconds(2));
      io.poll();
      life->io.restart();
      life->io.poll();
    }
    return done();
  }

  HotloadSeen look() {
    const Result<HotloadSeen> seen = run(daemon().look(addresses(), in(Duration{5'000})));
    EXPECT_TRUE(seen.ok()) << (seen.ok() ? "" : seen.error().what);
    return seen.ok() ? *seen : HotloadSeen();
  }
  WeightsReport report(std::size_t index = 0) {
    const HotloadSeen seen = look();
    return index < seen.replicas.size() ? seen.replicas[index] : WeightsReport();
  }
  /// Stage, pause, signal, and look until nothing is under way; resumes. What the first replica reports at the end.
  WeightsReport load(const LoadOrder& what) {
    begin(what);
    const WeightsReport last = settled();
    EXPECT_TRUE(run(daemon().resume(addresses(), in(Duration{5'000}))).ok());
    return last;
  }
  void begin(const LoadOrder& what) {
    const Status staged = run(daemon().stage(what, addresses(), in(Duration{10'000})));
    ASSERT_TRUE(staged.ok()) << staged.error().what;
    const Status paused = run(daemon().pause(what, addresses(), in(Duration{10'000})));
    ASSERT_TRUE(paused.ok()) << paused.error().what;
    for (auto& one : engines) EXPECT_TRUE(one->service().engine().is_still());
    const Status told = run(daemon().signal(what, addresses(), in(Duration{5'000})));
    ASSERT_TRUE(told.ok()) << told.error().what;
  }
  WeightsReport settled() {
    WeightsReport last;
    for (const TimePoint end = in(Duration{20'000}); clock.now() < end;) {
      last = report();
      if (last.stage != LoadStage::loading && !last.replica.empty()) break;
      until([] { return false; }, Duration{20});
    }
    return last;
  }

  /// A streamed completion, running meanwhile.
  std::shared_ptr<std::optional<emulator::CallOutcome>> stream(StandIn& one, int tokens) {
    emulator::CallSpec spec;
    spec.model = "m";
    spec.prompt = "a prompt of some words";
    spec.max_tokens = tokens;
    auto call = test::start(io, emulator::call_replica(one.at(), spec, {}));
    EXPECT_TRUE(until([&] { return one.service().engine().metrics().generation_tokens > 3; }));
    return call;
  }
  nlohmann::json complete(StandIn& one, const std::string& prompt, const std::string& model = "m") {
    const nlohmann::json body{{"model", model}, {"prompt", prompt}, {"max_tokens", 4}};
    const auto answer = run(emulator::fetch(one.at(), "POST", "/v1/completions", body.dump(), 10));
    return answer.ok() ? nlohmann::json::parse(answer->body, nullptr, false) : nlohmann::json();
  }
  static int cached(const nlohmann::json& answer) {
    return answer.at("usage").at("prompt_tokens_details").at("cached_tokens").get<int>();
  }

  struct Io : boost::asio::io_context {
    void drop() { shutdown(); }
  };
  TempDir store;
  emulator::ModelShape shape{1, 8, 16};
  HotloadConfig hotload;
  bool adapters = false;
  emulator::ServiceConfig engine;
  Io io;
  SystemClock clock{io.get_executor()};
  std::vector<std::unique_ptr<StandIn>> engines;
  /// One life of the daemon, with a loop and a client of its own.
  struct Life {
    ~Life() {
      adapter.reset();
      http.stop();
      io.drop();
    }
    Io io;
    SystemClock clock{io.get_executor()};
    CurlClient http;
    std::shared_ptr<EngineHotload> adapter;
  };
  std::unique_ptr<Life> life = std::make_unique<Life>();
};

}  // namespace ebb::test
