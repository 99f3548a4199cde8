#include "tests/emulators/common/http_server.hpp"

#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>

#include <boost/asio.hpp>
#include <utility>

#include "tests/emulators/common/tasks.hpp"

namespace ebb::emulator {

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr double kWriteLimit = 10;  // seconds; a client that takes nothing for so long is gone

std::chrono::steady_clock::duration ticks(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
}

std::string problem(int status, const std::string& what) {
  const Headers headers{
      {"connection", "close"}, {"content-length", std::to_string(what.size())}, {"content-type", "text/plain"}};
  return render_response_head(status, headers) + what;
}

}  // namespace

// ---------------------------------------------------------------- connection

HttpConnection::HttpConnection(asio::ip::tcp::socket accepted)
    : socket(std::move(accepted)), deadline(socket.get_executor()) {}

void HttpConnection::arm(const std::shared_ptr<HttpConnection>& self, double seconds) {
  self->deadline.expires_after(ticks(seconds));
  self->deadline.async_wait([weak = std::weak_ptr(self)](boost::system::error_code ec) {
    const auto connection = weak.lock();
    // A timer moved on after it had fired reports success too: only the time it shows now counts.
    // tidy-allow(clock): asked of the timer's own clock, nothing else is.
    if (ec || !connection || connection->deadline.expiry() > std::chrono::steady_clock::now()) return;
    connection->close();
  });
}

void HttpConnection::disarm() { deadline.expires_at(std::chrono::steady_clock::time_point::max()); }

void HttpConnection::close() {
  boost::system::error_code ignored;
  socket.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket.close(ignored);
}

// ---------------------------------------------------------------- reply

HttpReply::HttpReply(std::shared_ptr<HttpConnection> connection, bool keep_alive)
    : connection_(std::move(connection)), keep_alive_(keep_alive) {}

awaitable<bool> HttpReply::transmit(std::string bytes) {
  if (!connection_->socket.is_open()) co_return false;
  HttpConnection::arm(connection_, kWriteLimit);
  auto [ec, n] = co_await asio::async_write(connection_->socket, asio::buffer(bytes), kAwait);
  connection_->disarm();
  co_return !ec;
}

awaitable<bool> HttpReply::send(int status, Headers headers, std::string body) {
  headers["content-length"] = std::to_string(body.size());
  if (!keep_alive_) headers["connection"] = "close";
  const bool sent = co_await transmit(render_response_head(status, headers) + body);
  finished_ = sent;
  co_return sent;
}

awaitable<bool> HttpReply::begin(int status, Headers headers) {
  headers["transfer-encoding"] = "chunked";
  if (!keep_alive_) headers["connection"] = "close";
  co_return co_await transmit(render_response_head(status, headers));
}

awaitable<bool> HttpReply::write(std::string piece) {
  if (piece.empty()) co_return true;
  co_return co_await transmit(render_chunk(piece));
}

awaitable<bool> HttpReply::end() {
  const bool sent = co_await transmit(render_chunk(""));
  finished_ = sent;
  co_return sent;
}

awaitable<bool> HttpReply::raw(std::string bytes) {
  keep_alive_ = false;
  co_return co_await transmit(std::move(bytes));
}

bool HttpReply::client_gone() const {
  if (!connection_->socket.is_open()) return true;
  char byte = 0;
  const auto got = ::recv(connection_->socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

// ---------------------------------------------------------------- server

HttpServer::HttpServer(asio::io_context& io, Handler handler, HttpLimits limits)
    : io_(io), handler_(std::move(handler)), limits_(limits) {}

Result<std::uint16_t> HttpServer::listen(const std::string& host, std::uint16_t port) {
  boost::system::error_code ec;
  const auto address = asio::ip::make_address(host, ec);
  if (ec) return Error{ErrorCode::invalid, fmt::format("'{}' is no IP address", host), false};
  auto acceptor = std::make_shared<asio::ip::tcp::acceptor>(io_);
  const asio::ip::tcp::endpoint endpoint(address, port);
  acceptor->open(endpoint.protocol(), ec);
  if (!ec) acceptor->set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) acceptor->bind(endpoint, ec);
  if (!ec) acceptor->listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return Error{ErrorCode::conflict, fmt::format("cannot listen on {}:{}: {}", host, port, ec.message()), false};
  acceptor_ = acceptor;
  asio::co_spawn(io_, accept_loop(acceptor), on_done("http accept"));
  return acceptor->local_endpoint().port();
}

void HttpServer::stop_listening() {
  if (!acceptor_) return;
  boost::system::error_code ignored;
  acceptor_->close(ignored);
  acceptor_.reset();
}

void HttpServer::close_all() {
  stop_listening();
  for (const auto& connection : connections_) connection->close();
}

awaitable<void> HttpServer::accept_loop(std::shared_ptr<asio::ip::tcp::acceptor> acceptor) {
  while (acceptor->is_open()) {
    auto [ec, socket] = co_await acceptor->async_accept(kAwait);
    if (ec == asio::error::operation_aborted || ec == asio::error::bad_descriptor) co_return;
    if (ec) {  // out of descriptors, or the peer left before it was accepted: neither ends the listener
      co_await pause(0.01);
      continue;
    }
    auto connection = std::make_shared<HttpConnection>(std::move(socket));
    if (connections_.size() >= limits_.connections_max) {
      connection->close();
      continue;
    }
    boost::system::error_code ignored;
    connection->socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    connections_.insert(connection);
    asio::co_spawn(io_, session(connection), on_done("http session"));
  }
}

awaitable<void> HttpServer::session(std::shared_ptr<HttpConnection> connection) {
  bool more = true;
  while (more && connection->socket.is_open()) {
    more = co_await exchange(connection);
  }
  connection->close();
  connection->deadline.cancel();
  connections_.erase(connection);
}

awaitable<bool> HttpServer::exchange(std::shared_ptr<HttpConnection> connection) {
  HttpConnection::arm(connection, connection->buffer.empty() ? limits_.idle_s : limits_.request_s);
  if (connection->buffer.empty()) {
    std::string first(4096, '\0');
    auto [closed, n] = co_await connection->socket.async_read_some(asio::buffer(first), kAwait);
    if (closed) co_return false;
    connection->buffer.assign(first, 0, n);
    HttpConnection::arm(connection, limits_.request_s);
  }
  auto room = asio::dynamic_buffer(connection->buffer, limits_.head_max);
  auto [ec, size] = co_await asio::async_read_until(connection->socket, room, "\r\n\r\n", kAwait);
  auto reply = std::make_shared<HttpReply>(connection, false);
  if (ec == asio::error::not_found) co_return co_await reply->raw(problem(431, "head too large\n")) && false;
  if (ec) co_return false;
  auto head = parse_request_head(std::string_view(connection->buffer).substr(0, size - 2));
  connection->buffer.erase(0, size);
  if (!head) co_return co_await reply->raw(problem(400, head.error().what + "\n")) && false;
  HttpRequestIn request;
  const bool complete = co_await read_body(connection, *head, request.body);
  if (!complete) co_return false;
  connection->disarm();
  boost::system::error_code no_peer;
  request.loopback = connection->socket.remote_endpoint(no_peer).address().is_loopback();
  if (no_peer) co_return false;
  const std::size_t mark = head->target.find('?');
  request.path = head->target.substr(0, mark);
  if (mark != std::string::npos) request.query = head->target.substr(mark + 1);
  request.head = std::move(*head);
  reply = std::make_shared<HttpReply>(connection, request.head.keep_alive);
  co_await handler_(std::move(request), reply);
  co_return reply->finished() && reply->keep_alive();
}

awaitable<bool> HttpServer::read_body(std::shared_ptr<HttpConnection> connection, const RequestHead& head,
                                      std::string& body) {
  HttpReply reply(connection, false);
  const auto framing = framing_of(head.headers);
  if (!framing) co_return co_await reply.raw(problem(400, framing.error().what + "\n")) && false;
  const std::size_t wanted = framing->length.value_or(0);
  if (wanted > limits_.body_max) co_return co_await reply.raw(problem(413, "body too large\n")) && false;
  if (const auto expect = head.headers.find("expect"); expect != head.headers.end()) {
    const bool sent = co_await reply.raw("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return false;
    HttpConnection::arm(connection, limits_.request_s);
  }
  ChunkDecoder chunks;
  while (true) {
    if (framing->chunked) {
      const auto fed = chunks.feed(connection->buffer, body);
      if (!fed) co_return co_await reply.raw(problem(400, fed.error().what + "\n")) && false;
      if (body.size() > limits_.body_max) co_return co_await reply.raw(problem(413, "body too large\n")) && false;
      if (chunks.done()) co_return true;
    } else if (connection->buffer.size() >= wanted) {
      body = connection->buffer.substr(0, wanted);
      connection->buffer.erase(0, wanted);
      co_return true;
    }
    std::string piece(16384, '\0');
    auto [ec, n] = co_await connection->socket.async_read_some(asio::buffer(piece), kAwait);
    if (ec) co_return false;
    connection->buffer.append(piece, 0, n);
  }
}

}  // namespace ebb::emulator
