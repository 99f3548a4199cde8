// The load generator's side of HTTP/1.1: one connection, answers read piece by piece.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <string>

#include "tests/emulators/common/http_message.hpp"

namespace ebb::emulator {

namespace asio = boost::asio;
using asio::awaitable;

struct HostPort {
  std::string host;  ///< an IP address
  std::uint16_t port = 0;
  friend auto operator<=>(const HostPort&, const HostPort&) = default;
};

/// Reads "http://127.0.0.1:8001", with or without scheme and trailing path.
Result<HostPort> host_port_from(std::string_view url);

/// One connection to one server. Errors: `unreachable` (no connection, or it broke before the first byte of an
/// answer), `timeout` (the deadline passed), `malformed` (no HTTP), `internal` (broke in the middle of an answer).
class HttpCall {
 public:
  explicit HttpCall(asio::any_io_executor executor);
  ~HttpCall();
  HttpCall(const HttpCall&) = delete;
  HttpCall& operator=(const HttpCall&) = delete;

  /// Everything after this call must be over within `seconds`.
  void limit(double seconds);
  awaitable<Status> connect(HostPort to);
  /// Sends a request and reads the head of its answer. May be called again once the body was read to its end.
  awaitable<Result<ResponseHead>> ask(std::string method, std::string target, Headers headers, std::string body);
  /// The next piece of the body; empty at its end.
  awaitable<Result<std::string>> read_some();
  /// The rest of the body, at most `max` bytes.
  awaitable<Result<std::string>> read_all(std::size_t max);
  void close();

 private:
  struct Link;
  awaitable<Status> fill();
  [[nodiscard]] Error broken(ErrorCode otherwise, const std::string& what) const;
  std::shared_ptr<Link> link_;
  Framing framing_;
  ChunkDecoder chunks_;
  std::size_t left_ = 0;
  bool ended_ = true;
};

/// One short request on a connection of its own, for APIs. The body is at most 4 MiB.
struct Answer {
  int status = 0;
  std::string body;
};
awaitable<Result<Answer>> fetch(HostPort to, std::string method, std::string target, std::string body, double seconds);

}  // namespace ebb::emulator
