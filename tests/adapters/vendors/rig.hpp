// The vendors' adapters against their stand-ins over real sockets, and time that stands still while a request is under
// way: minutes of loads in milliseconds, and the same order of events every time.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "adapters/http/curl_client.hpp"
#include "daemon/ports/hotload.hpp"
#include "tests/emulators/coreweave/service.hpp"
#include "tests/emulators/fireworks/service.hpp"
#include "tests/support/run.hpp"
#include "tests/support/virtual_clock.hpp"

namespace ebb::test {

/// Knows how many requests are under way, and what they were.
class CountingHttp final : public HttpClient {
 public:
  int under_way = 0;
  std::vector<HttpRequest> sent;

  awaitable<Result<HttpResponse>> send(HttpRequest request) override {
    const Guard guard(under_way);
    sent.push_back(request);
    co_return co_await curl_.send(std::move(request));
  }
  void stop() { curl_.stop(); }
  [[nodiscard]] std::size_t count(const std::string& method, const std::string& part) const {
    return static_cast<std::size_t>(std::count_if(sent.begin(), sent.end(), [&](const HttpRequest& one) {
      return one.method == method && one.url.find(part) != std::string::npos;
    }));
  }

 private:
  struct Guard {
    explicit Guard(int& count) : count_(count) { ++count_; }
    ~Guard() { --count_; }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    int& count_;
  };
  CurlClient curl_;
};

constexpr const char* kKey = "a key";
constexpr const char* kSite = "sampler";
constexpr const char* kModel = "accounts/acct/models/m";
constexpr const char* kUuid = "6f0c1c2e-0000-4000-8000-000000000001";

class VendorRig {
 public:
  VendorRig() {
    ::setenv("EBB_VENDOR_TEST_KEY", kKey, 1);
    const auto port = fireworks.start();
    const auto other = coreweave.start();
    EXPECT_TRUE(port.ok() && other.ok());
    fireworks_url = "http://127.0.0.1:" + std::to_string(*port);
    coreweave_url = "http://127.0.0.1:" + std::to_string(*other);
  }
  ~VendorRig() { drop(); }
  VendorRig(const VendorRig&) = delete;
  VendorRig& operator=(const VendorRig&) = delete;

  /// Ends everything that runs, as if killed. Whoever the coroutines refer to must still be there.
  void drop() {
    http.stop();
    io.drop();
  }

  /// Until no request is under way any more.
  void settle() {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    io.restart();
    io.poll();
    while (http.under_way > 0 && std::chrono::steady_clock::now() < limit) {
      io.run_one_for(std::chrono::milliseconds(20));
      io.poll();
    }
    ASSERT_EQ(http.under_way, 0) << "a request never came back";
  }
  void run(Duration span) {
    const TimePoint until = clock.now() + span;
    settle();
    while (clock.now() < until) {
      clock.run_until(io, std::min(until, clock.now() + Duration{10}));
      settle();
    }
  }
  template <class T>
  T ask(awaitable<T> task) {
    const auto answer = test::start(io, std::move(task));
    settle();
    if (!answer->has_value()) throw std::logic_error("no answer yet");
    return **answer;
  }
  Result<HttpResponse> call(const std::string& method, const std::string& url, std::string body = "") {
    HttpRequest request(url);
    request.method = method;
    request.body = std::move(body);
    request.headers["Authorization"] = std::string("Bearer ") + kKey;
    request.headers["Content-Type"] = "application/json";
    return ask(http.send(std::move(request)));
  }

  /// A deployment of the stand-in, with its replicas up.
  emulator::fireworks::Site& site(int replicas = 2, const char* transition = "ASYNC") {
    nlohmann::json body;
    body["baseModel"] = kModel;
    body["minReplicaCount"] = replicas;
    body["maxReplicaCount"] = replicas + 4;
    body["enableHotLoad"] = true;
    body["hotLoadTransitionType"] = transition;
    EXPECT_EQ(fireworks.create(kSite, body).status, 200);
    clock.skip(Duration{2'100});
    return *fireworks.site(kSite);
  }
  [[nodiscard]] HotloadConfig fireworks_config() const {
    HotloadConfig config;
    config.kind = HotloadKind::fireworks;
    config.endpoint.url = fireworks_url;
    config.endpoint.bearer_token = SecretRef{"env:EBB_VENDOR_TEST_KEY"};
    config.account = "acct";
    config.deployment = kSite;
    config.base_model = kModel;
    return config;
  }
  [[nodiscard]] HotloadConfig coreweave_config() const {
    HotloadConfig config;
    config.kind = HotloadKind::coreweave;
    config.endpoint.url = coreweave_url;
    config.endpoint.bearer_token = SecretRef{"env:EBB_VENDOR_TEST_KEY"};
    config.deployment = kUuid;
    return config;
  }

  VirtualClock clock{TimePoint{Duration{1'767'225'600'000}}};
  struct Io : boost::asio::io_context {
    void drop() { shutdown(); }
  } io;
  CountingHttp http;
  emulator::fireworks::Service fireworks{io, fireworks_settings(), [this] { return seconds(); }};
  emulator::coreweave::Service coreweave{io, coreweave_settings(), [this] { return seconds(); }};
  std::string fireworks_url, coreweave_url;

 private:
  [[nodiscard]] double seconds() const {
    return static_cast<double>((clock.now() - TimePoint{Duration{1'767'225'600'000}}).count()) / 1'000;
  }
  static emulator::fireworks::Config fireworks_settings() {
    emulator::fireworks::Config config;
    config.port = 0;
    config.key = kKey;
    return config;
  }
  static emulator::coreweave::Config coreweave_settings() {
    emulator::coreweave::Config config;
    config.port = 0;
    config.key = kKey;
    return config;
  }
};

inline LoadOrder order_of(const std::string& identity, const std::string& parent = "", int number = 1) {
  Snapshot snapshot;
  snapshot.said.identity = Identity(identity);
  snapshot.said.parent = Identity(parent);
  snapshot.said.kind = parent.empty() ? SnapshotKind::full : SnapshotKind::incremental;
  LoadOrder order;
  order.id = identity + "/rl@there/" + std::to_string(number);
  order.job = JobId("rl");
  order.path.push_back(std::move(snapshot));
  return order;
}

inline std::string code_of(const Status& status) { return status.ok() ? "ok" : to_string(status.error().code); }

}  // namespace ebb::test
