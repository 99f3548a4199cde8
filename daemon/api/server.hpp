// The listener: HTTP/1.1 on one port. Hands whole requests to a handler and carries its answers out.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "config/config.hpp"
#include "daemon/api/http.hpp"
#include "daemon/model/result.hpp"

namespace ebb {

struct ServerState;

/// Limits (ApiConfig): connections (503), body (413), a head of 16 KiB (431), and one deadline over a request's
/// arrival, which a client that trickles cannot stretch (408), and over each write. Control thread.
class Server {
 public:
  /// Listens and accepts from now on; port 0 picks a free one. `denied`: beyond loopback without tokens. `invalid`: no
  /// address:port. `exhausted`: the port is taken. `handler` must outlive the executor's context.
  static Result<std::unique_ptr<Server>> listen(boost::asio::any_io_executor executor, const ApiConfig& config,
                                                RequestHandler& handler);

  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] unsigned short port() const;

  /// Refuses new connections, ends idle ones and event streams, and lets requests under way get their answer.
  void stop();
  /// After `stop`: until the last answer has left, but not longer than `limit`.
  awaitable<void> finished(Duration limit);

 private:
  explicit Server(std::shared_ptr<ServerState> state);
  std::shared_ptr<ServerState> state_;  ///< shared with the connections' coroutines
};

}  // namespace ebb
