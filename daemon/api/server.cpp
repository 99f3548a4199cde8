#include "daemon/api/server.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <set>
#include <utility>

#include "daemon/api/answers.hpp"
#include "daemon/api/wire.hpp"
#include "daemon/ports/spawn.hpp"

namespace ebb {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Parser = http::request_parser<http::string_body>;

constexpr auto kDone = asio::as_tuple(asio::use_awaitable);
constexpr std::uint32_t kHeadMax = 16u << 10;
constexpr int kRefusalsMax = 32;  ///< connections over the limit that are told so; beyond that they are just closed
constexpr std::size_t kLingerBytes = 1u << 20;
constexpr std::chrono::milliseconds kLinger{1'000};
constexpr std::chrono::milliseconds kAcceptPause{100};

/// One accepted socket. Its coroutine and the deadline's handler share it.
struct Connection {
  Connection(tcp::socket accepted, std::chrono::milliseconds limit_)
      : socket(std::move(accepted)), deadline(socket.get_executor()), limit(limit_) {}

  /// Ends what the socket is doing after `span`, unless `arm` or `disarm` comes first.
  static void arm(const std::shared_ptr<Connection>& self, std::chrono::milliseconds span) {
    const auto round = ++self->round;
    self->deadline.expires_after(span);
    self->deadline.async_wait([weak = std::weak_ptr<Connection>(self), round](error_code error) {
      const auto alive = weak.lock();
      // A handler that was queued when the timer was set anew belongs to an earlier round.
      if (error || alive == nullptr || alive->round != round) return;
      alive->timed_out = true;
      alive->cancel();
    });
  }
  void disarm() {
    ++round;
    deadline.cancel();
  }
  void cancel() {
    error_code ignored;
    socket.cancel(ignored);
  }
  void close() {
    error_code ignored;
    socket.close(ignored);
  }
  /// Between two requests: nothing of the next one has arrived.
  [[nodiscard]] bool idle() const {
    return waiting && buffer.size() == 0 && (parser == nullptr || !parser->got_some());
  }

  tcp::socket socket;
  asio::steady_timer deadline;
  std::chrono::milliseconds limit;
  boost::beast::flat_buffer buffer;
  std::unique_ptr<Parser> parser;
  std::shared_ptr<BodyStream> stream;
  std::string peer;
  std::uint64_t round = 0;
  bool waiting = false;
  bool timed_out = false;
};

using ConnectionPtr = std::shared_ptr<Connection>;

}  // namespace

struct ServerState {
  ServerState(asio::any_io_executor executor, RequestHandler& handler_, const ApiConfig& config_)
      : handler(handler_), config(config_), acceptor(executor), pause(executor), empty(executor) {}

  RequestHandler& handler;
  ApiConfig config;
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  asio::steady_timer empty;  ///< cancelled when the last connection ends
  std::set<ConnectionPtr> connections;
  int refusing = 0;
  bool stopping = false;
};

namespace {

using StatePtr = std::shared_ptr<ServerState>;

/// A replica's process must not inherit our sockets, or the port stays taken when we are gone.
template <class Socket>
void close_on_exec(Socket& socket) {
  ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
}

// ---------------------------------------------------------------- one request

/// Headers that decide about rights may not be given twice: which one counts would be anybody's guess.
bool decides(const std::string& name) {
  return name == "host" || name == "authorization" || name == "x-api-key" || name == "fireworks-deployment" ||
         name == "content-type" || name == "origin";
}

Result<Request> request_of(http::request<http::string_body> message, const std::string& peer) {
  Request request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  request.peer = peer;
  for (const auto& field : message) {
    const std::string name = lower(std::string(field.name_string()));
    const auto [place, fresh] = request.headers.emplace(name, std::string(field.value()));
    if (fresh) continue;
    if (decides(name)) return Error{ErrorCode::invalid, "the header '" + name + "' is given twice", false};
    place->second += ", " + std::string(field.value());
  }
  if (message.version() >= 11 && request.headers.find("host") == request.headers.end()) {
    return Error{ErrorCode::invalid, "HTTP/1.1 asks for a Host header", false};
  }
  request.body = std::move(message.body());
  return request;
}

/// What a request that could not be read is told; 0: nothing, the client has left or was never there.
int status_of(const Connection& connection, error_code error) {
  if (connection.timed_out) return connection.parser->got_some() ? 408 : 0;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
  if (error == http::error::end_of_stream || error == http::error::partial_message) return 0;
  if (error.category() == make_error_code(http::error::bad_target).category()) return 400;
  return 0;
}

std::string detail_of(int status, const ApiConfig& config) {
  switch (status) {
    case 408: return "the request did not arrive within " + to_text(config.request_timeout);
    case 413: return "the body is longer than " + std::to_string(config.max_body_kib) + " KiB";
    case 431: return "the request's head is longer than " + std::to_string(kHeadMax / 1024) + " KiB";
    case 505: return "this server speaks HTTP/1.1";
    default: return "the request is not HTTP/1.1 as it should be";
  }
}

awaitable<bool> send(ConnectionPtr connection, std::string bytes) {
  Connection::arm(connection, connection->limit);
  const auto view = asio::buffer(bytes);
  const auto [error, sent] = co_await asio::async_write(connection->socket, view, kDone);
  connection->disarm();
  co_return !error;
}

/// Ends the stream when the client leaves: without this its subscription would live until the next write fails.
awaitable<void> watch(ConnectionPtr connection, std::shared_ptr<BodyStream> stream) {
  const auto [error] = co_await connection->socket.async_wait(tcp::socket::wait_read, kDone);
  error_code ignored;
  // Readable and empty is the end; readable and full is a client that is ahead of itself, and its business.
  if (error || connection->socket.available(ignored) == 0) stream->close();
}

awaitable<void> send_stream(ConnectionPtr connection, Response response, unsigned version) {
  const bool chunked = version >= 11;
  std::string head = head_of(response, version, false);
  head += chunked ? "Transfer-Encoding: chunked\r\nX-Accel-Buffering: no\r\n\r\n" : "\r\n";
  connection->stream = response.stream;
  spawn(connection->socket.get_executor(), watch(connection, response.stream));
  bool well = co_await send(connection, std::move(head));
  while (well) {
    std::string piece = co_await response.stream->next();
    if (piece.empty()) break;
    if (chunked) piece = fmt::format("{:x}\r\n", piece.size()) + piece + "\r\n";
    well = co_await send(connection, std::move(piece));
  }
  response.stream->close();
  connection->stream.reset();
  if (well && chunked) {
    std::string last = "0\r\n\r\n";
    co_await send(connection, std::move(last));
  }
}

/// The whole answer at once. `head_only`: the length of a body that is not sent.
awaitable<bool> send_answer(ConnectionPtr connection, Response response, unsigned version, bool keep_alive,
                            bool head_only) {
  std::string bytes = head_of(response, version, keep_alive);
  const bool has_body = response.status != 204 && response.status != 304;
  if (has_body) bytes += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  bytes += "\r\n";
  if (has_body && !head_only) bytes += response.body;
  co_return co_await send(connection, std::move(bytes));
}

/// Takes what the client is still sending: closing on unread bytes would reset the connection, and the reset overtakes
/// our answer.
awaitable<void> linger(ConnectionPtr connection) {
  error_code error;
  connection->socket.shutdown(tcp::socket::shutdown_send, error);
  connection->timed_out = false;
  Connection::arm(connection, kLinger);
  std::string scrap(4'096, '\0');
  const auto view = asio::buffer(scrap);
  std::size_t total = 0;
  while (!error && total < kLingerBytes) {
    const auto [failed, count] = co_await connection->socket.async_read_some(view, kDone);
    error = failed;
    total += count;
  }
  connection->disarm();
}

/// The client waits for leave to send its body: with a limit broken it has had its 413 already.
bool wants_continue(const Parser& parser) {
  return parser.get().version() >= 11 && lower(std::string(parser.get()[http::field::expect])) == "100-continue";
}

/// A whole request into the connection's parser. False: there is none, and the client knows.
awaitable<bool> receive(StatePtr state, ConnectionPtr connection) {
  connection->parser = std::make_unique<Parser>();
  connection->parser->header_limit(kHeadMax);
  connection->parser->body_limit(static_cast<std::uint64_t>(state->config.max_body_kib) * 1'024);
  connection->timed_out = false;
  connection->waiting = true;
  Parser& parser = *connection->parser;
  Connection::arm(connection, connection->limit);
  auto [error, head] = co_await http::async_read_header(connection->socket, connection->buffer, parser, kDone);
  connection->waiting = false;
  if (!error && wants_continue(parser)) {
    const std::string leave = "HTTP/1.1 100 Continue\r\n\r\n";
    const auto view = asio::buffer(leave);
    co_await asio::async_write(connection->socket, view, kDone);
  }
  if (!error) {
    const auto [failed, body] = co_await http::async_read(connection->socket, connection->buffer, parser, kDone);
    error = failed;
  }
  connection->disarm();
  if (!error && !connection->timed_out) co_return true;
  const int status = status_of(*connection, error);
  if (status == 0) co_return false;
  Response refusal = problem(status, detail_of(status, state->config));
  const bool sent = co_await send_answer(connection, std::move(refusal), 11, false, false);
  if (sent) co_await linger(connection);
  co_return false;
}

/// True when another request may follow on this connection.
awaitable<bool> answer(StatePtr state, ConnectionPtr connection) {
  http::request<http::string_body> message = connection->parser->release();
  const unsigned version = message.version();
  const bool wants_more = message.keep_alive();
  Result<Request> request = request_of(std::move(message), connection->peer);
  if (!request.ok()) {
    Response refusal = problem(request.error());
    const bool sent = co_await send_answer(connection, std::move(refusal), version, false, false);
    if (sent) co_await linger(connection);
    co_return false;
  }
  const bool head_only = request->method == "HEAD";
  Response response = co_await state->handler.handle(std::move(*request));
  if (response.stream != nullptr) {
    if (state->stopping) response.stream->close();
    co_await send_stream(connection, std::move(response), version);
    co_return false;
  }
  const bool keep_alive = wants_more && !state->stopping;
  const bool sent = co_await send_answer(connection, std::move(response), version, keep_alive, head_only);
  co_return sent&& keep_alive && !state->stopping;
}

awaitable<void> session(StatePtr state, ConnectionPtr connection) {
  bool more = true;
  while (more) {
    more = co_await receive(state, connection);
    if (more) more = co_await answer(state, connection);
  }
  error_code ignored;
  connection->socket.shutdown(tcp::socket::shutdown_both, ignored);
  connection->disarm();
  connection->close();
  state->connections.erase(connection);
  if (state->connections.empty()) state->empty.cancel();
}

// ---------------------------------------------------------------- accepting

awaitable<void> refuse(StatePtr state, ConnectionPtr connection) {
  Response response =
      problem(503, "there are " + std::to_string(state->config.max_connections) + " connections already");
  const bool sent = co_await send_answer(connection, std::move(response), 11, false, false);
  if (sent) co_await linger(connection);
  --state->refusing;
}

void take(const StatePtr& state, tcp::socket socket) {
  error_code error;
  close_on_exec(socket);
  socket.set_option(tcp::no_delay(true), error);
  const auto executor = socket.get_executor();
  const auto peer = socket.remote_endpoint(error);
  if (error) return;  // gone already
  auto connection = std::make_shared<Connection>(std::move(socket), state->config.request_timeout);
  connection->peer = peer.address().to_string();
  if (state->connections.size() < static_cast<std::size_t>(state->config.max_connections)) {
    state->connections.insert(connection);
    spawn(executor, session(state, connection));
  } else if (state->refusing < kRefusalsMax) {
    ++state->refusing;
    spawn(executor, refuse(state, connection));
  }
}

awaitable<void> accept(StatePtr state) {
  while (!state->stopping) {
    auto [error, socket] = co_await state->acceptor.async_accept(kDone);
    if (state->stopping) co_return;
    if (!error) {
      take(state, std::move(socket));
      continue;
    }
    // Out of descriptors, most likely; they come back when connections end.
    spdlog::warn("api_accept=failed problem=\"{}\"", error.message());
    state->pause.expires_after(kAcceptPause);
    co_await state->pause.async_wait(kDone);
  }
}

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(asio::any_io_executor executor, const ApiConfig& config,
                                               RequestHandler& handler) {
  const Result<tcp::endpoint> endpoint = endpoint_from(config.listen);
  if (!endpoint.ok()) return endpoint.error();
  if (!endpoint->address().is_loopback() && config.tokens.empty()) {
    return Error{ErrorCode::denied,
                 "refusing to listen on " + config.listen + ", which is beyond loopback: configure api.tokens", false};
  }
  auto state = std::make_shared<ServerState>(executor, handler, config);
  error_code error;
  state->acceptor.open(endpoint->protocol(), error);
  if (!error) state->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) state->acceptor.bind(*endpoint, error);
  if (!error) state->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return Error{ErrorCode::exhausted, "cannot listen on " + config.listen + ": " + error.message(), false};
  close_on_exec(state->acceptor);
  spawn(executor, accept(state));
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::Server(std::shared_ptr<ServerState> state) : state_(std::move(state)) {}

Server::~Server() { stop(); }

unsigned short Server::port() const {
  error_code error;
  const auto endpoint = state_->acceptor.local_endpoint(error);
  return error ? static_cast<unsigned short>(0) : endpoint.port();
}

void Server::stop() {
  if (std::exchange(state_->stopping, true)) return;
  error_code ignored;
  state_->acceptor.close(ignored);
  state_->pause.cancel();
  for (const ConnectionPtr& connection : state_->connections) {
    if (connection->stream != nullptr) connection->stream->close();
    if (connection->idle()) connection->cancel();
  }
}

awaitable<void> Server::finished(Duration limit) {
  if (state_->connections.empty()) co_return;
  state_->empty.expires_after(limit);
  co_await state_->empty.async_wait(kDone);
}

}  // namespace ebb
