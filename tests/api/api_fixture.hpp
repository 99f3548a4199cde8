// An Api over a day that has run for a while.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "daemon/api/api.hpp"
#include "tests/support/fake_control.hpp"
#include "tests/support/run.hpp"

namespace ebb::test {

inline Config with_tokens(Config config, std::vector<TokenConfig> tokens) {
  config.api.tokens = std::move(tokens);
  return config;
}

class ApiFixture : public ::testing::Test {
 protected:
  void start(const Config& config) {
    Day day(config);
    // Busy, then calm: RL starts, a surge takes its GPUs, it comes back.
    for (int second = 0; second < 60; ++second) day.step(second < 20 ? 12 : second < 40 ? 60 : 20, control, ledger);
    clock.at = day.now();
  }
  void SetUp() override { start(Day::day_config()); }

  static Request request(const std::string& method, const std::string& target, std::string body = "") {
    Request request;
    request.method = method;
    request.target = target;
    request.peer = "127.0.0.1";
    request.headers["host"] = "127.0.0.1:8470";
    if (!body.empty()) request.headers["content-type"] = "application/json";
    request.body = std::move(body);
    return request;
  }

  Response ask(Request request) { return run(io, api.handle(std::move(request))); }
  Response ask(const std::string& method, const std::string& target, std::string body = "") {
    return ask(request(method, target, std::move(body)));
  }
  nlohmann::json get(const std::string& target) {
    const Response response = ask("GET", target);
    EXPECT_EQ(response.status, 200) << target << ": " << response.body;
    return nlohmann::json::parse(response.body);
  }
  std::string refusal(const std::string& method, const std::string& target, std::string body, int status = 400) {
    const Response response = ask(method, target, std::move(body));
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(response.content_type, "application/problem+json");
    return nlohmann::json::parse(response.body).value("detail", "");
  }

  boost::asio::io_context io;
  FakeControl control;
  FakeLedger ledger;
  StillClock clock;
  Api api{control, ledger, clock};
};

}  // namespace ebb::test
