#include "adapters/engines/memory.hpp"

#include <gtest/gtest.h>

#include "adapters/engines/engine_http.hpp"

namespace ebb {
namespace {

TEST(EngineMemory, AMarkSaysWhatWasUnderWayAndIsNoIdentity) {
  for (const ResetCache reset : {ResetCache::all, ResetCache::none}) {
    for (const LoadTransitionMode transition : {LoadTransitionMode::async, LoadTransitionMode::sync}) {
      const UpdateMark mark{Identity("s2"), reset == ResetCache::all ? "s1" : "", reset, transition, "/store/run/s2"};
      EXPECT_FALSE(identity_of_version(update_mark(mark)).has_value());
      EXPECT_EQ(update_mark_from(update_mark(mark)), mark);
    }
  }
  EXPECT_FALSE(update_mark_from("s1").has_value());
  EXPECT_FALSE(update_mark_from("ebb/loading/").has_value());
}

TEST(EngineMemory, AVersionIsAnIdentityOnlyWhenItCouldBeOneOfOurs) {
  EXPECT_EQ(identity_of_version("s1")->value, "s1");
  EXPECT_FALSE(identity_of_version("").has_value());
  EXPECT_FALSE(identity_of_version("a/b").has_value());
  EXPECT_EQ(identity_of_path("/store/run/s1/")->value, "s1");
  EXPECT_FALSE(identity_of_path("").has_value());
}

TEST(EngineMemory, OnlySixDigitsAreAVersionOfPullWeights) {
  EXPECT_EQ(number_of_version(Identity("weight_v000042")), 42);
  for (const char* other : {"weight_v42", "weight_v0000042", "weight_v00004x", "step-42", "weight_v"}) {
    EXPECT_FALSE(number_of_version(Identity(other)).has_value()) << other;
  }
}

TEST(EngineMemory, TheStartOfAProcessIsReadFromItsMetricsPage) {
  EXPECT_EQ(start_time_in("\n# TYPE x gauge\nprocess_start_time_seconds 1.7e9\nx 1\n"), "1.7e9");
  EXPECT_EQ(start_time_in("\nprocess_start_time_seconds 5"), "5");
  EXPECT_EQ(start_time_in("\nx 1\n"), "");
}

TEST(EngineHttp, HostsAndSegmentsAreTakenFromUrls) {
  EXPECT_EQ(host_of("http://10.0.0.1:8000/v1"), "10.0.0.1");
  EXPECT_EQ(host_of("http://[fd00::1]:8000"), "[fd00::1]");
  EXPECT_EQ(host_of("https://engine.example"), "engine.example");
  EXPECT_EQ(url_of("http://h:1//", "/x"), "http://h:1/x");
  EXPECT_EQ(percent_encoded("a b%/c"), "a%20b%25%2Fc");
}

TEST(EngineHttp, AReasonIsFoundWhereverServersPutIt) {
  const auto reason = [](const char* body) {
    EngineAnswer answer;
    answer.status = 500;
    answer.text = body;
    answer.body = nlohmann::json::parse(body, nullptr, false);
    if (answer.body.is_discarded()) answer.body = nullptr;
    return reason_of(answer);
  };
  EXPECT_EQ(reason(R"({"error":"a"})"), "a");
  EXPECT_EQ(reason(R"({"error":{"message":"b"}})"), "b");
  EXPECT_EQ(reason(R"({"success":false,"message":"c"})"), "c");
  EXPECT_EQ(reason(R"({"detail":"d"})"), "d");
  EXPECT_EQ(reason("plain\nsecond"), "plain");
  EXPECT_EQ(reason(R"({"error":{"message":7}})"), "7");
}

}  // namespace
}  // namespace ebb
