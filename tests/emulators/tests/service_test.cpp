#include "tests/emulators/engine/service.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/emulators/common/clock.hpp"
#include "tests/emulators/common/tokens.hpp"
#include "tests/emulators/tests/harness.hpp"

namespace ebb::emulator {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

/// One request; the answer is written to `answer` (a status of 0 means that it broke).
awaitable<void> get(HostPort at, std::string method, std::string path, std::string body, Answer& answer) {
  auto got = co_await fetch(at, method, path, body, 10);
  answer = Answer{};
  if (got) answer = std::move(*got);
  if (!got) answer.body = got.error().what;
}

Answer ask(asio::io_context& io, const RunningEngine& engine, const std::string& method, const std::string& path,
           const std::string& body = "") {
  Answer answer;
  run_until_done(io, get(engine.at, method, path, body, answer));
  return answer;
}

double metric(const std::string& page, const std::string& series) {
  const std::size_t at = page.find("\n" + series + "{");
  if (at == std::string::npos) return -1;
  return std::stod(page.substr(page.find("} ", at) + 2));
}

TEST(EngineService, CompletesWithTheDocumentedTokens) {
  asio::io_context io;
  RunningEngine engine(io, fast_config());
  const Answer answer = ask(io, engine, "POST", "/v1/completions", R"({"model":"m","prompt":"a b c","max_tokens":6})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json body = json::parse(answer.body);
  EXPECT_EQ(body.at("choices").at(0).at("text"), TokenFunction("a b c", "w").text(6));
  EXPECT_EQ(body.at("choices").at(0).at("finish_reason"), "length");
  EXPECT_EQ(body.at("system_fingerprint"), "w");
  EXPECT_EQ(body.at("usage").at("prompt_tokens"), 3);
  EXPECT_EQ(body.at("usage").at("completion_tokens"), 6);
}

TEST(EngineService, StreamsAChatAsServerSentEvents) {
  asio::io_context io;
  RunningEngine engine(io, fast_config());
  const Answer answer = ask(io, engine, "POST", "/v1/chat/completions",
                            R"({"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":5,"stream":true,
                                "stream_options":{"include_usage":true}})");
  ASSERT_EQ(answer.status, 200);
  SseParser parser;
  const auto events = parser.feed(answer.body);
  ASSERT_EQ(events.size(), 8u);  // role, five pieces, usage, the end
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_EQ(json::parse(events[0]).at("choices").at(0).at("delta").at("role"), "assistant");
  std::string text;
  for (std::size_t i = 1; i <= 5; ++i) {
    text += json::parse(events[i]).at("choices").at(0).at("delta").at("content").get<std::string>();
  }
  EXPECT_EQ(text, TokenFunction("user: hi\nassistant:", "w").text(5));
  EXPECT_EQ(json::parse(events[6]).at("usage").at("total_tokens"), 8);
}

TEST(EngineService, AStopTextEndsStreamAndAnswerAlike) {
  asio::io_context io;
  RunningEngine engine(io, fast_config());
  const TokenFunction tokens("a b", "w");
  const std::string stop = tokens.word(4).substr(1);  // in the middle of a token
  const json body{{"model", "m"}, {"prompt", "a b"}, {"max_tokens", 40}, {"stop", stop}};
  const json whole = json::parse(ask(io, engine, "POST", "/v1/completions", body.dump()).body);
  json streamed_body = body;
  streamed_body["stream"] = true;
  SseParser parser;
  std::string streamed;
  std::string reason;
  for (const std::string& event : parser.feed(ask(io, engine, "POST", "/v1/completions", streamed_body.dump()).body)) {
    if (event == "[DONE]") continue;
    const json choice = json::parse(event).at("choices").at(0);
    streamed += choice.at("text").get<std::string>();
    if (choice.at("finish_reason").is_string()) reason = choice.at("finish_reason").get<std::string>();
  }
  EXPECT_EQ(whole.at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(reason, "stop");
  EXPECT_EQ(streamed, whole.at("choices").at(0).at("text"));
  EXPECT_EQ(streamed.find(stop), std::string::npos);
}

TEST(EngineService, RefusesAsOpenAiDoes) {
  asio::io_context io;
  RunningEngine engine(io, fast_config());
  const Answer model = ask(io, engine, "POST", "/v1/completions", R"({"model":"x","prompt":"a"})");
  EXPECT_EQ(model.status, 404);
  EXPECT_EQ(json::parse(model.body).at("error").at("type"), "NotFoundError");
  EXPECT_EQ(ask(io, engine, "POST", "/v1/completions", "{").status, 400);
  const std::string too_long = R"({"model":"m","prompt":"a","max_tokens":100000})";
  EXPECT_EQ(ask(io, engine, "POST", "/v1/completions", too_long).status, 400);
  EXPECT_EQ(ask(io, engine, "GET", "/v1/completions").status, 405);
  EXPECT_EQ(ask(io, engine, "GET", "/nowhere").status, 404);
}

TEST(EngineService, ThePageMovesWithTheWork) {
  asio::io_context io;
  RunningEngine engine(io, fast_config());
  const std::string before = ask(io, engine, "GET", "/metrics").body;
  EXPECT_EQ(metric(before, "vllm:generation_tokens_total"), 0);
  ask(io, engine, "POST", "/v1/completions", R"({"model":"m","prompt":"a b c","max_tokens":6})");
  const std::string after = ask(io, engine, "GET", "/metrics").body;
  EXPECT_EQ(metric(after, "vllm:generation_tokens_total"), 6);
  EXPECT_EQ(metric(after, "vllm:prompt_tokens_total"), 3);
  EXPECT_EQ(metric(after, "vllm:time_to_first_token_seconds_count"), 1);
  EXPECT_EQ(metric(after, "vllm:inter_token_latency_seconds_count"), 5);
  EXPECT_EQ(metric(after, "vllm:e2e_request_latency_seconds_count"), 1);
  EXPECT_EQ(metric(after, "vllm:num_requests_running"), 0);
}

awaitable<void> drain_in_the_middle(RunningEngine& engine) {
  HttpCall call(co_await asio::this_coro::executor);
  call.limit(10);
  const Status connected = co_await call.connect(engine.at);
  EXPECT_TRUE(connected);
  Headers headers;
  std::string body = R"({"model":"m","prompt":"long","max_tokens":100,"stream":true})";
  const auto head = co_await call.ask("POST", "/v1/completions", headers, std::move(body));
  EXPECT_TRUE(head);
  std::string text;
  const auto first = co_await call.read_some();
  if (first) text += *first;
  engine.service.begin_drain();
  Answer refused;
  co_await get(engine.at, "POST", "/v1/completions", R"({"model":"m","prompt":"new","max_tokens":1})", refused);
  EXPECT_EQ(refused.status, 503);
  Answer health;
  co_await get(engine.at, "GET", "/health", "", health);
  EXPECT_EQ(health.status, 503);
  const auto rest = co_await call.read_all(1 << 20);
  EXPECT_TRUE(rest);
  if (rest) text += *rest;
  EXPECT_THAT(text, HasSubstr("\"finish_reason\":\"length\""));
  EXPECT_TRUE(text.ends_with("data: [DONE]\n\n"));
  const int aborted = co_await engine.service.finish_drain(5);
  EXPECT_EQ(aborted, 0);
}

TEST(EngineService, ADrainRefusesNewRequestsAndFinishesThoseInFlight) {
  asio::io_context io;
  RunningEngine engine(io, fast_config());
  run_until_done(io, drain_in_the_middle(engine));
}

awaitable<void> drain_too_late(RunningEngine& engine, std::string& text) {
  HttpCall call(co_await asio::this_coro::executor);
  call.limit(10);
  const Status connected = co_await call.connect(engine.at);
  EXPECT_TRUE(connected);
  Headers headers;
  std::string body = R"({"model":"m","prompt":"long","max_tokens":5000,"stream":true})";
  const auto head = co_await call.ask("POST", "/v1/completions", headers, std::move(body));
  EXPECT_TRUE(head);
  engine.service.begin_drain();
  const double began = monotonic_seconds();
  const int aborted = co_await engine.service.finish_drain(0.1);
  EXPECT_EQ(aborted, 1);
  EXPECT_LT(monotonic_seconds() - began, 5);
  const auto rest = co_await call.read_all(1 << 20);
  EXPECT_TRUE(rest);
  if (rest) text = *rest;
}

TEST(EngineService, ADrainThatTakesTooLongTellsItsClients) {
  asio::io_context io;
  RunningEngine engine(io, fast_config());
  std::string text;
  run_until_done(io, drain_too_late(engine, text));
  EXPECT_THAT(text, HasSubstr("\"finish_reason\":\"abort\""));
}

awaitable<void> leave_early(RunningEngine& engine) {
  {
    HttpCall call(co_await asio::this_coro::executor);
    const Status connected = co_await call.connect(engine.at);
    EXPECT_TRUE(connected);
    Headers headers;
    std::string body = R"({"model":"m","prompt":"long","max_tokens":5000})";
    call.limit(0.2);  // gives up in the middle of an answer that is not streamed
    const auto head = co_await call.ask("POST", "/v1/completions", headers, std::move(body));
    EXPECT_FALSE(head);
  }
  const double until = monotonic_seconds() + 5;
  while (engine.service.engine().in_flight() > 0 && monotonic_seconds() < until) co_await pause(0.01);
  EXPECT_EQ(engine.service.engine().in_flight(), 0u);
  EXPECT_EQ(engine.service.engine().gauges().running, 0);
}

TEST(EngineService, AClientThatLeftCostsNothingMore) {
  asio::io_context io;
  RunningEngine engine(io, fast_config());
  run_until_done(io, leave_early(engine));
}

TEST(EngineService, FaultsComeAndGoAtRunTime) {
  asio::io_context io;
  RunningEngine engine(io, fast_config());
  EXPECT_EQ(ask(io, engine, "POST", "/_fault", "what").status, 400);
  EXPECT_EQ(ask(io, engine, "POST", "/_fault", "nan\n").status, 200);
  EXPECT_THAT(ask(io, engine, "GET", "/metrics").body, HasSubstr("NaN"));
  EXPECT_EQ(ask(io, engine, "DELETE", "/_fault").status, 200);
  EXPECT_THAT(ask(io, engine, "GET", "/metrics").body, ::testing::Not(HasSubstr("NaN")));
  ask(io, engine, "POST", "/_fault", "truncate-metrics");
  EXPECT_EQ(ask(io, engine, "GET", "/metrics").status, 0) << "shorter than announced";
  ask(io, engine, "POST", "/_fault", "none");
  ask(io, engine, "POST", "/_fault", "freeze-gauges");
  ask(io, engine, "POST", "/v1/completions", R"({"model":"m","prompt":"a","max_tokens":3})");
  EXPECT_EQ(metric(ask(io, engine, "GET", "/metrics").body, "vllm:generation_tokens_total"), 0);
}

TEST(EngineService, ARefusingEngineComesBackOnItsPort) {
  asio::io_context io;
  RunningEngine engine(io, fast_config());
  EXPECT_EQ(ask(io, engine, "POST", "/_fault", "refuse=200ms").status, 200);
  EXPECT_EQ(ask(io, engine, "GET", "/health").status, 0);
  const double until = monotonic_seconds() + 5;
  int status = 0;
  while (status != 200 && monotonic_seconds() < until) status = ask(io, engine, "GET", "/health").status;
  EXPECT_EQ(status, 200);
}

TEST(Faults, AreReadWithTheirTimes) {
  EXPECT_EQ(fault_from("die-after=250ms")->seconds, 0.25);
  EXPECT_EQ(fault_from("nan")->fault, Fault::nan);
  EXPECT_FALSE(fault_from("die-after=soon"));
  EXPECT_THAT(fault_from("wat").error().what, HasSubstr("hang-metrics"));
}

}  // namespace
}  // namespace ebb::emulator
