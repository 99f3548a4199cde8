#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "adapters/exposition/scrape_source.hpp"
#include "tests/support/fake_http.hpp"
#include "tests/support/run.hpp"

namespace ebb {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

struct Engine {
  double running = 0;
  double waiting = 0;
  double tokens = 1'000;
  double requests = 10;
  std::string kv = "0.5";
  double started = 1'700'000'000;

  [[nodiscard]] std::string page() const {
    return "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} " + std::to_string(running) +
           "\nvllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} " + std::to_string(waiting) +
           "\nvllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} " + kv +
           "\nvllm:generation_tokens_total{engine=\"0\",model_name=\"m\"} " + std::to_string(tokens) +
           "\nvllm:request_success_total{finished_reason=\"stop\"} " + std::to_string(requests) +
           "\nprocess_start_time_seconds " + std::to_string(started) + "\n";
  }
};

class ScrapeTest : public testing::Test {
 protected:
  ScrapeTest() : source_(std::make_unique<ScrapeSource>(config_, http_, clock_)) {}

  void configure(const SourceConfig& config) { source_ = std::make_unique<ScrapeSource>(config, http_, clock_); }
  static std::string url(int i) { return "http://10.0.0." + std::to_string(i) + ":8000"; }
  void serve(int i, const Engine& engine) { http_.serve(url(i) + "/metrics", engine.page()); }
  WorkloadSeen sample(int targets) {
    std::vector<Target> ready;
    for (int i = 0; i < targets; ++i) ready.push_back({"chat-" + std::to_string(i), url(i)});
    return sample(ready);
  }
  WorkloadSeen sample(const std::vector<Target>& ready) { return test::run(source_->sample(ready, clock_.at + 800ms)); }
  static double value(const WorkloadSeen& seen, const char* name) {
    const SignalSeen& signal = seen.signals.at(name);
    EXPECT_TRUE(signal.value.known()) << name << ": " << (signal.value.missing() ? signal.value.missing()->why : "");
    return signal.value.known() ? signal.value.value() : -1;
  }
  static std::string why(const WorkloadSeen& seen, const char* name) {
    const Missing* missing = seen.signals.at(name).value.missing();
    return missing == nullptr ? "known" : missing->why;
  }

  SourceConfig config_;
  test::FakeHttp http_;
  test::StillClock clock_;
  std::unique_ptr<ScrapeSource> source_;
};

TEST_F(ScrapeTest, SumsOverReplicas) {
  for (int i = 0; i < 3; ++i) serve(i, {.running = 4, .waiting = 1});
  const WorkloadSeen seen = sample(3);
  EXPECT_EQ(value(seen, "in_flight"), 15);
  EXPECT_EQ(value(seen, "running"), 12);
  EXPECT_EQ(value(seen, "waiting"), 3);
  EXPECT_EQ(value(seen, "kv_usage"), 1.5);
  EXPECT_EQ(seen.reported, 3);
  EXPECT_EQ(seen.expected, 3);
  EXPECT_EQ(seen.signals.at("in_flight").value.sample()->taken_at, clock_.at);
  EXPECT_FALSE(seen.asked.known());
  EXPECT_FALSE(seen.held.known());
  EXPECT_EQ(http_.requests.front().url, "http://10.0.0.0:8000/metrics");
  EXPECT_LE(http_.requests.front().timeout, 790ms);
}

TEST_F(ScrapeTest, AnIdleServiceIsZeroOnlyWhenEveryReplicaSaysSo) {
  for (int i = 0; i < 4; ++i) serve(i, {});
  EXPECT_EQ(value(sample(4), "in_flight"), 0);
  http_.fail(url(2) + "/metrics", ErrorCode::timeout, "no answer in time");
  const WorkloadSeen seen = sample(4);
  EXPECT_EQ(why(seen, "in_flight"), "3 of 4 replicas reported: chat-2: no answer in time");
  EXPECT_EQ(seen.signals.at("in_flight").at_least, 0);
  EXPECT_EQ(seen.reported, 3);
  EXPECT_EQ(seen.expected, 4);
}

TEST_F(ScrapeTest, APartialSumIsALowerBoundOnly) {
  serve(0, {.running = 10, .waiting = 2});
  const WorkloadSeen seen = sample(2);
  EXPECT_THAT(why(seen, "in_flight"), HasSubstr("1 of 2 replicas reported: chat-1: connection refused"));
  EXPECT_EQ(seen.signals.at("in_flight").at_least, 12);
  EXPECT_EQ(seen.signals.at("kv_usage").at_least, 0.5);
}

TEST_F(ScrapeTest, TellsWhatEachReplicaWorksOn) {
  serve(0, {.running = 4, .waiting = 1});
  serve(2, {});
  const std::vector<Target> replicas{{"rl-0", url(0)}, {"rl-1", url(1)}, {"rl-2", url(2)}};
  const Reading<ReplicaLoads> loads = test::run(source_->loads(replicas, clock_.at + 800ms));
  ASSERT_TRUE(loads.known());
  EXPECT_EQ(loads.value(), (ReplicaLoads{{ReplicaId("rl-0"), 5}, {ReplicaId("rl-2"), 0}})) << "rl-1 does not answer";
  EXPECT_EQ(loads.sample()->taken_at, clock_.at);
}

TEST_F(ScrapeTest, AReplicaThatDoesNotSayWhatRunsIsNotTakenForIdle) {
  http_.serve(url(0) + "/metrics",
              "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} NaN\n"
              "vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 0\n");
  serve(1, {.running = 2});
  const std::vector<Target> replicas{{"rl-0", url(0)}, {"rl-1", url(1)}};
  const Reading<ReplicaLoads> loads = test::run(source_->loads(replicas, clock_.at + 800ms));
  ASSERT_TRUE(loads.known());
  EXPECT_EQ(loads.value(), (ReplicaLoads{{ReplicaId("rl-1"), 2}}));
}

TEST_F(ScrapeTest, AFrozenReplicaWorksOnWhatItSaidLast) {
  serve(0, {.running = 5});
  const std::vector<Target> replicas{{"rl-0", url(0)}};
  for (int i = 0; i < 3; ++i) {
    const Reading<ReplicaLoads> loads = test::run(source_->loads(replicas, clock_.at + 800ms));
    ASSERT_TRUE(loads.known()) << loads.missing()->why;
    EXPECT_EQ(loads.value().at(ReplicaId("rl-0")), 5);
    clock_.at += config_.frozen_after;
  }
}

TEST_F(ScrapeTest, WhatReplicasWorkOnIsMissingWhenNoneSaysSo) {
  const Reading<ReplicaLoads> none = test::run(source_->loads({{"rl-1", url(1)}}, clock_.at + 800ms));
  ASSERT_FALSE(none.known());
  EXPECT_THAT(none.missing()->why, HasSubstr("rl-1: connection refused"));
  const Reading<ReplicaLoads> nobody = test::run(source_->loads({}, clock_.at + 800ms));
  ASSERT_FALSE(nobody.known());
  EXPECT_EQ(nobody.missing()->why, "no ready replica to ask");
}

TEST_F(ScrapeTest, NobodyAnsweringHasNoLowerBound) {
  const WorkloadSeen seen = sample(2);
  EXPECT_FALSE(seen.signals.at("in_flight").at_least);
}

TEST_F(ScrapeTest, AServiceWithoutReadyReplicasIsNotIdle) {
  const WorkloadSeen seen = sample(0);
  for (const char* name : {"in_flight", "running", "waiting", "kv_usage", "tokens_per_s", "requests_per_s"}) {
    EXPECT_EQ(why(seen, name), "no ready replica to ask") << name;
  }
  EXPECT_EQ(seen.expected, 0);
}

TEST_F(ScrapeTest, ConfiguredTargetsReplaceTheFleets) {
  config_.targets = {url(7), url(8) + "/", url(7)};
  config_.path = "/prometheus/metrics";
  configure(config_);
  http_.serve(url(7) + "/prometheus/metrics", Engine{.running = 2}.page());
  http_.serve(url(8) + "/prometheus/metrics", Engine{.running = 3}.page());
  const WorkloadSeen seen = sample(1);
  EXPECT_EQ(value(seen, "in_flight"), 5) << "one given twice counts once";
  EXPECT_EQ(seen.expected, 2);
}

TEST_F(ScrapeTest, BadAnswersAreUnknownAndNotZero) {
  struct Row {
    int line;
    HttpResponse answer;
    const char* why;
  };
  const std::string page = Engine{.running = 3}.page();
  const Row rows[] = {
      {__LINE__, test::answer(503, page), "HTTP 503"},
      {__LINE__, test::answer(200, ""), "empty"},
      {__LINE__, test::answer(200, page.substr(0, page.size() - 1)), "truncated"},
      {__LINE__, test::answer(200, page.substr(0, page.find("\nvllm:kv") + 1), "application/openmetrics-text"), "EOF"},
      {__LINE__, test::answer(200, "<html><body>sign in</body></html>\n", "text/html"), "line 1"},
      {__LINE__, test::answer(200, page + page), "twice"},
      {__LINE__, test::answer(200, "go_threads 3\n"), "no engine metric found; saw: go_threads"},
  };
  for (const Row& row : rows) {
    http_.answers.insert_or_assign(url(0) + "/metrics", row.answer);
    const WorkloadSeen seen = sample(1);
    EXPECT_THAT(why(seen, "in_flight"), HasSubstr(row.why)) << row.line;
    EXPECT_FALSE(seen.signals.at("in_flight").at_least) << row.line;
    EXPECT_EQ(seen.reported, 0) << row.line;
  }
}

TEST_F(ScrapeTest, NanMakesOnlyItsOwnSignalUnknown) {
  serve(0, {.running = 3});
  serve(1, {.running = 4, .kv = "NaN"});
  const WorkloadSeen seen = sample(2);
  EXPECT_EQ(value(seen, "in_flight"), 7);
  EXPECT_THAT(why(seen, "kv_usage"), HasSubstr("chat-1: NaN in vllm:kv_cache_usage_perc"));
  EXPECT_EQ(seen.signals.at("kv_usage").at_least, 0.5);
}

TEST_F(ScrapeTest, WhatRunsIsALowerBoundOfWhatIsInFlight) {
  http_.serve(url(0) + "/metrics", "vllm:num_requests_running 5\nvllm:num_requests_waiting NaN\n");
  EXPECT_EQ(sample(1).signals.at("in_flight").at_least, 5);
}

TEST_F(ScrapeTest, RatesNeedTwoSamples) {
  serve(0, {.running = 1, .tokens = 1'000, .requests = 10});
  EXPECT_THAT(why(sample(1), "tokens_per_s"), HasSubstr("two samples"));
  clock_.at += 2s;
  serve(0, {.running = 1, .tokens = 1'500, .requests = 14});
  const WorkloadSeen seen = sample(1);
  EXPECT_EQ(value(seen, "tokens_per_s"), 250);
  EXPECT_EQ(value(seen, "requests_per_s"), 2);
}

TEST_F(ScrapeTest, ACounterThatFellBeganAnew) {
  serve(0, {.tokens = 100'000});
  sample(1);
  clock_.at += 1s;
  serve(0, {.tokens = 300});
  EXPECT_EQ(value(sample(1), "tokens_per_s"), 300);
}

TEST_F(ScrapeTest, ARestartThatOvertookTheOldCountIsSeenByTheStartTime) {
  serve(0, {.tokens = 100});
  sample(1);
  clock_.at += 1s;
  serve(0, {.tokens = 900, .started = 1'700'000'500});
  EXPECT_EQ(value(sample(1), "tokens_per_s"), 900) << "not 800: all of it was counted since the restart";
}

TEST_F(ScrapeTest, TheRateForgetsWhatIsOlderThanItsWindow) {
  double tokens = 0;
  for (int second = 0; second < 60; ++second) {
    tokens += second < 30 ? 1'000 : 0;
    serve(0, {.tokens = tokens});
    sample(1);
    clock_.at += 1s;
  }
  EXPECT_EQ(value(sample(1), "tokens_per_s"), 0);
}

TEST_F(ScrapeTest, AFrozenEngineIsNeitherBusyNorIdle) {
  serve(0, {.running = 3, .tokens = 500});
  serve(1, {.running = 1, .tokens = 500});
  double tokens = 500;
  for (int second = 0; second < 30; ++second) {
    EXPECT_EQ(value(sample(2), "in_flight"), 4) << second;
    clock_.at += 1s;
    serve(1, {.running = 1, .tokens = tokens += 10});
  }
  const WorkloadSeen seen = sample(2);
  EXPECT_EQ(why(seen, "in_flight"), "1 of 2 replicas reported: chat-0: frozen: 3 requests run, and no token for 30s");
  EXPECT_EQ(seen.signals.at("in_flight").at_least, 1);
  EXPECT_EQ(seen.reported, 1);
  serve(0, {.running = 3, .tokens = 501});
  EXPECT_EQ(value(sample(2), "in_flight"), 4) << "it moved again";
}

TEST_F(ScrapeTest, AnIdleEngineIsNotFrozen) {
  for (int second = 0; second < 100; ++second) {
    serve(0, {.running = 0, .tokens = 500});
    EXPECT_EQ(value(sample(1), "in_flight"), 0);
    clock_.at += 1s;
  }
  serve(0, {.running = 2, .tokens = 500});
  EXPECT_EQ(value(sample(1), "in_flight"), 2) << "a request that has just begun has no token yet";
}

TEST_F(ScrapeTest, AReplicaThatLeftTakesItsMemoryWithIt) {
  serve(0, {.running = 1, .tokens = 1'000});
  sample(1);
  sample(0);
  clock_.at += 60s;
  const WorkloadSeen seen = sample(1);
  EXPECT_EQ(value(seen, "in_flight"), 1) << "else it would look frozen for a minute";
  EXPECT_THAT(why(seen, "tokens_per_s"), HasSubstr("two samples"));
}

TEST_F(ScrapeTest, ANewAddressIsANewProcess) {
  serve(0, {.tokens = 1'000});
  serve(1, {.tokens = 9'000});
  sample({{"chat", url(0)}});
  clock_.at += 1s;
  EXPECT_THAT(why(sample({{"chat", url(1)}}), "tokens_per_s"), HasSubstr("two samples"));
}

TEST_F(ScrapeTest, ANewReplicaWithoutAnAddressIsUnknown) {
  serve(0, {});
  EXPECT_THAT(why(sample({{"chat-0", url(0)}, {"chat-1", ""}}), "in_flight"), HasSubstr("chat-1: no address yet"));
}

TEST_F(ScrapeTest, SamplesWithOldTimestampsAreOld) {
  const auto old_ms = (clock_.at - 95s).time_since_epoch().count();
  http_.serve(url(0) + "/metrics",
              "vllm:num_requests_running 0 " + std::to_string(old_ms) + "\nvllm:num_requests_waiting 0\n");
  EXPECT_EQ(sample(1).signals.at("in_flight").value.sample()->taken_at, clock_.at - 95s);
}

TEST_F(ScrapeTest, MissingKeepsTheTimeItBegan) {
  const TimePoint first = clock_.at;
  sample(1);
  clock_.at += 10s;
  EXPECT_EQ(sample(1).signals.at("in_flight").value.missing()->since, first);
  serve(0, {});
  EXPECT_EQ(value(sample(1), "in_flight"), 0);
  clock_.at += 10s;
  http_.answers.clear();
  EXPECT_EQ(sample(1).signals.at("in_flight").value.missing()->since, clock_.at);
}

TEST_F(ScrapeTest, NoTimeLeftIsNoAnswer) {
  serve(0, {});
  const std::vector<Target> ready{{"chat-0", url(0)}};
  const WorkloadSeen seen = test::run(source_->sample(ready, clock_.at));
  EXPECT_THAT(why(seen, "in_flight"), HasSubstr("no time left"));
  EXPECT_TRUE(http_.requests.empty());
}

TEST_F(ScrapeTest, TheModelFilterAppliesAndAMismatchIsSaid) {
  config_.model_name = "prod";
  configure(config_);
  serve(0, {.running = 3});
  EXPECT_THAT(why(sample(1), "in_flight"), HasSubstr("no engine metric of model \"prod\" found; saw model \"m\""));
}

TEST_F(ScrapeTest, SleepingEnginesAreCounted) {
  for (int i = 0; i < 2; ++i) {
    http_.serve(url(i) + "/metrics",
                Engine{}.page() + "vllm:engine_sleep_state{sleep_state=\"awake\"} " + std::to_string(i) + "\n");
  }
  EXPECT_EQ(value(sample(2), "asleep"), 1);
}

TEST_F(ScrapeTest, TritonsMicrosecondsAreRequestsUnderWay) {
  config_.dialect = "triton";
  configure(config_);
  http_.serve(url(0) + "/metrics", "nv_inference_pending_request_count 0\nnv_inference_request_duration_us 1000000\n");
  sample(1);
  clock_.at += 10s;
  http_.serve(url(0) + "/metrics", "nv_inference_pending_request_count 0\nnv_inference_request_duration_us 31000000\n");
  const WorkloadSeen seen = sample(1);
  EXPECT_EQ(value(seen, "busy_requests"), 3) << "30 s of requests in 10 s";
  EXPECT_FALSE(seen.signals.at("in_flight").value.known()) << "an empty queue does not prove idleness";
}

}  // namespace
}  // namespace ebb
