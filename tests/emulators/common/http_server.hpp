// A compact HTTP/1.1 server for the stand-ins: keep-alive, chunked streams, limits. One thread, one coroutine a
// connection.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "tests/emulators/common/http_message.hpp"

namespace ebb::emulator {

namespace asio = boost::asio;
using asio::awaitable;

struct HttpLimits {
  std::size_t head_max = 16u << 10;
  std::size_t body_max = 8u << 20;
  std::size_t connections_max = 2048;
  double request_s = 10;  ///< from the first byte of a request to its last
  double idle_s = 60;     ///< between requests
};

struct HttpRequestIn {
  RequestHead head;
  std::string path;   ///< target without the query
  std::string query;  ///< without the '?'
  std::string body;
  bool loopback = false;
};

/// One accepted connection.
struct HttpConnection {
  explicit HttpConnection(asio::ip::tcp::socket accepted);
  asio::ip::tcp::socket socket;
  asio::steady_timer deadline;
  std::string buffer;  ///< read and not used yet
  /// Cancels the socket's work unless `disarm` or another `arm` comes first.
  static void arm(const std::shared_ptr<HttpConnection>& self, double seconds);
  void disarm();
  void close();
};

/// The answer to one request. Each function returns false when the client is gone; then stop.
class HttpReply {
 public:
  HttpReply(std::shared_ptr<HttpConnection> connection, bool keep_alive);
  /// The whole answer.
  awaitable<bool> send(int status, Headers headers, std::string body);
  /// Head of an answer of unknown length; `write` then sends pieces as chunks and `end` the last one.
  awaitable<bool> begin(int status, Headers headers);
  awaitable<bool> write(std::string piece);
  awaitable<bool> end();
  /// Bytes as they are: for faults that break the protocol on purpose. The connection closes afterwards.
  awaitable<bool> raw(std::string bytes);
  /// True once the client has closed its side, without waiting.
  [[nodiscard]] bool client_gone() const;
  [[nodiscard]] bool finished() const { return finished_; }
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }
  void close_after() { keep_alive_ = false; }

 private:
  awaitable<bool> transmit(std::string bytes);
  std::shared_ptr<HttpConnection> connection_;
  bool keep_alive_;
  bool finished_ = false;
};

/// Owns the listener and every connection. Must be destroyed after the io_context has stopped running.
class HttpServer {
 public:
  /// Called for every well-formed request; answers through the reply. An answer it leaves unfinished closes the
  /// connection, which the client sees as a broken transfer.
  using Handler = std::function<awaitable<void>(HttpRequestIn, std::shared_ptr<HttpReply>)>;

  HttpServer(asio::io_context& io, Handler handler, HttpLimits limits = {});
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Listens and starts accepting; port 0 picks a free one. Returns the port.
  Result<std::uint16_t> listen(const std::string& host, std::uint16_t port);
  /// New connections are refused from here on; those that exist go on.
  void stop_listening();
  /// Closes the listener and every connection at once.
  void close_all();
  [[nodiscard]] std::size_t connections() const { return connections_.size(); }

 private:
  awaitable<void> accept_loop(std::shared_ptr<asio::ip::tcp::acceptor> acceptor);
  awaitable<void> session(std::shared_ptr<HttpConnection> connection);
  /// One request and its answer; false ends the connection.
  awaitable<bool> exchange(std::shared_ptr<HttpConnection> connection);
  awaitable<bool> read_body(std::shared_ptr<HttpConnection> connection, const RequestHead& head, std::string& body);

  asio::io_context& io_;
  Handler handler_;
  HttpLimits limits_;
  std::shared_ptr<asio::ip::tcp::acceptor> acceptor_;
  std::set<std::shared_ptr<HttpConnection>> connections_;
};

}  // namespace ebb::emulator
