// S3's wire: XML, URLs, answers; and the store over an HTTP client with knobs. Signatures and a real server are the
// business of tests/integration/store_test.py.
#include <gtest/gtest.h>

#include <cstdlib>

#include "adapters/s3/s3_store.hpp"
#include "adapters/s3/xml.hpp"
#include "tests/support/fake_http.hpp"
#include "tests/support/run.hpp"
#include "tests/support/virtual_clock.hpp"

namespace ebb::test {
namespace {

TEST(Xml, ElementsTextEntitiesAndPrefixesAreRead) {
  const Result<XmlElement> root = parse_xml(
      "<?xml version=\"1.0\"?>\n<!-- c --><s3:List xmlns:s3='u' a=\"1>2\"><Key>a&amp;b&lt;&#x41;&#228;</Key><E/>"
      "<Key><![CDATA[<raw>&amp;]]></Key><!-- <Key> --></s3:List>\n");
  ASSERT_TRUE(root.ok());
  EXPECT_EQ(root->name, "List");
  ASSERT_EQ(root->children.size(), 3u);
  EXPECT_EQ(root->children[0].text, "a&b<A\xc3\xa4");
  EXPECT_EQ(root->children[2].text, "<raw>&amp;");
  EXPECT_EQ(root->text_of("Absent"), "");
}

TEST(Xml, WhatIsNotWellFormedIsRefused) {
  std::string deep, end;
  for (int i = 0; i < 20; ++i) deep += "<a>", end += "</a>";
  for (const std::string& text :
       {std::string(), std::string("text"), std::string("<a>"), std::string("<a></b>"), std::string("<a></a>x"),
        std::string("<a b></a>"), std::string("<a b=c></a>"), std::string("<a>&nbsp;</a>"), std::string("<a>&#0;</a>"),
        std::string("<a>&#xD800;</a>"), std::string("<a>& </a>"), std::string("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>"),
        std::string("<a><!DOCTYPE b></a>"), std::string("<a><![CDATA[x</a>"), std::string("<a/><b/>"), deep + end,
        std::string("<html><body>502<br></body></html>")}) {
    EXPECT_FALSE(parse_xml(text).ok()) << text;
  }
}

TEST(S3Url, KeysAreEncodedOnceAndParametersStandInOrder) {
  S3Config config;
  const S3Place place = s3_place("s3://weights/run 7");
  EXPECT_EQ(place.prefix, "run 7/");
  EXPECT_EQ(s3_url(config, place, "run 7/a+b%c=d&\xc3\xa4~.txt", {}),
            "https://weights.s3.us-east-1.amazonaws.com/run%207/a%2Bb%25c%3Dd%26%C3%A4~.txt");
  config.endpoint = "http://127.0.0.1:9000";
  config.path_style = true;
  EXPECT_EQ(s3_url(config, place, "", {{"prefix", "a/b"}, {"list-type", "2"}, {"delimiter", "/"}}),
            "http://127.0.0.1:9000/weights/?delimiter=%2F&list-type=2&prefix=a%2Fb");
  config = S3Config();
  config.region = "cn-north-1";
  EXPECT_EQ(s3_url(config, s3_place("s3://b"), "k", {}), "https://b.s3.cn-north-1.amazonaws.com.cn/k");
}

std::string listing(const std::vector<std::pair<std::string, int>>& objects, const std::string& more = "") {
  std::string out = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (const auto& [key, size] : objects) {
    out += "<Contents><Key>" + key + "</Key><Size>" + std::to_string(size) + "</Size></Contents>";
  }
  out += "<IsTruncated>" + std::string(more.empty() ? "false" : "true") + "</IsTruncated>";
  if (!more.empty()) out += "<NextContinuationToken>" + more + "</NextContinuationToken>";
  return out + "</ListBucketResult>";
}

TEST(S3Listing, ATruncatedPageWithoutATokenIsNoEnd) {
  EXPECT_TRUE(read_listing(listing({{"a", 1}}, "t")).ok());
  EXPECT_FALSE(read_listing("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>").ok());
  EXPECT_FALSE(
      read_listing("<ListBucketResult><Contents><Key>a</Key><Size>x</Size></Contents></ListBucketResult>").ok());
  EXPECT_FALSE(read_listing("<Other/>").ok());
}

constexpr const char* kBase = "http://127.0.0.1:9000/weights/";

struct Rig {
  VirtualClock clock{TimePoint{Duration{1'767'225'600'000}}};
  FakeHttp http;
  S3Config config;
  int calls = 0;

  Rig() {
    ::setenv("EBB_TEST_KEY", "AKIDEXAMPLE", 1);
    ::setenv("EBB_TEST_SECRET", "hunter2", 1);
    ::setenv("EBB_TEST_TOKEN", "session3", 1);
    config.endpoint = "http://127.0.0.1:9000";
    config.path_style = true;
    config.access_key_id.where = "env:EBB_TEST_KEY";
    config.secret_access_key.where = "env:EBB_TEST_SECRET";
    config.session_token.where = "env:EBB_TEST_TOKEN";
  }
  template <class T, class Ask>
  T ask(Ask ask_store) {
    S3Store store("s3://weights/run7", config, http, clock);
    boost::asio::io_context io;
    const auto result = start(io, ask_store(store));
    clock.run_for(io, Duration{60'000});
    return result->value();
  }
  Result<std::vector<StoredFile>> list(Duration span = Duration{30'000}) {
    const TimePoint deadline = clock.now() + span;
    return ask<Result<std::vector<StoredFile>>>([=](S3Store& s) { return s.list(Identity("step-1"), deadline); });
  }
  Result<std::string> read(std::int64_t offset, std::int64_t bytes) {
    const TimePoint deadline = clock.now() + Duration{30'000};
    return ask<Result<std::string>>(
        [=](S3Store& s) { return s.read(Identity("step-1"), "f", offset, bytes, deadline); });
  }
};

HttpResponse error_answer(int status, const std::string& code) {
  return answer(status, "<Error><Code>" + code + "</Code><Message>words of the store</Message></Error>");
}

TEST(S3Store, ListsEveryPageAndLeavesOutMarkersOfDirectories) {
  Rig rig;
  rig.http.serve(std::string(kBase) + "?list-type=2&prefix=run7%2Fstep-1%2F",
                 listing({{"run7/step-1/", 0}, {"run7/step-1/b&amp;c", 2}}, "a+/="));
  rig.http.serve(std::string(kBase) + "?continuation-token=a%2B%2F%3D&list-type=2&prefix=run7%2Fstep-1%2F",
                 listing({{"run7/step-1/a", 1}, {"run7/step-1/d/e", 3}}));
  const auto files = rig.list();
  ASSERT_TRUE(files.ok()) << files.error().what;
  EXPECT_EQ(*files, (std::vector<StoredFile>{{"a", 1}, {"b&c", 2}, {"d/e", 3}}));
}

TEST(S3Store, SignsWithWhatTheSecretsHoldNow) {
  Rig rig;
  rig.http.respond = [](const HttpRequest&) { return Result<HttpResponse>(answer(206, "abcd")); };
  EXPECT_EQ(*rig.read(10, 4), "abcd");
  ASSERT_EQ(rig.http.requests.size(), 1u);
  const HttpRequest& request = rig.http.requests[0];
  EXPECT_EQ(request.url, std::string(kBase) + "run7/step-1/f");
  EXPECT_EQ(request.headers.at("Range"), "bytes=10-13");
  EXPECT_EQ(request.sigv4, "aws:amz:us-east-1:s3");
  EXPECT_EQ(request.basic_user, "AKIDEXAMPLE");
  EXPECT_EQ(request.session_token, "session3");
  ::setenv("EBB_TEST_KEY", "ROTATED", 1);
  (void)rig.read(10, 4);
  EXPECT_EQ(rig.http.requests[1].basic_user, "ROTATED");
  rig.config = S3Config();
  (void)rig.read(10, 4);
  EXPECT_EQ(rig.http.requests[2].sigv4, "");
}

TEST(S3Store, TransientFailuresAreAskedAgainWithAGrowingPause) {
  for (const Result<HttpResponse>& failure : std::vector<Result<HttpResponse>>{
           error_answer(503, "SlowDown"), answer(500, ""), answer(429, "busy"), answer(502, "<html>"),
           Error{ErrorCode::timeout, "timed out", true}, Error{ErrorCode::unreachable, "refused", true}}) {
    Rig rig;
    std::vector<TimePoint> times;
    rig.http.respond = [&](const HttpRequest&) -> Result<HttpResponse> {
      times.push_back(rig.clock.now());
      if (times.size() < 4) return failure;
      return answer(200, listing({{"run7/step-1/a", 1}}));
    };
    EXPECT_TRUE(rig.list().ok());
    ASSERT_EQ(times.size(), 4u);
    EXPECT_GT(times[2] - times[1], times[1] - times[0]);
    EXPECT_GT(times[3] - times[2], times[2] - times[1]);
  }
}

TEST(S3Store, GivesUpAtTheDeadlineWithTheLastReason) {
  Rig rig;
  std::vector<TimePoint> times;
  rig.http.respond = [&](const HttpRequest& request) -> Result<HttpResponse> {
    times.push_back(rig.clock.now());
    EXPECT_LE(times.back() + request.timeout, times.front() + Duration{5'000});
    return error_answer(503, "SlowDown");
  };
  const auto files = rig.list(Duration{5'000});
  ASSERT_FALSE(files.ok());
  EXPECT_EQ(files.error().code, ErrorCode::throttled);
  ASSERT_GT(times.size(), 4u);
  EXPECT_LT(times.size(), 10u);
  EXPECT_GT(times.back() - times.front(), Duration{2'500});
  EXPECT_LT(times.back() - times.front(), Duration{5'000});
}

TEST(S3Store, ErrorsNameWhatToMendAndNoSecret) {
  struct Row {
    int status;
    const char* code;
    ErrorCode as;
    const char* says;
  };
  for (const Row& row :
       std::vector<Row>{{403, "AccessDenied", ErrorCode::denied, "env:EBB_TEST_KEY needs s3:ListBucket"},
                        {403, "InvalidAccessKeyId", ErrorCode::denied, "does not know the key in env:EBB_TEST_KEY"},
                        {403, "SignatureDoesNotMatch", ErrorCode::denied, "the secret in env:EBB_TEST_SECRET"},
                        {403, "ExpiredToken", ErrorCode::denied, "the token in env:EBB_TEST_TOKEN has expired"},
                        {404, "NoSuchBucket", ErrorCode::invalid, "there is no bucket weights"},
                        {400, "AuthorizationHeaderMalformed", ErrorCode::invalid, "set region"},
                        {301, "PermanentRedirect", ErrorCode::invalid, "set region"},
                        {418, "Teapot", ErrorCode::invalid, "words of the store"}}) {
    Rig rig;
    rig.http.respond = [&](const HttpRequest&) { return Result<HttpResponse>(error_answer(row.status, row.code)); };
    const auto files = rig.list();
    ASSERT_FALSE(files.ok());
    const Error& error = files.error();
    EXPECT_EQ(error.code, row.as) << row.code;
    EXPECT_NE(error.what.find(row.says), std::string::npos) << error.what;
    EXPECT_NE(error.what.find("list s3://weights/run7/step-1/"), std::string::npos) << error.what;
    for (const char* secret : {"AKIDEXAMPLE", "hunter2", "session3"}) {
      EXPECT_EQ(error.what.find(secret), std::string::npos) << error.what;
    }
    EXPECT_EQ(rig.http.requests.size(), 1u) << row.code;
  }
}

TEST(S3Store, ASkewedClockIsNamedOnceTheDeadlineHasPassed) {
  Rig rig;
  rig.http.respond = [](const HttpRequest&) { return Result<HttpResponse>(error_answer(403, "RequestTimeTooSkewed")); };
  const auto files = rig.list(Duration{2'000});
  ASSERT_FALSE(files.ok());
  EXPECT_NE(files.error().what.find("clock is too far from the store's: set it (NTP)"), std::string::npos);
}

TEST(S3Store, NothingThereIsNotFoundAndOtherBytesAreNotTaken) {
  Rig rig;
  rig.http.respond = [](const HttpRequest&) { return Result<HttpResponse>(answer(200, listing({}))); };
  EXPECT_EQ(rig.list().error().code, ErrorCode::not_found);
  // A server that does not know Range answers 200 with the file from its beginning.
  rig.http.respond = [](const HttpRequest&) { return Result<HttpResponse>(answer(200, "from the beginning")); };
  EXPECT_EQ(rig.read(10, 4).error().code, ErrorCode::malformed);
  EXPECT_EQ(rig.read(0, 4).error().code, ErrorCode::malformed);
  rig.http.respond = [](const HttpRequest&) { return Result<HttpResponse>(answer(200, "abc")); };
  EXPECT_EQ(*rig.read(0, 4), "abc");
}

TEST(S3Store, RemovesTheIndexFirstAndWhatIsGoneIsASuccess) {
  Rig rig;
  rig.http.respond = [](const HttpRequest& request) -> Result<HttpResponse> {
    if (request.method == "DELETE")
      return request.url.ends_with("/a") ? error_answer(404, "NoSuchKey") : answer(204, "");
    return answer(200, listing({{"run7/step-1/a", 1}, {"run7/step-1/model.safetensors.index.json", 1}}));
  };
  const TimePoint deadline = rig.clock.now() + Duration{30'000};
  const Status removed = rig.ask<Status>([=](S3Store& s) { return s.remove(Identity("step-1"), deadline); });
  EXPECT_TRUE(removed.ok());
  ASSERT_EQ(rig.http.requests.size(), 3u);
  EXPECT_EQ(rig.http.requests[1].url, std::string(kBase) + "run7/step-1/model.safetensors.index.json");
  EXPECT_EQ(rig.http.requests[2].url, std::string(kBase) + "run7/step-1/a");
}

TEST(S3Store, IdentitiesAreTheDirectoriesBelowThePrefix) {
  Rig rig;
  rig.http.serve(std::string(kBase) + "?delimiter=%2F&list-type=2&prefix=run7%2F",
                 "<ListBucketResult><IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>run7/b/</Prefix>"
                 "</CommonPrefixes><CommonPrefixes><Prefix>run7/a/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>"
                 "run7/.tmp/</Prefix></CommonPrefixes></ListBucketResult>");
  const TimePoint deadline = rig.clock.now() + Duration{30'000};
  const auto all = rig.ask<Result<std::vector<Identity>>>([=](S3Store& s) { return s.identities(deadline); });
  ASSERT_TRUE(all.ok()) << all.error().what;
  EXPECT_EQ(*all, (std::vector<Identity>{Identity("a"), Identity("b")}));
}

}  // namespace
}  // namespace ebb::test
