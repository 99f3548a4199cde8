// Routes without sockets: shapes, parameters, bodies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/api/api_fixture.hpp"
#include "tests/support/golden.hpp"

namespace ebb::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const std::string kFreeze = R"({"kind":"freeze","reason":"incident 12","owner":"ann","ttl":"30m"})";

class ApiShapes : public ApiFixture, public ::testing::WithParamInterface<std::pair<const char*, const char*>> {};

TEST_P(ApiShapes, AreTheGoldenOnes) {
  (void)ask("POST", "/v1/overrides", kFreeze);
  const auto& [target, name] = GetParam();
  expect_golden("api/" + std::string(name) + ".json", get(target).dump(2) + "\n");
}

INSTANTIATE_TEST_SUITE_P(Get, ApiShapes,
                         ::testing::Values(std::pair{"/v1/status", "status"}, std::pair{"/v1/pools", "pools"},
                                           std::pair{"/v1/services", "services"}, std::pair{"/v1/jobs", "jobs"},
                                           std::pair{"/v1/replicas", "replicas"},
                                           std::pair{"/v1/overrides", "overrides"},
                                           std::pair{"/v1/decisions/21", "decision"},
                                           std::pair{"/v1/explain?tick=21", "explain"},
                                           std::pair{"/v1/history?max=4", "history"}),
                         [](const auto& shape) { return std::string(shape.param.second); });

TEST_F(ApiFixture, AnswersBeforeTheFirstDecision) {
  BoardView fresh;
  fresh.config = control.board.config;
  fresh.version = "9.9.9";
  fresh.not_ready_why = "no decision has been made yet";
  control.board = fresh;
  for (const char* path : {"/v1/status", "/v1/pools", "/v1/services", "/v1/jobs", "/v1/replicas", "/v1/overrides"})
    get(path);
  EXPECT_EQ(get("/v1/status").at("tick"), 0);
  EXPECT_FALSE(get("/v1/services").at("services").at(0).at("deployments").at(0).at("known").get<bool>());
  EXPECT_EQ(ask("GET", "/readyz").status, 503);
  EXPECT_THAT(ask("GET", "/readyz").body, HasSubstr("no decision"));
  EXPECT_EQ(ask("GET", "/healthz").status, 200);
}

TEST_F(ApiFixture, SaysStartingWhileThereIsNoConfiguration) {
  control.board = BoardView();
  EXPECT_EQ(ask("GET", "/v1/status").status, 503);
}

TEST_F(ApiFixture, FiltersReplicas) {
  const auto all = get("/v1/replicas").at("replicas");
  const auto rl = get("/v1/replicas?deployment=rl%40p").at("replicas");
  EXPECT_GT(all.size(), rl.size());
  ASSERT_FALSE(rl.empty());
  for (const json& replica : rl) {
    EXPECT_EQ(replica.at("deployment"), "rl@p");
    EXPECT_EQ(replica.at("role"), "job");
  }
  EXPECT_TRUE(get("/v1/replicas?phase=lost").at("replicas").empty());
}

TEST_F(ApiFixture, WithoutSnapshotsAReplicaServesOnceItIsReadyUntilItLeaves) {
  int serving = 0;
  const json listed = get("/v1/replicas").at("replicas");
  for (const json& replica : listed) {
    const bool lent = replica.at("role") == "job";
    const bool expected = replica.at("phase") == "ready" && (!lent || replica.at("lease") == "serving");
    EXPECT_EQ(replica.at("serves"), expected) << replica;
    EXPECT_TRUE(replica.at("weights").is_null());
    serving += expected ? 1 : 0;
  }
  EXPECT_GT(serving, 1);
}

TEST_F(ApiFixture, ListsALeaseThatNoFleetShowsYetAndNothingThatIsGone) {
  State state = *control.board.state;
  Lease asked;
  asked.deployment = testing::kRl;
  asked.gpus = {1};
  state.leases[ReplicaId("new-one")] = asked;
  asked.phase = LeasePhase::draining;
  asked.seen = true;
  state.leases[ReplicaId("ended")] = asked;
  control.board.state = std::make_shared<const State>(state);
  Observation seen = *control.board.seen;
  seen.fleets[testing::kFleet] =
      Sample<FleetSeen>{{{testing::replica("ended", testing::kRl, ReplicaPhase::gone)}, {}}, clock.at};
  control.board.seen = std::make_shared<const Observation>(seen);
  std::set<std::string> ids;
  const json listed = get("/v1/replicas").at("replicas");
  for (const json& replica : listed) ids.insert(replica.at("id"));
  EXPECT_TRUE(ids.contains("new-one"));
  EXPECT_FALSE(ids.contains("ended"));
}

TEST_F(ApiFixture, PagesThroughDecisionsWithoutAGap) {
  std::vector<int> ticks;
  std::string target = "/v1/decisions?limit=7";
  for (int page = 0; page < 20; ++page) {
    const json answer = get(target);
    for (const json& decision : answer.at("decisions")) ticks.push_back(decision.at("tick"));
    if (answer.at("next_before").is_null()) break;
    target = "/v1/decisions?limit=7&before=" + std::to_string(answer.at("next_before").get<int>());
  }
  ASSERT_EQ(ticks.size(), 60u);
  for (std::size_t i = 0; i < ticks.size(); ++i) EXPECT_EQ(ticks[i], static_cast<int>(60 - i));
}

TEST_F(ApiFixture, PassesThePageOn) {
  get("/v1/decisions?limit=3&before=30&since=2026-03-01T00:00:10Z&changed=1");
  EXPECT_EQ(ledger.asked.limit, 3);
  EXPECT_EQ(ledger.asked.before, 30u);
  EXPECT_EQ(ledger.asked.since, testing::at_second(10));
  EXPECT_TRUE(ledger.asked.changed_only);
}

TEST_F(ApiFixture, ExplainsTheNewestTickAlsoWithTheLedgerDown) {
  ledger.error = Error{ErrorCode::exhausted, "disk full", true};
  EXPECT_EQ(get("/v1/explain").at("tick"), 60);
  EXPECT_EQ(get("/v1/decisions/60").at("tick"), 60);
  EXPECT_THAT(refusal("GET", "/v1/decisions", "", 503), HasSubstr("disk full"));
}

TEST_F(ApiFixture, ExplainsTheTickOfATime) {
  const json answer = get("/v1/explain?at=2026-03-01T00:00:21.500Z");
  EXPECT_EQ(answer.at("tick"), 21);
  EXPECT_FALSE(answer.at("sentences").empty());
  refusal("GET", "/v1/explain?tick=9999", "", 404);
}

struct BadTarget {
  int line;
  const char* target;
  const char* says;
};

TEST_F(ApiFixture, RefusesBadParametersByName) {
  const std::vector<BadTarget> table{
      {__LINE__, "/v1/decisions?limit=0", "'limit'"},
      {__LINE__, "/v1/decisions?limit=1001", "'limit'"},
      {__LINE__, "/v1/decisions?limit=7x", "'limit'"},
      {__LINE__, "/v1/decisions?limit=-1", "'limit'"},
      {__LINE__, "/v1/decisions?limit=", "'limit'"},
      {__LINE__, "/v1/decisions?before=99999999999999999999", "'before'"},
      {__LINE__, "/v1/decisions?before=9223372036854775808", "'before'"},
      {__LINE__, "/v1/decisions?since=yesterday", "'since'"},
      {__LINE__, "/v1/decisions?changed=maybe", "'changed'"},
      {__LINE__, "/v1/decisions?lmit=1", "'lmit'"},
      {__LINE__, "/v1/decisions?limit=1&limit=2", "'limit'"},
      {__LINE__, "/v1/decisions/abc", "'tick'"},
      {__LINE__, "/v1/explain?tick=1&at=2026-03-01T00:00:00Z", "either"},
      {__LINE__, "/v1/history?max=1", "'max'"},
      {__LINE__, "/v1/status?x=1", "'x'"},
      {__LINE__, "/v1/status?%zz", "percent"},
      {__LINE__, "/v1/status?a=%00", "control"},
      {__LINE__, "/v1/%0a", "control"},
      {__LINE__, "http://elsewhere/v1/status", "absolute path"},
  };
  for (const BadTarget& row : table) {
    SCOPED_TRACE("line " + std::to_string(row.line));
    EXPECT_THAT(refusal("GET", row.target, ""), HasSubstr(row.says));
  }
}

TEST_F(ApiFixture, EchoesNothingThatBreaksJson) {
  const Response response = ask("GET", "/v1/status?%ff%fe=1");
  EXPECT_EQ(response.status, 400);
  EXPECT_FALSE(json::parse(response.body, nullptr, false).is_discarded()) << response.body;
}

TEST_F(ApiFixture, SetsAnOverride) {
  const Response response = ask("POST", "/v1/overrides", kFreeze);
  ASSERT_EQ(response.status, 201) << response.body;
  const json set = json::parse(response.body);
  EXPECT_EQ(set.at("kind"), "freeze");
  EXPECT_EQ(set.at("expires_at"), to_iso(clock.at + std::chrono::minutes(30)));
  EXPECT_EQ(response.headers.at("Location"), "/v1/overrides/" + set.at("id").get<std::string>());
  EXPECT_EQ(get("/v1/overrides").at("overrides").size(), 1u);
  EXPECT_EQ(ask("DELETE", "/v1/overrides/" + set.at("id").get<std::string>() + "?by=bob").status, 204);
  EXPECT_THAT(control.calls.back(), HasSubstr("by bob"));
  refusal("DELETE", "/v1/overrides/" + set.at("id").get<std::string>(), "", 404);
}

TEST_F(ApiFixture, DoesNotShowAnOverrideThatHasEnded) {
  (void)ask("POST", "/v1/overrides", kFreeze);
  control.board.now += std::chrono::hours(1);
  EXPECT_TRUE(get("/v1/overrides").at("overrides").empty());
}

struct BadBody {
  int line;
  std::string body;
  const char* says;
};

TEST_F(ApiFixture, RefusesBadOverridesByField) {
  const auto with = [](const std::string& from, const std::string& to) {
    std::string body = kFreeze;
    return body.replace(body.find(from), from.size(), to);
  };
  const std::vector<BadBody> table{
      {__LINE__, "{}", "'kind' is missing"},
      {__LINE__, "[]", "JSON object"},
      {__LINE__, "null", "JSON object"},
      {__LINE__, "{", "not JSON"},
      {__LINE__, kFreeze + "x", "not JSON"},
      {__LINE__, with("incident 12", "\xff\xfe"), "UTF-8"},
      {__LINE__, with("incident 12", "a\\nb"), "control characters"},
      {__LINE__, with("incident 12", ""), "'reason'"},
      {__LINE__, with("incident 12", std::string(501, 'x')), "'reason'"},
      {__LINE__, with("\"30m\"", "30"), "'ttl'"},
      {__LINE__, with("30m", "0s"), "'ttl'"},
      {__LINE__, with("30m", "-5m"), "'ttl'"},
      {__LINE__, with("30m", "31d"), "'ttl'"},
      {__LINE__, with("30m", "1e3s"), "'ttl'"},
      {__LINE__, with("freeze", "frieze"), "freeze, pin or drain_all"},
      {__LINE__, with("\"freeze\"", "1"), "'kind'"},
      {__LINE__, with("{", "{\"target\":\"nowhere\","), "there is no 'nowhere'"},
      {__LINE__, with("{", "{\"replicas\":1,"), "'replicas'"},
      {__LINE__, with("{", "{\"ttll\":1,"), "'ttll' is not a field"},
      {__LINE__, with("{", "{\"kind\":\"pin\","), "'kind' is given twice"},
      {__LINE__, with("{", "{\"a\":{},"), "plain values"},
      {__LINE__, with("freeze", "pin"), "'replicas' is missing"},
      {__LINE__, R"({"kind":"pin","target":"rl@p","replicas":-1,"reason":"r","owner":"o","ttl":"1m"})", "'replicas'"},
      {__LINE__, R"({"kind":"pin","target":"rl@p","replicas":3.7,"reason":"r","owner":"o","ttl":"1m"})", "'replicas'"},
      {__LINE__, R"({"kind":"pin","target":"rl@p","replicas":4294967297,"reason":"r","owner":"o","ttl":"1m"})",
       "'replicas'"},
      {__LINE__, R"({"kind":"pin","target":"rl@p","replicas":1e999,"reason":"r","owner":"o","ttl":"1m"})", "too large"},
      {__LINE__, R"({"kind":"pin","target":"rl","replicas":1,"reason":"r","owner":"o","ttl":"1m"})", "deployment"},
      {__LINE__, std::string(200'000, '['), "plain values"},
      {__LINE__, "{\"kind\":" + std::string(200'000, '['), "plain values"},
  };
  for (const BadBody& row : table) {
    SCOPED_TRACE("line " + std::to_string(row.line));
    EXPECT_THAT(refusal("POST", "/v1/overrides", row.body), HasSubstr(row.says));
  }
  EXPECT_TRUE(control.calls.empty()) << "a refused body must not reach the daemon";
}

TEST_F(ApiFixture, NamesEveryFaultAtOnce) {
  const std::string detail = refusal("POST", "/v1/overrides", R"({"kind":"x","ttl":5,"reason":"","other":1})");
  for (const char* part : {"'kind'", "'ttl'", "'reason'", "'owner' is missing", "'other'"})
    EXPECT_THAT(detail, HasSubstr(part));
}

TEST_F(ApiFixture, BoundsTheNumberOfOverrides) {
  for (int i = 0; i < 64; ++i) ASSERT_EQ(ask("POST", "/v1/overrides", kFreeze).status, 201);
  refusal("POST", "/v1/overrides", kFreeze, 409);
}

TEST_F(ApiFixture, TakesADemand) {
  const Response response = ask("PUT", "/v1/jobs/rl/demand", R"({"rollouts":64,"ttl":"10m"})");
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(json::parse(response.body).at("job"), "rl");
  EXPECT_EQ(get("/v1/jobs").at("jobs").at(0).at("demand").at("rollouts"), 64);
  const std::vector<BadBody> table{
      {__LINE__, R"({"ttl":"1m"})", "either"},
      {__LINE__, R"({"replicas":1,"rollouts":1,"ttl":"1m"})", "either"},
      {__LINE__, R"({"replicas":-1,"ttl":"1m"})", "'replicas'"},
      {__LINE__, R"({"replicas":"3","ttl":"1m"})", "'replicas'"},
      {__LINE__, R"({"replicas":1e300,"ttl":"1m"})", "'replicas'"},
      {__LINE__, R"({"replicas":1})", "'ttl' is missing"},
  };
  for (const BadBody& row : table) {
    SCOPED_TRACE("line " + std::to_string(row.line));
    EXPECT_THAT(refusal("PUT", "/v1/jobs/rl/demand", row.body), HasSubstr(row.says));
  }
  refusal("PUT", "/v1/jobs/nobody/demand", R"({"replicas":1,"ttl":"1m"})", 404);
}

TEST_F(ApiFixture, SaysThatNothingChangedWhenTheLedgerIsDown) {
  control.next_error = Error{ErrorCode::exhausted, "database or disk is full", true};
  EXPECT_THAT(refusal("POST", "/v1/overrides", kFreeze, 503), HasSubstr("nothing was changed"));
}

TEST_F(ApiFixture, KnowsItsMethods) {
  struct Row {
    int line;
    const char* method;
    const char* target;
    int status;
    const char* allow;
  };
  const std::vector<Row> table{
      {__LINE__, "DELETE", "/v1/status", 405, "GET, HEAD, OPTIONS"},
      {__LINE__, "PATCH", "/v1/overrides", 405, "GET, HEAD, OPTIONS, POST"},
      {__LINE__, "GET", "/v1/jobs/rl/demand", 405, "OPTIONS, PUT"},
      {__LINE__, "TRACE", "/", 405, "GET, HEAD, OPTIONS"},
      {__LINE__, "OPTIONS", "/v1/overrides", 204, "GET, HEAD, OPTIONS, POST"},
      {__LINE__, "OPTIONS", "*", 204, "DELETE, GET, HEAD, OPTIONS, POST, PUT"},
      {__LINE__, "HEAD", "/v1/status", 200, ""},
      {__LINE__, "GET", "/v1/nothing", 404, ""},
      {__LINE__, "GET", "/v1/status/", 200, ""},
      {__LINE__, "GET", "/v1//status", 404, ""},
      {__LINE__, "GET", "/v1/jobs//demand", 404, ""},
      {__LINE__, "GET", "/../etc/passwd", 404, ""},
      {__LINE__, "GET", "/%2e%2e/etc/passwd", 404, ""},
      {__LINE__, "GET", "/v1%2fstatus", 404, ""},
  };
  for (const Row& row : table) {
    SCOPED_TRACE("line " + std::to_string(row.line));
    Request one = request(row.method, row.target);
    one.headers["content-type"] = "application/json";
    const Response response = ask(std::move(one));
    EXPECT_EQ(response.status, row.status);
    const auto allow = response.headers.find("Allow");
    EXPECT_EQ(allow == response.headers.end() ? "" : allow->second, row.allow);
  }
}

TEST_F(ApiFixture, ServesThePageWithItsPolicy) {
  const Response page = ask("GET", "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.content_type, "text/html;charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr("<!doctype html>"));
  EXPECT_THAT(page.headers.at("Content-Security-Policy"), HasSubstr("default-src 'self'"));
  for (const char* path : {"/app.js", "/chart.js", "/style.css", "/dygraph.min.js", "/dygraph.min.css", "/icon.svg"}) {
    EXPECT_GT(ask("GET", path).body.size(), 100u) << path;
  }
  Request again = request("GET", "/");
  again.headers["if-none-match"] = page.headers.at("ETag");
  const Response unchanged = ask(std::move(again));
  EXPECT_EQ(unchanged.status, 304);
  EXPECT_TRUE(unchanged.body.empty());
}

TEST_F(ApiFixture, ThePageAsksNobodyElse) {
  for (const char* path : {"/", "/app.js", "/chart.js", "/style.css"}) {
    std::string body = ask("GET", path).body;
    for (const char* allowed : {"http://www.w3.org/2000/svg"}) {
      for (auto at = body.find(allowed); at != std::string::npos; at = body.find(allowed))
        body.erase(at, std::string(allowed).size());
    }
    EXPECT_EQ(body.find("://"), std::string::npos) << path;
    EXPECT_EQ(body.find("innerHTML"), std::string::npos) << path << ": text goes in as text";
  }
}

TEST_F(ApiFixture, ThinsHistoryButKeepsTheNewest) {
  const json four = get("/v1/history?max=4");
  EXPECT_LE(four.at("at").size(), 4u);
  EXPECT_EQ(four.at("at").back(), to_iso(control.points.back().at));
  EXPECT_EQ(four.at("ready").at("rl@p").size(), four.at("at").size());
  const json since = get("/v1/history?since=" + to_iso(control.points[57].at));
  EXPECT_EQ(since.at("at").size(), 2u);
  EXPECT_TRUE(get("/v1/history?since=2030-01-01T00:00:00Z").at("at").empty());
}

TEST_F(ApiFixture, HistoryShowsUnknownAsNull) {
  control.points.back().in_flight.clear();
  EXPECT_TRUE(get("/v1/history").at("in_flight").at("chat@p").back().is_null());
}

TEST_F(ApiFixture, ShowsTheConfigurationWithSecretsAsReferences) {
  Config config = with_tokens(Day::day_config(), {{"ops", {"env:EBB_TEST_SECRET_VALUE"}, {"operate"}}});
  ::setenv("EBB_TEST_SECRET_VALUE", "hunter2-hunter2", 1);
  start(config);
  Request ask_config = request("GET", "/v1/config");
  ask_config.headers["authorization"] = "Bearer hunter2-hunter2";
  const Response response = ask(std::move(ask_config));
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, HasSubstr("env:EBB_TEST_SECRET_VALUE"));
  EXPECT_EQ(response.body.find("hunter2"), std::string::npos);
}

TEST_F(ApiFixture, MetricsAreTheRegistrysText) {
  const Response response = ask("GET", "/metrics");
  EXPECT_EQ(response.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(response.body, control.metrics);
}

TEST_F(ApiFixture, SurvivesBytesThatAreNoTextFromOutside) {
  control.board.ledger_problem = "disk \xff\xfe";
  const Response response = ask("GET", "/v1/status");
  EXPECT_EQ(response.status, 200);
  EXPECT_FALSE(json::parse(response.body, nullptr, false).is_discarded());
}

}  // namespace
}  // namespace ebb::test
