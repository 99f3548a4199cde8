#include "tests/emulators/common/http_server.hpp"

#include <gtest/gtest.h>

#include "tests/emulators/tests/harness.hpp"

namespace ebb::emulator {
namespace {

awaitable<void> echo(HttpRequestIn request, std::shared_ptr<HttpReply> reply) {
  Headers headers;
  if (request.path == "/stream") {
    co_await reply->begin(200, headers);
    co_await reply->write("one ");
    co_await reply->write("two");
    co_await reply->end();
    co_return;
  }
  if (request.path == "/half") {
    co_await reply->begin(200, headers);
    co_await reply->write("half");
    co_return;  // never ended
  }
  co_await reply->send(200, headers, request.head.method + " " + request.path + " " + request.body);
}

struct Served {
  Served() : server(io, echo, limits()) {
    const auto port = server.listen("127.0.0.1", 0);
    at.host = "127.0.0.1";
    at.port = port ? *port : std::uint16_t{0};
  }
  static HttpLimits limits() {
    HttpLimits limits;
    limits.head_max = 2048;
    limits.body_max = 10'000;
    limits.request_s = 0.3;
    return limits;
  }
  asio::io_context io;
  HttpServer server;
  HostPort at;
};

awaitable<void> two_requests_one_connection(HostPort at) {
  HttpCall call(co_await asio::this_coro::executor);
  call.limit(5);
  const Status connected = co_await call.connect(at);
  EXPECT_TRUE(connected);
  for (const std::string path : {"/a", "/stream", "/b"}) {
    Headers headers;
    const auto head = co_await call.ask("POST", path, headers, "body");
    EXPECT_TRUE(head);
    if (!head) co_return;
    EXPECT_EQ(head->status, 200);
    const auto text = co_await call.read_all(1000);
    EXPECT_TRUE(text);
    if (!text) co_return;
    EXPECT_EQ(*text, path == "/stream" ? "one two" : "POST " + path + " body");
  }
}

TEST(HttpServer, KeepsAConnectionForSeveralRequests) {
  Served served;
  run_until_done(served.io, two_requests_one_connection(served.at));
  EXPECT_LE(served.server.connections(), 1u);
}

/// Sends bytes as they are and returns what comes back until the server closes.
awaitable<void> exchange(HostPort at, std::string bytes, std::string& answer) {
  asio::ip::tcp::socket socket(co_await asio::this_coro::executor);
  const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(at.host), at.port);
  co_await socket.async_connect(endpoint, asio::use_awaitable);
  co_await asio::async_write(socket, asio::buffer(bytes), asio::use_awaitable);
  auto buffer = asio::dynamic_buffer(answer);
  co_await asio::async_read(socket, buffer, asio::as_tuple(asio::use_awaitable));
}

std::string talk(Served& served, const std::string& bytes) {
  std::string answer;
  run_until_done(served.io, exchange(served.at, bytes, answer));
  return answer;
}

TEST(HttpServer, RefusesWhatIsTooLargeOrNoHttp) {
  Served served;
  EXPECT_TRUE(talk(served, "nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(talk(served, "GET / HTTP/1.1\r\nx: " + std::string(4000, 'x') + "\r\n\r\n").starts_with("HTTP/1.1 431"));
  EXPECT_TRUE(talk(served, "POST / HTTP/1.1\r\ncontent-length: 10001\r\n\r\n").starts_with("HTTP/1.1 413"));
  EXPECT_TRUE(talk(served, "POST / HTTP/1.1\r\ncontent-length: ten\r\n\r\n").starts_with("HTTP/1.1 400"));
}

TEST(HttpServer, ClosesOnAClientThatNeverFinishesItsRequest) {
  Served served;
  EXPECT_EQ(talk(served, "POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc"), "");
}

TEST(HttpServer, ReadsAChunkedBody) {
  Served served;
  const std::string answer = talk(served,
                                  "POST /x HTTP/1.1\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
                                  "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("POST /x abcde")) << answer;
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
  Served served;
  const std::string answer = talk(served, "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nconnection: close\r\n\r\n");
  EXPECT_LT(answer.find("GET /1"), answer.find("GET /2"));
  EXPECT_NE(answer.find("GET /2"), std::string::npos);
}

awaitable<void> expect_broken(HostPort at) {
  const auto answer = co_await fetch(at, "GET", "/half", "", 5);
  EXPECT_FALSE(answer);
  EXPECT_TRUE(!answer && answer.error().code == ErrorCode::internal);
}

TEST(HttpServer, AnAnswerWithoutAnEndIsSeenAsBroken) {
  Served served;
  run_until_done(served.io, expect_broken(served.at));
}

awaitable<void> expect_refused(HostPort at) {
  const auto answer = co_await fetch(at, "GET", "/", "", 5);
  EXPECT_FALSE(answer);
  EXPECT_TRUE(!answer && answer.error().code == ErrorCode::unreachable);
}

TEST(HttpServer, RefusesAfterItStoppedListening) {
  Served served;
  served.server.stop_listening();
  run_until_done(served.io, expect_refused(served.at));
}

}  // namespace
}  // namespace ebb::emulator
