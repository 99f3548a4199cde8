// The server over real sockets: what clients do by accident and on purpose.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio.hpp>
#include <thread>

#include "daemon/api/server.hpp"
#include "tests/api/api_fixture.hpp"

namespace ebb::test {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Runs the loop until the condition holds; a deadline instead of patience without end.
template <class Condition>
bool eventually(asio::io_context& io, Condition holds, std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  asio::steady_timer timer(io, limit);
  const auto expired = std::make_shared<bool>(false);  // the handler of a timer that is gone still runs, later
  timer.async_wait([expired](boost::system::error_code error) { *expired = !error; });
  io.restart();
  while (!holds() && !*expired) io.run_one_for(std::chrono::milliseconds(20));
  return holds();
}

/// A client on the same loop that sends bytes as they are and keeps what comes back.
class RawClient {
 public:
  RawClient(asio::io_context& io, unsigned short port) : io_(io), link_(std::make_shared<Link>(io)) {
    link_->socket.connect(tcp::endpoint(asio::ip::address_v4::loopback(), port));
    read(link_);
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void send(const std::string& bytes) {
    boost::system::error_code ignored;
    asio::write(link_->socket, asio::buffer(bytes), ignored);
  }
  void half_close() { link_->socket.shutdown(tcp::socket::shutdown_send); }
  void close() {
    boost::system::error_code ignored;
    link_->socket.close(ignored);
  }
  bool wait_for(const std::string& part) {
    return eventually(io_, [&] { return got().find(part) != std::string::npos; });
  }
  bool wait_closed() {
    return eventually(io_, [&] { return closed(); });
  }
  [[nodiscard]] const std::string& got() const { return link_->got; }
  [[nodiscard]] bool closed() const { return link_->closed; }

 private:
  /// Outlives the client until its last handler has run.
  struct Link {
    explicit Link(asio::io_context& io) : socket(io) {}
    tcp::socket socket;
    std::string got;
    bool closed = false;
    std::array<char, 8192> chunk{};
  };
  static void read(const std::shared_ptr<Link>& link) {
    link->socket.async_read_some(asio::buffer(link->chunk), [link](boost::system::error_code error, std::size_t count) {
      link->got.append(link->chunk.data(), count);
      link->closed = static_cast<bool>(error);
      if (!error) read(link);
    });
  }
  asio::io_context& io_;
  std::shared_ptr<Link> link_;
};

class ServerFixture : public ApiFixture {
 protected:
  void SetUp() override {
    ApiFixture::SetUp();
    limits.listen = "127.0.0.1:0";
    limits.max_body_kib = 4;
    limits.request_timeout = Duration{10'000};
  }
  void TearDown() override {
    // Connections end before what they refer to.
    server.reset();
    io.restart();
    io.run_for(std::chrono::milliseconds(50));
  }
  void listen() {
    auto listening = Server::listen(io.get_executor(), limits, api);
    ASSERT_TRUE(listening.ok()) << listening.error().what;
    server = std::move(*listening);
  }
  static std::string plain(const std::string& method, const std::string& target, const std::string& more = "") {
    return method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n";
  }

  ApiConfig limits;
  std::unique_ptr<Server> server;
};

TEST_F(ServerFixture, AnswersOnAFreePort) {
  listen();
  RawClient one(io, server->port());
  one.send(plain("GET", "/healthz"));
  ASSERT_TRUE(one.wait_for("ok\n"));
  EXPECT_THAT(one.got(), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(one.got(), HasSubstr("X-Content-Type-Options: nosniff"));
  EXPECT_FALSE(one.closed());
}

TEST_F(ServerFixture, RefusesToListenWhereItShouldNot) {
  struct Row {
    int line;
    const char* listen;
    ErrorCode code;
  };
  for (const Row& row :
       {Row{__LINE__, "0.0.0.0:0", ErrorCode::denied}, Row{__LINE__, "[::]:0", ErrorCode::denied},
        Row{__LINE__, "10.0.0.1:0", ErrorCode::denied}, Row{__LINE__, "nonsense", ErrorCode::invalid},
        Row{__LINE__, "127.0.0.1:99999", ErrorCode::invalid}, Row{__LINE__, "127.0.0.1:", ErrorCode::invalid}}) {
    SCOPED_TRACE("line " + std::to_string(row.line));
    limits.listen = row.listen;
    const auto refused = Server::listen(io.get_executor(), limits, api);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, row.code) << refused.error().what;
  }
}

TEST_F(ServerFixture, SaysThatThePortIsTaken) {
  listen();
  limits.listen = "127.0.0.1:" + std::to_string(server->port());
  const auto second = Server::listen(io.get_executor(), limits, api);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::exhausted);
}

struct Malformed {
  int line;
  std::string bytes;
  const char* answer;
};

TEST_F(ServerFixture, RefusesWhatIsNotHttp) {
  listen();
  const std::vector<Malformed> table{
      {__LINE__, "garbage\r\n\r\n", "HTTP/1.1 400 "},
      {__LINE__, "GET /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
      {__LINE__, "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400 "},
      {__LINE__, plain("GET", "/healthz", "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"), "HTTP/1.1 400 "},
      {__LINE__, "GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n", "HTTP/1.1 400 "},
      {__LINE__, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n folded\r\nBad\x01Name: x\r\n\r\n", "HTTP/1.1 400 "},
      {__LINE__, "GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n", "HTTP/1.1 505 "},
      {__LINE__, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 "},
      {__LINE__, plain("POST", "/v1/overrides", "Content-Length: -5\r\n"), "HTTP/1.1 400 "},
      {__LINE__, plain("POST", "/v1/overrides", "Content-Length: 3\r\nContent-Length: 4\r\n"), "HTTP/1.1 400 "},
      {__LINE__, plain("POST", "/v1/overrides", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
       "HTTP/1.1 400 "},
      {__LINE__, plain("POST", "/v1/overrides", "Transfer-Encoding: chunked\r\n") + "zz\r\n", "HTTP/1.1 400 "},
      {__LINE__, plain("POST", "/v1/overrides", "Content-Type: application/json\r\nContent-Length: 5000\r\n"),
       "HTTP/1.1 413 "},
      {__LINE__,
       plain("POST", "/v1/overrides", "Transfer-Encoding: chunked\r\n") + "2000\r\n" + std::string(0x2000, 'x'),
       "HTTP/1.1 413 "},
      {__LINE__, plain("GET", "/healthz", "X-Long: " + std::string(20'000, 'a') + "\r\n"), "HTTP/1.1 431 "},
      {__LINE__, "GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\n", "HTTP/1.1 431 "},
  };
  for (const Malformed& row : table) {
    SCOPED_TRACE("line " + std::to_string(row.line));
    RawClient one(io, server->port());
    one.send(row.bytes);
    EXPECT_TRUE(one.wait_closed());
    EXPECT_THAT(one.got(), StartsWith(row.answer));
    EXPECT_THAT(one.got(), HasSubstr("application/problem+json"));
    EXPECT_THAT(one.got(), HasSubstr("Connection: close"));
  }
  RawClient after(io, server->port());
  after.send(plain("GET", "/healthz"));
  EXPECT_TRUE(after.wait_for("ok\n")) << "it goes on";
}

TEST_F(ServerFixture, AnswersPipelinedRequestsInOrder) {
  listen();
  RawClient one(io, server->port());
  one.send(plain("GET", "/healthz") + plain("GET", "/v1/nothing") + plain("HEAD", "/healthz") +
           plain("GET", "/readyz", "Connection: close\r\n"));
  ASSERT_TRUE(one.wait_closed());
  const auto first = one.got().find("HTTP/1.1 200");
  const auto second = one.got().find("HTTP/1.1 404");
  const auto last = one.got().find("ready\n");
  EXPECT_LT(first, second);
  EXPECT_LT(second, last);
  EXPECT_NE(last, std::string::npos);
  EXPECT_EQ(one.got().find("ok\n"), one.got().rfind("ok\n")) << "HEAD has no body";
}

TEST_F(ServerFixture, AnswersAClientThatHasClosedItsSide) {
  listen();
  RawClient one(io, server->port());
  one.send(plain("GET", "/healthz"));
  one.half_close();
  EXPECT_TRUE(one.wait_closed());
  EXPECT_THAT(one.got(), HasSubstr("ok\n"));
}

TEST_F(ServerFixture, SpeaksHttp10) {
  listen();
  RawClient one(io, server->port());
  one.send("GET /healthz HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(one.wait_closed());
  EXPECT_THAT(one.got(), StartsWith("HTTP/1.0 200"));
}

TEST_F(ServerFixture, TakesAChunkedBodyAfterLeaveToSend) {
  listen();
  RawClient one(io, server->port());
  one.send(plain("POST", "/v1/overrides",
                 "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"));
  ASSERT_TRUE(one.wait_for("100 Continue"));
  const std::string body = R"({"kind":"freeze","reason":"r","owner":"o","ttl":"1m"})";
  std::ostringstream chunks;
  for (const char c : body) chunks << "1\r\n" << c << "\r\n";
  one.send(chunks.str() + "0\r\n\r\n");
  EXPECT_TRUE(one.wait_for("HTTP/1.1 201"));
}

TEST_F(ServerFixture, CutsOffAClientThatTrickles) {
  limits.request_timeout = Duration{300};
  listen();
  RawClient slow(io, server->port());
  slow.send("GET /healthz HT");
  std::string rest = "TP/1.1\r\nX: ";
  asio::steady_timer every(io);
  std::size_t sent = 0;
  std::function<void()> trickle = [&] {
    every.expires_after(std::chrono::milliseconds(40));
    every.async_wait([&](boost::system::error_code error) {
      if (error || slow.closed()) return;
      slow.send(std::string(1, sent < rest.size() ? rest[sent] : 'x'));
      ++sent;
      trickle();
    });
  };
  trickle();
  EXPECT_TRUE(slow.wait_closed());
  every.cancel();
  EXPECT_THAT(slow.got(), StartsWith("HTTP/1.1 408"));
}

TEST_F(ServerFixture, ClosesIdleConnectionsWithoutAWord) {
  limits.request_timeout = Duration{200};
  listen();
  RawClient idle(io, server->port());
  EXPECT_TRUE(idle.wait_closed());
  EXPECT_EQ(idle.got(), "");
}

TEST_F(ServerFixture, TellsTheConnectionBeyondTheLimit) {
  limits.max_connections = 2;
  listen();
  RawClient first(io, server->port()), second(io, server->port());
  first.send(plain("GET", "/healthz"));
  second.send(plain("GET", "/healthz"));
  ASSERT_TRUE(first.wait_for("ok\n") && second.wait_for("ok\n"));
  RawClient third(io, server->port());
  third.send(plain("GET", "/healthz"));
  EXPECT_TRUE(third.wait_closed());
  EXPECT_THAT(third.got(), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(third.got(), HasSubstr("Retry-After"));
  first.close();
  const auto answered = [&] {
    RawClient next(io, server->port());
    next.send(plain("GET", "/healthz"));
    return next.wait_for("ok\n");
  };
  EXPECT_TRUE(answered()) << "a place that was given up can be taken";
}

TEST_F(ServerFixture, StreamsEvents) {
  listen();
  RawClient one(io, server->port());
  one.send(plain("GET", "/v1/events"));
  ASSERT_TRUE(one.wait_for("retry: 2000"));
  EXPECT_THAT(one.got(), HasSubstr("Content-Type: text/event-stream"));
  control.publish("decision", R"({"tick":61})");
  control.publish("outcome", R"({"action":"61/rl@p/start"})");
  EXPECT_TRUE(one.wait_for("event: decision\ndata: {\"tick\":61}\n\n"));
  EXPECT_TRUE(one.wait_for("event: outcome\ndata: {\"action\":\"61/rl@p/start\"}\n\n"));
  EXPECT_EQ(control.listeners(), 1u);
  one.close();
  EXPECT_TRUE(eventually(io, [&] { return control.listeners() == 0; })) << "a client that left is forgotten at once";
}

TEST_F(ServerFixture, HeadOfEventsSubscribesNobody) {
  listen();
  RawClient one(io, server->port());
  one.send(plain("HEAD", "/v1/events") + plain("GET", "/healthz"));
  EXPECT_TRUE(one.wait_for("ok\n"));
  EXPECT_EQ(control.listeners(), 0u);
}

TEST_F(ServerFixture, DropsAnEventClientThatDoesNotRead) {
  limits.request_timeout = Duration{60'000};  // far away: it is the buffer that must overflow
  listen();
  tcp::socket deaf(io);
  deaf.open(tcp::v4());
  deaf.set_option(asio::socket_base::receive_buffer_size(4'096));
  deaf.connect(tcp::endpoint(asio::ip::address_v4::loopback(), server->port()));
  asio::write(deaf, asio::buffer(plain("GET", "/v1/events")));
  ASSERT_TRUE(eventually(io, [&] { return control.listeners() == 1; }));
  const std::string large(1u << 20, 'x');
  const auto dropped = [&] {
    control.publish("decision", large);
    return control.listeners() == 0;
  };
  EXPECT_TRUE(eventually(io, dropped));
}

TEST_F(ServerFixture, StopEndsStreamsAndIdleClientsAndFinishesAnswers) {
  listen();
  RawClient events(io, server->port()), idle(io, server->port()), half(io, server->port());
  events.send(plain("GET", "/v1/events"));
  ASSERT_TRUE(events.wait_for("retry: 2000"));
  idle.send(plain("GET", "/healthz"));
  ASSERT_TRUE(idle.wait_for("ok\n"));
  half.send("GET /readyz HTTP/1.1\r\n");
  ASSERT_TRUE(eventually(io, [&, n = 0]() mutable { return ++n > 5; }));
  const unsigned short port = server->port();
  server->stop();
  EXPECT_TRUE(events.wait_closed());
  EXPECT_THAT(events.got(), HasSubstr("\r\n0\r\n\r\n")) << "a stream ends as a stream should";
  EXPECT_TRUE(idle.wait_closed());
  half.send("Host: localhost\r\n\r\n");
  EXPECT_TRUE(half.wait_closed());
  EXPECT_THAT(half.got(), HasSubstr("ready\n"));
  EXPECT_THAT(half.got(), HasSubstr("Connection: close"));
  tcp::socket late(io);
  boost::system::error_code error;
  late.connect(tcp::endpoint(asio::ip::address_v4::loopback(), port), error);
  EXPECT_TRUE(error) << "nobody listens any more";
  asio::co_spawn(io, server->finished(Duration{5'000}), [](std::exception_ptr failure) { EXPECT_FALSE(failure); });
  io.restart();
  io.run_for(std::chrono::seconds(5));
  EXPECT_TRUE(io.stopped()) << "no connection is left";
}

TEST_F(ServerFixture, SurvivesClientsThatVanish) {
  listen();
  for (int i = 0; i < 50; ++i) {
    tcp::socket one(io);
    one.connect(tcp::endpoint(asio::ip::address_v4::loopback(), server->port()));
    const std::string bytes = plain("GET", i % 2 == 0 ? "/dygraph.min.js" : "/v1/events");
    asio::write(one, asio::buffer(bytes.substr(0, static_cast<std::size_t>(i) * 2)));
    one.set_option(asio::socket_base::linger(true, 0));  // a reset instead of a goodbye
    one.close();
    io.restart();
    io.run_for(std::chrono::milliseconds(2));
  }
  RawClient after(io, server->port());
  after.send(plain("GET", "/healthz"));
  EXPECT_TRUE(after.wait_for("ok\n"));
  EXPECT_TRUE(eventually(io, [&] { return control.listeners() == 0; }));
}

TEST(EventText, KeepsLineBreaksInsideTheData) {
  EXPECT_EQ(event_text("decision", "a\r\nb"), "event: decision\ndata: a\ndata: b\n\n");
}

}  // namespace
}  // namespace ebb::test
