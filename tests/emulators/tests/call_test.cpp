#include "tests/emulators/load/call.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/emulators/load/production.hpp"
#include "tests/emulators/load/rollouts.hpp"
#include "tests/emulators/tests/harness.hpp"

namespace ebb::emulator {
namespace {

awaitable<void> call_into(HostPort to, CallSpec spec, CallOutcome& outcome) {
  OnToken nothing;
  outcome = co_await call_replica(to, spec, nothing);
}

CallOutcome call(asio::io_context& io, HostPort to, CallSpec spec) {
  CallOutcome outcome;
  run_until_done(io, call_into(to, std::move(spec), outcome));
  return outcome;
}

CallSpec short_call() {
  CallSpec spec;
  spec.model = "m";
  spec.prompt = "tell me";
  spec.max_tokens = 8;
  spec.timeout_s = 5;
  return spec;
}

TEST(Call, ChecksEveryTokenOfCompletionAndChat) {
  asio::io_context io;
  RunningEngine engine(io, fast_config());
  for (const bool chat : {false, true}) {
    CallSpec spec = short_call();
    spec.chat = chat;
    const CallOutcome outcome = call(io, engine.at, spec);
    EXPECT_EQ(outcome.end, CallEnd::ok) << outcome.detail;
    EXPECT_EQ(outcome.tokens, 8);
    EXPECT_EQ(outcome.mismatches, 0);
    EXPECT_EQ(outcome.weights, "w");
    EXPECT_LE(outcome.first_token_at, outcome.last_token_at);
  }
}

TEST(Call, NamesWhatWentWrong) {
  asio::io_context io;
  RunningEngine engine(io, fast_config());
  CallSpec wrong = short_call();
  wrong.model = "other";
  const CallOutcome refused = call(io, engine.at, wrong);
  EXPECT_EQ(refused.end, CallEnd::refused);
  EXPECT_EQ(refused.status, 404);
  CallSpec slow = short_call();
  slow.max_tokens = 5000;
  slow.timeout_s = 0.2;
  EXPECT_EQ(call(io, engine.at, slow).end, CallEnd::timeout);
  engine.service.begin_drain();
  EXPECT_EQ(call(io, engine.at, short_call()).end, CallEnd::unavailable);
  engine.service.stop();
  EXPECT_EQ(call(io, engine.at, short_call()).end, CallEnd::unavailable);
}

/// An engine that lies: answers every request with the given events.
struct Liar {
  Liar(asio::io_context& io, std::string events_, bool end_)
      : events(std::move(events_)),
        end(end_),
        server(io, [this](HttpRequestIn, std::shared_ptr<HttpReply> reply) { return answer(std::move(reply)); }) {
    const auto port = server.listen("127.0.0.1", 0);
    at.host = "127.0.0.1";
    at.port = port ? *port : std::uint16_t{0};
  }
  awaitable<void> answer(std::shared_ptr<HttpReply> reply) {
    Headers headers;
    co_await reply->begin(200, headers);
    co_await reply->write(events);
    if (end) co_await reply->end();
  }
  std::string events;
  bool end;
  HttpServer server;
  HostPort at;
};

TEST(Call, SeesAWrongToken) {
  asio::io_context io;
  Liar liar(io,
            R"(data: {"system_fingerprint":"w","choices":[{"text":"wrong","finish_reason":"length"}]})"
            "\n\ndata: [DONE]\n\n",
            true);
  CallSpec spec = short_call();
  spec.max_tokens = 1;
  const CallOutcome outcome = call(io, liar.at, spec);
  EXPECT_EQ(outcome.end, CallEnd::ok);
  EXPECT_EQ(outcome.mismatches, 1);
}

TEST(Call, NotesWhichWeightsMadeWhichTokens) {
  asio::io_context io;
  std::string events;
  const std::vector<std::string> makers{"old", "old", "new"};
  for (int i = 0; i < 3; ++i) {
    const std::string& weights = makers[static_cast<std::size_t>(i)];
    const nlohmann::json choice{{"text", TokenFunction("tell me", weights).piece(i)},
                                {"finish_reason", i == 2 ? nlohmann::json("length") : nlohmann::json()}};
    const nlohmann::json event{{"system_fingerprint", weights}, {"choices", nlohmann::json::array({choice})}};
    events += "data: " + event.dump() + "\n\n";
  }
  Liar engine(io, events + "data: [DONE]\n\n", true);
  CallSpec spec = short_call();
  spec.max_tokens = 3;
  const CallOutcome outcome = call(io, engine.at, spec);
  EXPECT_EQ(outcome.end, CallEnd::ok);
  EXPECT_EQ(outcome.mismatches, 0);
  ASSERT_EQ(outcome.uses.size(), 2u);
  EXPECT_EQ(outcome.uses[0].weights, "old");
  EXPECT_EQ(outcome.uses[0].tokens, 2);
  EXPECT_EQ(outcome.uses[1].weights, "new");
  EXPECT_EQ(outcome.uses[1].tokens, 1);
  EXPECT_LE(outcome.uses[0].last_unix, outcome.uses[1].first_unix);
}

TEST(Call, AStreamThatBreaksOffIsBrokenAndTooFewTokensAreMismatches) {
  asio::io_context io;
  const std::string token = TokenFunction("tell me", "w").piece(0);
  const std::string event = nlohmann::json{{"system_fingerprint", "w"},
                                           {"choices", {nlohmann::json{{"text", token}, {"finish_reason", nullptr}}}}}
                                .dump();
  Liar breaks(io, "data: " + event + "\n\n", false);
  const CallOutcome broken = call(io, breaks.at, short_call());
  EXPECT_EQ(broken.end, CallEnd::broken);
  EXPECT_EQ(broken.tokens, 1);
  EXPECT_EQ(broken.mismatches, 0);
  EXPECT_FALSE(may_retry(broken)) << "the user has seen a token";
  Liar garbage(io, "data: {nonsense\n\n", true);
  EXPECT_EQ(call(io, garbage.at, short_call()).end, CallEnd::malformed);
}

TEST(Retry, OnlyWhatTheUserHasSeenNothingOf) {
  CallOutcome outcome;
  for (const CallEnd end : {CallEnd::unavailable, CallEnd::broken}) {
    outcome.end = end;
    outcome.tokens = 0;
    EXPECT_TRUE(may_retry(outcome)) << to_string(end);
    outcome.tokens = 1;
    EXPECT_FALSE(may_retry(outcome)) << to_string(end);
  }
  outcome.tokens = 0;
  for (const CallEnd end : {CallEnd::ok, CallEnd::timeout, CallEnd::refused, CallEnd::malformed}) {
    outcome.end = end;
    EXPECT_FALSE(may_retry(outcome)) << to_string(end);
  }
}

struct TempDir {
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "ebb-load-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string path;
};

std::string url_of(const HostPort& at) { return "http://127.0.0.1:" + std::to_string(at.port); }

TEST(ProductionLoad, RetriesElsewhereWhatADrainingReplicaRefuses) {
  asio::io_context io;
  RunningEngine healthy(io, fast_config());
  RunningEngine leaving(io, fast_config());
  leaving.service.begin_drain();
  const TempDir dir;
  ProductionConfig config;
  config.model = "m";
  config.arrivals.day_s = 2;
  config.arrivals.peak_rps = 40;
  config.output_tokens = 5;
  config.discovery.targets = {url_of(healthy.at), url_of(leaving.at)};
  config.output.summary = dir.path + "/summary.json";
  config.output.series = dir.path + "/series.jsonl";
  ProductionLoad load(io, config, built_in_day());
  ASSERT_TRUE(load.prepare());
  run_until_done(io, load.run(), 30);
  EXPECT_GT(load.report().requests, 10u);
  EXPECT_EQ(load.report().completed, load.report().requests);
  EXPECT_EQ(load.report().error_count(), 0u) << load.report().last_error;
  EXPECT_GT(load.report().retries, 0u);
  EXPECT_EQ(load.report().mismatches, 0u);
  const auto summary = nlohmann::json::parse(*read_file(config.output.summary));
  EXPECT_EQ(summary.at("final"), true);
  EXPECT_EQ(summary.at("completed"), load.report().completed);
}

TEST(ProductionLoad, NobodyReadyInTimeIsAnError) {
  asio::io_context io;
  ProductionConfig config;
  config.model = "m";
  config.arrivals.day_s = 0.5;
  config.arrivals.peak_rps = 40;
  config.timeout_s = 0.3;
  {
    asio::io_context other;  // whose engine is gone with it, and whose port nobody has now
    const RunningEngine gone(other, fast_config());
    config.discovery.targets = {url_of(gone.at)};
  }
  ProductionLoad load(io, config, built_in_day());
  ASSERT_TRUE(load.prepare());
  run_until_done(io, load.run(), 30);
  EXPECT_GT(load.report().requests, 0u);
  EXPECT_EQ(load.report().error_count(), load.report().requests);
}

awaitable<void> drain_one(RunningEngine& engine, RolloutLoad& load) {
  const auto enough = [&load] { return load.report().completed >= 5; };
  while (!enough()) co_await pause(0.01);
  engine.service.begin_drain();
  co_await engine.service.finish_drain(0.05);
  engine.service.stop();
  const auto before = load.report().completed;
  while (load.report().completed < before + 20) co_await pause(0.01);
  load.stop();
}

awaitable<void> roll_and_drain(asio::io_context& io, RunningEngine& leaving, RolloutLoad& load) {
  asio::co_spawn(io, drain_one(leaving, load), on_done("drain"));
  co_await load.run();
  co_await pause(0.05);  // those that are given up see that they are
}

TEST(RolloutLoad, GoesOnElsewhereWhenAReplicaLeaves) {
  asio::io_context io;
  RunningEngine stays(io, fast_config());
  RunningEngine leaves(io, fast_config());
  RolloutConfig config;
  config.model = "m";
  config.total = 8;
  config.output_tokens = 60;
  config.discovery.targets = {url_of(stays.at), url_of(leaves.at)};
  RolloutLoad load(io, config);
  ASSERT_TRUE(load.prepare());
  run_until_done(io, roll_and_drain(io, leaves, load), 60);
  EXPECT_EQ(load.report().error_count(), 0u) << load.report().last_error;
  EXPECT_EQ(load.report().mismatches, 0u);
  EXPECT_GT(load.restarts(), 0u);
  EXPECT_GT(load.lost_tokens(), 0u);
}

}  // namespace
}  // namespace ebb::emulator
