#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <zlib.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>

#include "adapters/http/auth.hpp"
#include "adapters/http/curl_client.hpp"
#include "adapters/http/send_all.hpp"
#include "tests/support/run.hpp"
#include "tests/support/test_server.hpp"

namespace ebb {
namespace {

namespace asio = boost::asio;

using test::Manner;
using test::Page;
using test::TestServer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string gzipped(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  std::string in = text;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

class CurlClientTest : public testing::Test {
 protected:
  ~CurlClientTest() override { client_.stop(); }

  Result<HttpResponse> get(const std::string& url, Duration timeout = Duration{5'000},
                           std::size_t body_max = 1u << 20) {
    HttpRequest request(url);
    request.timeout = timeout;
    request.body_max = body_max;
    return send(std::move(request));
  }
  Result<HttpResponse> send(HttpRequest request) { return test::run(io_, client_.send(std::move(request))); }

  static Page page(std::string body, Manner manner = Manner::proper) {
    Page made;
    made.body = std::move(body);
    made.manner = manner;
    return made;
  }

  TestServer server_;
  asio::io_context io_;
  CurlClient client_;
};

TEST_F(CurlClientTest, ReturnsStatusHeadersInLowerCaseAndBody) {
  Page teapot = page("short and stout");
  teapot.status = 418;
  teapot.headers["X-Handle"] = "left ";
  teapot.headers["X-Empty"] = "";
  server_.put("/pot", teapot);
  const Result<HttpResponse> answer = get(server_.url("/pot"));
  ASSERT_TRUE(answer.ok()) << answer.error().what;
  EXPECT_EQ(answer->status, 418);
  EXPECT_EQ(answer->body, "short and stout");
  EXPECT_EQ(answer->headers.at("x-handle"), "left");
  EXPECT_EQ(answer->headers.at("x-empty"), "");
}

TEST_F(CurlClientTest, SendsMethodHeadersAndBody) {
  server_.put("/form", "ok");
  HttpRequest request(server_.url("/form"));
  request.method = "POST";
  request.body = std::string("a=1\0b", 5);
  request.headers["X-Scope-OrgID"] = "team";
  ASSERT_TRUE(send(request).ok());
  const std::string sent = server_.requests().front();
  EXPECT_THAT(sent, testing::StartsWith("POST /form HTTP/1.1\r\n"));
  EXPECT_THAT(sent, HasSubstr("X-Scope-OrgID: team\r\n"));
  EXPECT_THAT(sent, testing::EndsWith(request.body));
  EXPECT_THAT(sent, Not(HasSubstr("Expect:")));
}

TEST_F(CurlClientTest, APostAfterwardsLeavesNoTraceInTheNextRequest) {
  server_.put("/x", "ok");
  HttpRequest post(server_.url("/x"));
  post.method = "DELETE";
  post.body = "secret body";
  post.basic_user = "u";
  post.basic_password = "p";
  ASSERT_TRUE(send(post).ok());
  ASSERT_TRUE(get(server_.url("/x")).ok());
  const std::string second = server_.requests().at(1);
  EXPECT_THAT(second, testing::StartsWith("GET /x"));
  EXPECT_THAT(second, Not(HasSubstr("Authorization")));
  EXPECT_THAT(second, Not(HasSubstr("secret body")));
}

TEST_F(CurlClientTest, TimesOutOnAPeerThatNeverAnswers) {
  server_.put("/hang", page("", Manner::hang));
  const Result<HttpResponse> answer = get(server_.url("/hang"), Duration{100});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::timeout);
  EXPECT_TRUE(answer.error().retryable);
}

TEST_F(CurlClientTest, ATrickleCannotOutlastTheTotalTimeout) {
  server_.put("/trickle", page(std::string(10'000, 'x'), Manner::trickle));
  const auto began = std::chrono::steady_clock::now();
  const Result<HttpResponse> answer = get(server_.url("/trickle"), Duration{200});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::timeout);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(20));
}

TEST_F(CurlClientTest, ABodyOverTheLimitIsAnErrorAndNotACut) {
  server_.put("/huge", page(std::string(5'000, 'x')));
  EXPECT_TRUE(get(server_.url("/huge"), Duration{5'000}, 5'000).ok());
  const Result<HttpResponse> answer = get(server_.url("/huge"), Duration{5'000}, 4'999);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::malformed);
  EXPECT_THAT(answer.error().what, HasSubstr("body is longer than 4999 bytes"));
}

TEST_F(CurlClientTest, TheLimitHoldsForDecompressedBytes) {
  Page bomb = page(gzipped(std::string(1u << 20, 'a')));
  bomb.headers["Content-Encoding"] = "gzip";
  ASSERT_LT(bomb.body.size(), 10'000u);
  server_.put("/gzip", bomb);
  const Result<HttpResponse> whole = get(server_.url("/gzip"), Duration{5'000}, 1u << 20);
  ASSERT_TRUE(whole.ok()) << whole.error().what;
  EXPECT_EQ(whole->body, std::string(1u << 20, 'a'));
  const Result<HttpResponse> cut = get(server_.url("/gzip"), Duration{5'000}, 100'000);
  ASSERT_FALSE(cut.ok());
  EXPECT_EQ(cut.error().code, ErrorCode::malformed);
}

TEST_F(CurlClientTest, BrokenGzipIsMalformed) {
  Page broken = page("this is no gzip at all, promised or not");
  broken.headers["Content-Encoding"] = "gzip";
  server_.put("/gzip", broken);
  const Result<HttpResponse> answer = get(server_.url("/gzip"));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::malformed);
}

TEST_F(CurlClientTest, AnEndlessHeadIsCutOff) {
  std::string raw = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 4'000; ++i) raw += "X-Padding-" + std::to_string(i) + ": " + std::string(50, 'x') + "\r\n";
  server_.put("/head", page(raw + "Content-Length: 0\r\n\r\n", Manner::raw));
  const Result<HttpResponse> answer = get(server_.url("/head"));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::malformed);
}

TEST_F(CurlClientTest, AConnectionClosedInMidBodyIsNoAnswer) {
  server_.put("/half", page("vllm:num_requests_running 3\n", Manner::close_mid_body));
  const Result<HttpResponse> answer = get(server_.url("/half"));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::unreachable);
}

TEST_F(CurlClientTest, AConnectionClosedAtOnceIsUnreachable) {
  server_.put("/gone", page("", Manner::close_at_once));
  const Result<HttpResponse> answer = get(server_.url("/gone"));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::unreachable);
}

TEST_F(CurlClientTest, WhatMayHaveArrivedIsNeverSentASecondTime) {
  server_.put("/x", page("1"));
  server_.put("/gone", page("", Manner::close_at_once));
  ASSERT_TRUE(get(server_.url("/x")).ok()) << "leaves a connection to be used again";
  HttpRequest post(server_.url("/gone"));
  post.method = "POST";
  post.body = "order";
  post.once = true;
  const Result<HttpResponse> answer = send(post);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::internal) << "it may have been taken";
  const auto requests = server_.requests();
  EXPECT_EQ(std::count_if(requests.begin(), requests.end(),
                          [](const std::string& one) { return one.find("/gone") != std::string::npos; }),
            1);
}

TEST_F(CurlClientTest, WhatWasNeverSentSaysSo) {
  HttpRequest post(server_.url("/"));
  post.method = "POST";
  post.once = true;
  server_.stop();
  const Result<HttpResponse> answer = send(post);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::unreachable);
}

TEST_F(CurlClientTest, WhatIsNoHttpIsNoAnswer) {
  server_.put("/ssh", page("SSH-2.0-OpenSSH_9.2\r\n", Manner::raw));
  const Result<HttpResponse> answer = get(server_.url("/ssh"));
  ASSERT_FALSE(answer.ok());
}

TEST_F(CurlClientTest, ARefusedConnectionIsUnreachable) {
  const std::string url = server_.url("/");
  server_.stop();
  const Result<HttpResponse> answer = get(url);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::unreachable);
  EXPECT_TRUE(answer.error().retryable);
}

TEST_F(CurlClientTest, RedirectsAreNotFollowed) {
  Page away = page("");
  away.status = 302;
  away.headers["Location"] = server_.url("/elsewhere");
  server_.put("/", away);
  const Result<HttpResponse> answer = get(server_.url("/"));
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 302);
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(CurlClientTest, OnlyHttpIsSpoken) {
  for (const char* url : {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "http://", "::"}) {
    const Result<HttpResponse> answer = get(url);
    ASSERT_FALSE(answer.ok()) << url;
    EXPECT_EQ(answer.error().code, ErrorCode::invalid) << url;
  }
}

TEST_F(CurlClientTest, ALineBreakCannotSmuggleAHeader) {
  HttpRequest request(server_.url("/"));
  request.headers["X-A"] = "1\r\nX-B: 2";
  const Result<HttpResponse> answer = send(std::move(request));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::invalid);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(CurlClientTest, ConnectionsAreUsedAgain) {
  server_.put("/", "ok");
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(get(server_.url("/")).ok());
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(CurlClientTest, NoChildInheritsItsConnections) {
  server_.put("/", "ok");
  ASSERT_TRUE(get(server_.url("/")).ok());
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::stoi(entry.path().filename().string());
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    if (peer.sin_family != AF_INET || ntohs(peer.sin_port) != server_.port()) continue;
    ++found;
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  }
  EXPECT_EQ(found, 1);
}

TEST_F(CurlClientTest, AKeptConnectionThatTheServerEndsKeepsNobodyAwake) {
  server_.put("/hang", page("", Manner::hang));
  {
    TestServer gone;
    gone.put("/", "ok");
    ASSERT_TRUE(get(gone.url("/")).ok());
  }
  const std::clock_t before = std::clock();
  ASSERT_FALSE(get(server_.url("/hang"), Duration{400}).ok());
  const double cpu_s = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  EXPECT_LT(cpu_s, 0.1) << "of 0.4 s in which nothing was to be done";
}

TEST_F(CurlClientTest, TwoHundredRequestsAtOnceAllComeBack) {
  server_.put("/", "ok");
  std::vector<HttpRequest> requests(200, HttpRequest(server_.url("/")));
  const auto answers = test::run(io_, send_all(client_, std::move(requests)));
  ASSERT_EQ(answers.size(), 200u);
  for (const auto& answer : answers) ASSERT_TRUE(answer.ok()) << answer.error().what;
  ASSERT_TRUE(get(server_.url("/")).ok()) << "by now the server has seen what was closed";
  EXPECT_EQ(server_.open(), server_.connections()) << "idle connections were closed between rounds";
}

TEST_F(CurlClientTest, OneThatHangsDoesNotHoldTheOthers) {
  server_.put("/", "ok");
  server_.put("/hang", page("", Manner::hang));
  std::vector<HttpRequest> requests(20, HttpRequest(server_.url("/")));
  requests[3].url = server_.url("/hang");
  requests[3].timeout = Duration{300};
  const auto answers = test::run(io_, send_all(client_, std::move(requests)));
  for (std::size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(answers[i].ok(), i != 3);
}

TEST_F(CurlClientTest, ACancelledCoroutineEndsItsTransfer) {
  server_.put("/hang", page("", Manner::hang));
  asio::cancellation_signal signal;
  auto seen = std::make_shared<std::optional<Result<HttpResponse>>>();
  HttpRequest request(server_.url("/hang"));
  request.timeout = Duration{60'000};
  asio::co_spawn(io_, test::store(client_.send(std::move(request)), seen),
                 asio::bind_cancellation_slot(signal.slot(), [](std::exception_ptr) {}));
  asio::steady_timer timer(io_, std::chrono::milliseconds(50));
  timer.async_wait([&](auto) { signal.emit(asio::cancellation_type::terminal); });
  io_.run();
  ASSERT_TRUE(seen->has_value());
  ASSERT_FALSE((*seen)->ok());
  EXPECT_EQ((*seen)->error().code, ErrorCode::cancelled);
}

asio::awaitable<bool> raced(CurlClient& client, HttpRequest request, Duration patience) {
  using namespace asio::experimental::awaitable_operators;
  asio::steady_timer timer(co_await asio::this_coro::executor, patience);
  auto won = co_await (client.send(std::move(request)) || timer.async_wait(asio::as_tuple(asio::use_awaitable)));
  co_return won.index() == 1;
}

TEST_F(CurlClientTest, ATimerCanWinARaceAgainstIt) {
  server_.put("/hang", page("", Manner::hang));
  HttpRequest request(server_.url("/hang"));
  request.timeout = Duration{60'000};
  EXPECT_TRUE(test::run(io_, raced(client_, std::move(request), Duration{30})));
}

TEST_F(CurlClientTest, StoppingCompletesWhatIsInFlightAsCancelled) {
  server_.put("/hang", page("", Manner::hang));
  std::vector<HttpRequest> requests(10, HttpRequest(server_.url("/hang")));
  asio::steady_timer timer(io_, std::chrono::milliseconds(50));
  timer.async_wait([&](auto) { client_.stop(); });
  const auto answers = test::run(io_, send_all(client_, std::move(requests)));
  for (const auto& answer : answers) {
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, ErrorCode::cancelled);
  }
  const Result<HttpResponse> later = get(server_.url("/hang"));
  ASSERT_FALSE(later.ok());
  EXPECT_EQ(later.error().code, ErrorCode::cancelled);
}

TEST(CurlClientLife, DestroyingItWhileACoroutineWaitsIsSafe) {
  TestServer server;
  Page hang;
  hang.manner = Manner::hang;
  server.put("/hang", hang);
  asio::io_context io;
  auto client = std::make_unique<CurlClient>();
  const auto seen = test::start(io, client->send(HttpRequest(server.url("/hang"))));
  io.poll();
  client.reset();
  io.run();
  ASSERT_TRUE(seen->has_value());
  ASSERT_FALSE((*seen)->ok());
  EXPECT_EQ((*seen)->error().code, ErrorCode::cancelled);
}

TEST(CurlClientLife, TheLoopMayDieWithAnswersStillQueuedInIt) {
  TestServer server;
  server.put("/", "ok");
  CurlClient client;
  {
    asio::io_context io;
    for (int i = 0; i < 20; ++i) test::start(io, client.send(HttpRequest(server.url("/"))));
    io.poll();
    client.stop();
  }
  SUCCEED() << "the sanitizers are the judges";
}

// curl 7.88 closes a socket that is still connecting before it says that it no longer wants to wait for it. By then the
// number may be that of a connection the server's thread has just accepted: ThreadSanitizer is the judge.
TEST(CurlClientLife, StoppingWhileConnectingTouchesNoDescriptorOfAnotherThread) {
  TestServer server;
  server.put("/", "ok");
  for (int round = 0; round < 20; ++round) {
    asio::io_context io;
    CurlClient client;
    const int before = server.connections();
    for (int i = 0; i < 200; ++i) test::start(io, client.send(HttpRequest(server.url("/"))));
    io.poll();
    const auto most = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (server.connections() == before) {
      ASSERT_LT(std::chrono::steady_clock::now(), most) << "the test server accepts nothing";
      std::this_thread::yield();
    }
    client.stop();
    io.run();
  }
}

TEST(CurlClientLife, ManyStartAndStop) {
  TestServer server;
  server.put("/", "ok");
  for (int i = 0; i < 20; ++i) {
    asio::io_context io;
    CurlClient client;
    ASSERT_TRUE(test::run(io, client.send(HttpRequest(server.url("/")))).ok());
  }
}

class AuthTest : public testing::Test {
 protected:
  AuthTest() {
    std::string pattern = testing::TempDir() + "ebb-auth-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~AuthTest() override { std::filesystem::remove_all(directory_); }
  SecretRef file(const std::string& text) {
    std::ofstream(directory_ / "secret") << text;
    return {"file:" + (directory_ / "secret").string()};
  }
  std::filesystem::path directory_;
};

TEST_F(AuthTest, JoinsPrefixAndPathAndReadsTheTokenAnewEachTime) {
  EndpointConfig endpoint;
  endpoint.url = "https://thanos.example/prefix/";
  endpoint.headers["X-Scope-OrgID"] = "team";
  endpoint.ca_file = "/etc/ca.pem";
  endpoint.bearer_token = file("one\n");
  const Result<HttpRequest> first = request_for(endpoint, "/api/v1/query");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->url, "https://thanos.example/prefix/api/v1/query");
  EXPECT_EQ(first->headers.at("Authorization"), "Bearer one");
  EXPECT_EQ(first->headers.at("X-Scope-OrgID"), "team");
  EXPECT_EQ(first->ca_file, "/etc/ca.pem");
  file("two\r\n");
  EXPECT_EQ(request_for(endpoint, "/api/v1/query")->headers.at("Authorization"), "Bearer two");
}

TEST_F(AuthTest, TheSecretNeverAppearsInAnError) {
  for (const std::string& text : {std::string(), std::string("s3cret\nX-Admin: s3cret"), std::string(70'000, 's')}) {
    const Result<std::string> secret = read_secret(file(text));
    ASSERT_FALSE(secret.ok());
    EXPECT_EQ(secret.error().code, ErrorCode::denied);
    EXPECT_THAT(secret.error().what, Not(HasSubstr("s3cret")));
    EXPECT_THAT(secret.error().what, Not(HasSubstr("sssss")));
  }
  const Result<std::string> in_place = read_secret(SecretRef{"s3cret"});
  ASSERT_FALSE(in_place.ok());
  EXPECT_THAT(in_place.error().what, Not(HasSubstr("s3cret")));
}

TEST_F(AuthTest, MissingFilesAndVariablesAreDenied) {
  EXPECT_EQ(read_secret(SecretRef{"file:/nonexistent/ebb"}).error().code, ErrorCode::denied);
  EXPECT_EQ(read_secret(SecretRef{"file:/"}).error().code, ErrorCode::denied);
  EXPECT_EQ(read_secret(SecretRef{"env:EBB_TEST_NOT_SET"}).error().code, ErrorCode::denied);
  ASSERT_EQ(setenv("EBB_TEST_SECRET", "from-env", 1), 0);
  EXPECT_EQ(*read_secret(SecretRef{"env:EBB_TEST_SECRET"}), "from-env");
}

TEST_F(AuthTest, BasicCredentialsReachTheServer) {
  TestServer server;
  server.put("/metrics", "ok");
  EndpointConfig endpoint;
  endpoint.url = server.url();
  endpoint.basic_user = "ebb";
  endpoint.basic_password = file("pass word\n");
  const Result<HttpRequest> request = request_for(endpoint, "metrics");
  ASSERT_TRUE(request.ok());
  CurlClient client;
  ASSERT_TRUE(test::run(client.send(*request)).ok());
  EXPECT_THAT(server.requests().front(), HasSubstr("Authorization: Basic ZWJiOnBhc3Mgd29yZA==\r\n"));
}

}  // namespace
}  // namespace ebb
