#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "adapters/prometheus/answer.hpp"
#include "adapters/prometheus/prometheus_source.hpp"
#include "tests/support/fake_http.hpp"
#include "tests/support/run.hpp"

namespace ebb {
namespace {

using prometheus::instant_from;
using prometheus::reading_of;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

std::string vector_of(const std::string& result, const std::string& more = "") {
  return R"({"status":"success","data":{"resultType":"vector","result":[)" + result + "]}" + more + "}";
}
std::string one(const std::string& value, const std::string& time = "1767225600.123") {
  return vector_of(R"({"metric":{},"value":[)" + time + ",\"" + value + "\"]}");
}

TEST(PrometheusAnswer, ReadsOneSeriesAndScalars) {
  const auto vector = instant_from(200, one("37"));
  ASSERT_TRUE(vector.ok()) << vector.error().what;
  EXPECT_EQ(vector->value, 37);
  EXPECT_EQ(vector->at, TimePoint(Duration(1767225600123)));
  const auto scalar = instant_from(200, R"({"status":"success","data":{"resultType":"scalar","result":[5,"1.5e1"]}})");
  ASSERT_TRUE(scalar.ok());
  EXPECT_EQ(scalar->value, 15);
  EXPECT_TRUE(instant_from(200, vector_of(R"({"metric":{},"value":[1,"2"]})", R"(,"warnings":null,"infos":["x"])"))
                  ->warnings.empty());
}

TEST(PrometheusAnswer, EachErrorTypeHasItsCode) {
  struct Row {
    int line;
    int status;
    const char* type;
    ErrorCode code;
    bool retryable;
  };
  const Row rows[] = {
      {__LINE__, 400, "bad_data", ErrorCode::invalid, false},
      {__LINE__, 422, "execution", ErrorCode::invalid, false},
      {__LINE__, 499, "canceled", ErrorCode::internal, true},
      {__LINE__, 503, "timeout", ErrorCode::timeout, true},
      {__LINE__, 500, "internal", ErrorCode::internal, true},
      {__LINE__, 500, "unavailable", ErrorCode::unreachable, true},
      {__LINE__, 404, "not_found", ErrorCode::not_found, false},
      {__LINE__, 406, "not_acceptable", ErrorCode::invalid, false},
      {__LINE__, 418, "new_one", ErrorCode::internal, true},
  };
  for (const Row& row : rows) {
    const auto answer =
        instant_from(row.status, std::string(R"({"status":"error","errorType":")") + row.type + R"(","error":"why"})");
    ASSERT_FALSE(answer.ok()) << row.line;
    EXPECT_EQ(answer.error().code, row.code) << row.line;
    EXPECT_EQ(answer.error().retryable, row.retryable) << row.line;
    EXPECT_THAT(answer.error().what, HasSubstr(row.type)) << row.line;
  }
}

TEST(PrometheusAnswer, WhatIsNotPrometheusIsJudgedByItsStatus) {
  const struct {
    int status;
    ErrorCode code;
  } rows[] = {{200, ErrorCode::malformed}, {302, ErrorCode::malformed},   {401, ErrorCode::denied},
              {403, ErrorCode::denied},    {404, ErrorCode::not_found},   {429, ErrorCode::throttled},
              {500, ErrorCode::internal},  {503, ErrorCode::unreachable}, {400, ErrorCode::invalid}};
  for (const auto& row : rows) {
    for (const char* body : {"<html>sign in</html>", "", "[]", "null", "{\"status\":3}"}) {
      const auto answer = instant_from(row.status, body);
      ASSERT_FALSE(answer.ok());
      EXPECT_EQ(answer.error().code, row.code) << row.status << body;
    }
  }
  EXPECT_FALSE(instant_from(503, one("0")).ok()) << "a success inside a failure is none";
}

TEST(PrometheusAnswer, CutAndForeignShapesAreMalformed) {
  const std::string whole = one("37");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(instant_from(200, whole.substr(0, length)).ok()) << length;
  }
  for (const char* bad : {R"({"status":"success"})", R"({"status":"success","data":null})",
                          R"({"status":"success","data":{"resultType":"vector"}})",
                          R"({"status":"success","data":{"resultType":"vector","result":{}}})",
                          R"({"status":"success","data":{"resultType":"vector","result":[1]}})",
                          R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}})",
                          R"({"status":"success","data":{"resultType":"vector","result":[{"value":[1]}]}})",
                          R"({"status":"success","data":{"resultType":"vector","result":[{"value":[1,2]}]}})",
                          R"({"status":"success","data":{"resultType":"vector","result":[{"value":["1","2"]}]}})",
                          R"({"status":"success","data":{"resultType":"vector","result":[{"value":[1,"two"]}]}})",
                          R"({"status":"success","data":{"resultType":"vector","result":[{"value":[1e300,"2"]}]}})",
                          R"({"status":"success","data":{"resultType":"vector","result":[{"value":[-1,"2"]}]}})",
                          R"({"status":"success","data":{"resultType":"scalar","result":[]}})"}) {
    const auto answer = instant_from(200, bad);
    ASSERT_FALSE(answer.ok()) << bad;
    EXPECT_EQ(answer.error().code, ErrorCode::malformed) << bad;
  }
}

TEST(PrometheusAnswer, ShapesThatAreNotOneNumberAreTheQuerysFault) {
  const std::string two = R"({"metric":{"a":"1"},"value":[1,"2"]},{"metric":{"a":"2"},"value":[1,"3"]})";
  const auto many = instant_from(200, vector_of(two));
  EXPECT_EQ(many.error().code, ErrorCode::invalid);
  EXPECT_THAT(many.error().what, HasSubstr("2 series"));
  EXPECT_EQ(instant_from(200, vector_of(R"({"metric":{},"histogram":[1,{}]})")).error().code, ErrorCode::invalid);
  EXPECT_EQ(instant_from(200, R"({"status":"success","data":{"resultType":"matrix","result":[]}})").error().code,
            ErrorCode::invalid);
  EXPECT_EQ(instant_from(200, R"({"status":"success","data":{"resultType":"string","result":[1,"2"]}})").error().code,
            ErrorCode::invalid);
}

TEST(PrometheusAnswer, NoNumberIsNeverZero) {
  const TimePoint now(Duration(1767225601000));
  const auto why = [&](const std::string& body, bool accept = false) {
    const Reading<double> reading = reading_of(instant_from(200, body), accept, now);
    return reading.known() ? "known" : reading.missing()->why;
  };
  EXPECT_THAT(why(vector_of("")), HasSubstr("no series matched"));
  EXPECT_THAT(why(one("NaN")), HasSubstr("NaN"));
  EXPECT_THAT(why(one("+Inf")), HasSubstr("infinity"));
  EXPECT_THAT(why(one("-Inf")), HasSubstr("infinity"));
  EXPECT_THAT(why(one("-3")), HasSubstr("-3"));
  const std::string warned =
      vector_of(R"({"metric":{},"value":[1,"2"]})", R"(,"warnings":["remote read: one store is gone"])");
  EXPECT_EQ(why(warned), "partial data: remote read: one store is gone");
  EXPECT_EQ(why(warned, true), "known");
  EXPECT_EQ(why(one("0")), "known");
}

TEST(PrometheusAnswer, AServersClockMayMakeASampleOlderButNotNewer) {
  const TimePoint now(Duration(1767225600000));
  EXPECT_EQ(reading_of(instant_from(200, one("1", "1767225590")), false, now).sample()->taken_at, now - 10s);
  EXPECT_EQ(reading_of(instant_from(200, one("1", "1767229999")), false, now).sample()->taken_at, now);
}

TEST(PrometheusQuery, DangerousDefaultsAreNamed) {
  for (const char* bad :
       {"sum(x) or vector(0)", "sum(x) OR  vector( 0 )", "sum(x)\nor on() vector(0)", "sum(x) or absent(y)"}) {
    EXPECT_THAT(prometheus::danger_in(bad), HasSubstr("look idle")) << bad;
  }
  for (const char* good : {"sum(x)", "vector(3)", "sum(x) or sum(y)", "sum(major_vector)"}) {
    EXPECT_EQ(prometheus::danger_in(good), "") << good;
  }
}

TEST(PrometheusQuery, FormsAreEncodedByteByByte) {
  EXPECT_EQ(prometheus::form_encoded({{"query", "a+b{c=\"d e\"}&\xC3\xA4"}, {"t", "1"}}),
            "query=a%2Bb%7Bc%3D%22d%20e%22%7D%26%C3%A4&t=1");
}

class PrometheusSourceTest : public testing::Test {
 protected:
  PrometheusSourceTest() {
    config_.kind = SourceKind::prometheus;
    config_.endpoint.url = "http://prometheus:9090/prefix";
    http_.respond = [this](const HttpRequest& request) -> Result<HttpResponse> {
      for (const auto& [promql, result] : results_) {
        if (request.body.starts_with("query=" + promql + "&")) return result;
      }
      return Error{ErrorCode::unreachable, "connection refused", true};
    };
  }
  void ask(const std::string& name, const std::string& promql, const std::string& body, int status = 200) {
    config_.queries[name] = promql;
    results_.insert_or_assign(promql, test::answer(status, body, "application/json"));
  }
  WorkloadSeen sample() {
    if (!source_) source_ = std::make_unique<PrometheusSource>(config_, http_, clock_);
    return test::run(source_->sample({}, clock_.at + 800ms));
  }
  static std::string why(const WorkloadSeen& seen, const char* name) {
    const Missing* missing = seen.signals.at(name).value.missing();
    return missing == nullptr ? "known" : missing->why;
  }

  SourceConfig config_;
  test::FakeHttp http_;
  test::StillClock clock_;
  std::map<std::string, Result<HttpResponse>> results_;
  std::unique_ptr<PrometheusSource> source_;
};

TEST_F(PrometheusSourceTest, AsksEveryQueryByPostUnderThePrefix) {
  ask("in_flight", "a", one("37"));
  ask("kv_usage", "b", one("0.5"));
  const WorkloadSeen seen = sample();
  EXPECT_EQ(seen.signals.at("in_flight").value.value(), 37);
  EXPECT_EQ(seen.signals.at("kv_usage").value.value(), 0.5);
  EXPECT_EQ(seen.signals.size(), 2u);
  const HttpRequest& request = http_.requests.front();
  EXPECT_EQ(request.url, "http://prometheus:9090/prefix/api/v1/query");
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.headers.at("Content-Type"), "application/x-www-form-urlencoded");
  EXPECT_THAT(request.body, HasSubstr("&timeout=760ms"));
}

TEST_F(PrometheusSourceTest, AnUnreachableServerIsUnknownPerSignal) {
  ask("in_flight", "a", one("37"));
  config_.queries["waiting"] = "gone";
  const WorkloadSeen seen = sample();
  EXPECT_TRUE(seen.signals.at("in_flight").value.known());
  EXPECT_THAT(why(seen, "waiting"), HasSubstr("connection refused"));
}

TEST_F(PrometheusSourceTest, AskedAndHeldAreReplicasAndNoSignals) {
  ask("in_flight", "a", one("1"));
  ask("asked_replicas", "b", one("3.2"));
  ask("held_replicas", "c", one("5.0000000000001"));
  const WorkloadSeen seen = sample();
  EXPECT_EQ(seen.asked.value(), Replicas{4});
  EXPECT_EQ(seen.held.value(), Replicas{5});
  EXPECT_EQ(seen.signals.size(), 1u);
}

TEST_F(PrometheusSourceTest, FewerReportersThanExpectedIsPartial) {
  ask("in_flight", "a", one("30"));
  ask("reporters", "b", one("3"));
  ask("expected_reporters", "c", one("4"));
  WorkloadSeen seen = sample();
  EXPECT_EQ(why(seen, "in_flight"), "3 of 4 replicas reported");
  EXPECT_EQ(seen.signals.at("in_flight").at_least, 30);
  EXPECT_EQ(seen.reported, 3);
  EXPECT_EQ(seen.expected, 4);
  ask("reporters", "b", one("4"));
  EXPECT_EQ(sample().signals.at("in_flight").value.value(), 30);
  ask("reporters", "b", vector_of(""));
  EXPECT_THAT(why(sample(), "in_flight"), HasSubstr("reporters: no series matched"));
  ask("reporters", "b", one("0"));
  ask("expected_reporters", "c", one("0"));
  EXPECT_THAT(why(sample(), "in_flight"), HasSubstr("no ready replica")) << "nobody expected is not idle";
}

TEST_F(PrometheusSourceTest, ATargetThatVanishesBetweenTheQueriesIsNoticed) {
  ask("in_flight", "a", one("15"));
  ask("reporters", "b", one("4"));
  ask("expected_reporters", "c", one("4"));
  for (const int low : {1, 2}) {  // the answer in which one is missing: before the signals, after them
    int asked = 0;
    const auto respond = http_.respond;
    http_.respond = [&](const HttpRequest& request) -> Result<HttpResponse> {
      const bool counts = request.body.starts_with("query=b&") && ++asked == low;
      return counts ? Result<HttpResponse>(test::answer(200, one("3"), "application/json")) : respond(request);
    };
    EXPECT_EQ(why(sample(), "in_flight"), "3 of 4 replicas reported") << low;
    EXPECT_EQ(asked, 2);
    http_.respond = respond;
  }
}

TEST_F(PrometheusSourceTest, TheOldestSampleDatesTheSignalsBack) {
  ask("in_flight", "a", one("30", "1767225600"));
  ask("oldest_sample_age_s", "b", one("42.5"));
  EXPECT_EQ(sample().signals.at("in_flight").value.sample()->taken_at, clock_.at - 42'500ms);
  ask("oldest_sample_age_s", "b", vector_of(""));
  EXPECT_THAT(why(sample(), "in_flight"), HasSubstr("oldest_sample_age_s"));
}

TEST_F(PrometheusSourceTest, OneSampleHasOneTimeWheneverItsAgeIsAskedFor) {
  for (const int late_ms : {0, 3, 9}) {
    ask("in_flight", "a", one("30", "1767225600"));
    ask("oldest_sample_age_s", "b",
        one("10." + std::to_string(490 + late_ms), "1767225599." + std::to_string(990 + late_ms)));
    EXPECT_EQ(sample().signals.at("in_flight").value.sample()->taken_at, clock_.at - 10'500ms) << late_ms;
  }
}

TEST_F(PrometheusSourceTest, AQueryThatDefaultsToZeroIsNotAsked) {
  ask("in_flight", "sum(x) or vector(0)", one("0"));
  EXPECT_THAT(why(sample(), "in_flight"), HasSubstr("look idle"));
  EXPECT_TRUE(http_.requests.empty());
}

TEST_F(PrometheusSourceTest, ASecretThatCannotBeReadStopsTheQuestion) {
  ask("in_flight", "a", one("0"));
  config_.endpoint.bearer_token.where = "file:/nonexistent/token";
  EXPECT_THAT(why(sample(), "in_flight"), HasSubstr("/nonexistent/token"));
  EXPECT_TRUE(http_.requests.empty());
}

TEST_F(PrometheusSourceTest, OneQueryAloneServesADemand) {
  ask("replicas", "a", one("12"));
  ask("other", "b", one("1"));
  const auto read = [&](const char* name) {
    return test::run(query_one(config_, name, http_, clock_, clock_.at + 800ms));
  };
  EXPECT_EQ(read("replicas").value(), 12);
  EXPECT_EQ(http_.requests.size(), 1u);
  EXPECT_THAT(read("absent").missing()->why, HasSubstr("\"absent\""));
}

TEST_F(PrometheusSourceTest, MissingKeepsTheTimeItBegan) {
  ask("in_flight", "a", vector_of(""));
  const TimePoint first = clock_.at;
  sample();
  clock_.at += 5s;
  EXPECT_EQ(sample().signals.at("in_flight").value.missing()->since, first);
}

}  // namespace
}  // namespace ebb
