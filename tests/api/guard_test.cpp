// Who may do what, as tables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/api/api_fixture.hpp"

namespace ebb::test {
namespace {

const std::string kReader = "r-0123456789abcdef";
const std::string kOperator = "o-0123456789abcdef";
const std::string kFreeze = R"({"kind":"freeze","reason":"r","owner":"o","ttl":"1m"})";

class Tokens : public ApiFixture {
 protected:
  void SetUp() override {
    ::setenv("EBB_TEST_READER", kReader.c_str(), 1);
    ::setenv("EBB_TEST_OPERATOR", kOperator.c_str(), 1);
    const std::vector<TokenConfig> tokens{{"reader", {"env:EBB_TEST_READER"}, {"read"}},
                                          {"ops", {"env:EBB_TEST_OPERATOR"}, {"operate"}},
                                          {"broken", {"file:/nowhere/at/all"}, {"read", "operate"}}};
    start(with_tokens(Day::day_config(), tokens));
  }
};

TEST_F(Tokens, MatrixOfRights) {
  struct Row {
    int line;
    const char* method;
    const char* target;
    std::string authorization;
    int status;
  };
  const std::string reader = "Bearer " + kReader;
  const std::string ops = "Bearer " + kOperator;
  const std::vector<Row> table{
      {__LINE__, "GET", "/v1/status", "", 401},
      {__LINE__, "GET", "/v1/status", reader, 200},
      {__LINE__, "GET", "/v1/status", ops, 200},
      {__LINE__, "HEAD", "/v1/status", "", 401},
      {__LINE__, "GET", "/v1/config", "", 401},
      {__LINE__, "GET", "/v1/events", "", 401},
      {__LINE__, "GET", "/v1/status", "bearer " + kReader, 200},
      {__LINE__, "GET", "/v1/status", "Basic " + kReader, 401},
      {__LINE__, "GET", "/v1/status", kReader, 401},
      {__LINE__, "GET", "/v1/status", "Bearer", 401},
      {__LINE__, "GET", "/v1/status", "Bearer ", 401},
      {__LINE__, "GET", "/v1/status", reader + "x", 401},
      {__LINE__, "GET", "/v1/status", reader.substr(0, reader.size() - 1), 401},
      {__LINE__, "GET", "/v1/status", "Bearer " + kReader + kReader, 401},
      {__LINE__, "POST", "/v1/overrides", "", 401},
      {__LINE__, "POST", "/v1/overrides", reader, 403},
      {__LINE__, "POST", "/v1/overrides", ops, 201},
      {__LINE__, "PUT", "/v1/jobs/rl/demand", reader, 403},
      {__LINE__, "DELETE", "/v1/overrides/freeze-1", reader, 403},
      {__LINE__, "GET", "/healthz", "", 200},
      {__LINE__, "GET", "/readyz", "", 200},
      {__LINE__, "GET", "/metrics", "", 200},
      {__LINE__, "GET", "/", "", 200},
      {__LINE__, "GET", "/app.js", "", 200},
      {__LINE__, "POST", "/healthz", "", 405},
  };
  for (const Row& row : table) {
    SCOPED_TRACE("line " + std::to_string(row.line));
    Request one = request(row.method, row.target, std::string(row.method) == "POST" ? kFreeze : "");
    if (!row.authorization.empty()) one.headers["authorization"] = row.authorization;
    if (std::string(row.method) == "PUT") one.headers["content-type"] = "application/json";
    const Response response = ask(std::move(one));
    EXPECT_EQ(response.status, row.status) << response.body;
    EXPECT_EQ(response.headers.contains("WWW-Authenticate"), row.status == 401);
    EXPECT_EQ(response.body.find(kOperator), std::string::npos);
  }
}

TEST_F(Tokens, AreEnoughFromAnotherHostAndUnderAnyName) {
  Request one = request("GET", "/v1/status");
  one.peer = "10.1.2.3";
  one.headers["host"] = "ebb.example.org";
  one.headers["authorization"] = "Bearer " + kReader;
  EXPECT_EQ(ask(std::move(one)).status, 200);
}

TEST_F(Tokens, TheNameOfTheTokenIsRecorded) {
  Request set = request("POST", "/v1/overrides", kFreeze);
  set.headers["authorization"] = "Bearer " + kOperator;
  ASSERT_EQ(ask(std::move(set)).status, 201);
  Request clear = request("DELETE", "/v1/overrides/freeze-1?by=ann");
  clear.headers["authorization"] = "Bearer " + kOperator;
  ASSERT_EQ(ask(std::move(clear)).status, 204);
  EXPECT_EQ(control.calls.back(), "clear freeze-1 by ann (token ops)");
}

TEST_F(Tokens, ARotatedSecretCountsAtOnce) {
  const auto path = std::filesystem::temp_directory_path() / ("ebb-token-" + std::to_string(::getpid()));
  const auto status_with = [&](const std::string& token) {
    Request one = request("GET", "/v1/status");
    one.headers["authorization"] = "Bearer " + token;
    return ask(std::move(one)).status;
  };
  std::ofstream(path) << "first-secret-1\n";
  start(with_tokens(Day::day_config(), {{"file", {"file:" + path.string()}, {"read"}}}));
  EXPECT_EQ(status_with("first-secret-1"), 200);
  std::ofstream(path) << "the-second-secret\n";
  EXPECT_EQ(status_with("first-secret-1"), 401);
  EXPECT_EQ(status_with("the-second-secret"), 200);
  std::filesystem::remove(path);
  EXPECT_EQ(status_with("the-second-secret"), 401) << "a secret that cannot be read lets nobody in";
  EXPECT_EQ(status_with(""), 401);
}

TEST_F(ApiFixture, WithoutTokensTheFenceAroundLoopbackHolds) {
  struct Row {
    int line;
    const char* method;
    const char* target;
    std::map<std::string, std::string> headers;
    int status;
  };
  const std::string json = "application/json";
  const std::vector<Row> table{
      {__LINE__, "GET", "/v1/status", {{"host", "127.0.0.1:8470"}}, 200},
      {__LINE__, "GET", "/v1/status", {{"host", "localhost:9"}}, 200},
      {__LINE__, "GET", "/v1/status", {{"host", "LOCALHOST"}}, 200},
      {__LINE__, "GET", "/v1/status", {{"host", "[::1]:8470"}}, 200},
      {__LINE__, "GET", "/v1/status", {{"host", "127.9.9.9"}}, 200},
      {__LINE__, "GET", "/v1/status", {{"host", ""}}, 200},
      // DNS rebinding: the page's own name, which now resolves to us.
      {__LINE__, "GET", "/v1/status", {{"host", "evil.example"}}, 421},
      {__LINE__, "GET", "/v1/status", {{"host", "127.0.0.1.evil.example"}}, 421},
      {__LINE__, "GET", "/v1/status", {{"host", "localhost.evil.example:8470"}}, 421},
      {__LINE__, "GET", "/v1/status", {{"host", "10.0.0.1"}}, 421},
      {__LINE__, "GET", "/v1/status", {{"host", "[::2]"}}, 421},
      {__LINE__, "GET", "/v1/status", {{"host", "["}}, 421},
      {__LINE__, "GET", "/metrics", {{"host", "evil.example"}}, 421},
      {__LINE__, "GET", "/", {{"host", "evil.example"}}, 421},
      // A form or a fetch without preflight from a page of another origin.
      {__LINE__, "POST", "/v1/overrides", {{"content-type", "text/plain"}}, 415},
      {__LINE__, "POST", "/v1/overrides", {{"content-type", ""}}, 415},
      {__LINE__, "POST", "/v1/overrides", {{"content-type", "application/x-www-form-urlencoded"}}, 415},
      {__LINE__, "POST", "/v1/overrides", {{"content-type", "text/plain; application/json"}}, 415},
      {__LINE__, "POST", "/v1/overrides", {{"content-type", "Application/JSON; charset=utf-8"}}, 201},
      {__LINE__, "POST", "/v1/overrides", {{"content-type", json}, {"origin", "http://evil.example"}}, 403},
      {__LINE__, "POST", "/v1/overrides", {{"content-type", json}, {"origin", "null"}}, 403},
      {__LINE__, "POST", "/v1/overrides", {{"content-type", json}, {"origin", "http://127.0.0.1:9999"}}, 403},
      {__LINE__, "POST", "/v1/overrides", {{"content-type", json}, {"origin", "http://127.0.0.1:8470"}}, 201},
      {__LINE__, "POST", "/v1/overrides", {{"content-type", json}, {"sec-fetch-site", "cross-site"}}, 403},
      {__LINE__, "POST", "/v1/overrides", {{"content-type", json}, {"sec-fetch-site", "same-site"}}, 403},
      {__LINE__, "POST", "/v1/overrides", {{"content-type", json}, {"sec-fetch-site", "same-origin"}}, 201},
      {__LINE__, "DELETE", "/v1/overrides/freeze-1", {{"origin", "http://evil.example"}}, 403},
      {__LINE__, "DELETE", "/v1/overrides/freeze-1", {}, 204},
      {__LINE__, "PUT", "/v1/jobs/rl/demand", {{"content-type", "text/plain"}}, 415},
  };
  for (const Row& row : table) {
    SCOPED_TRACE("line " + std::to_string(row.line));
    Request one = request(row.method, row.target, std::string(row.method) == "POST" ? kFreeze : "");
    for (const auto& [name, value] : row.headers) one.headers[name] = value;
    EXPECT_EQ(ask(std::move(one)).status, row.status);
  }
}

TEST_F(ApiFixture, WithoutTokensOnlyThisHostMayAsk) {
  for (const char* peer : {"10.1.2.3", "::2", "", "x"}) {
    Request one = request("GET", "/v1/status");
    one.peer = peer;
    EXPECT_EQ(ask(std::move(one)).status, 403) << peer;
  }
  for (const char* peer : {"127.0.0.1", "127.3.3.3", "::1"}) {
    Request one = request("GET", "/v1/status");
    one.peer = peer;
    EXPECT_EQ(ask(std::move(one)).status, 200) << peer;
  }
}

TEST(Secret, ComparesWhole) {
  EXPECT_TRUE(same_secret("abc", "abc"));
  for (const char* wrong : {"", "ab", "abcd", "abd", "abcabc"}) EXPECT_FALSE(same_secret(wrong, "abc")) << wrong;
  EXPECT_FALSE(same_secret("", "")) << "an empty secret matches nothing";
}

}  // namespace
}  // namespace ebb::test
