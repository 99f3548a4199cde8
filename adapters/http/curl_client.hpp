// Outbound HTTP over libcurl: worker threads for every transfer of the daemon, awaitable from the control thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/ports/http_client.hpp"

namespace ebb {

struct CurlOptions {
  Duration connect_timeout{3'000};  ///< of the request's own timeout, whichever is shorter
  /// Threads that share the hosts out. At the end of each transfer curl looks at every connection of its thread: with
  /// 4,000 targets on one thread that was a quarter of a round's work.
  int workers = 4;
  /// Kept open between requests by each worker; one a target saves the handshake every sample.
  long idle_connections_max = 4'096;
  std::size_t header_bytes_max = 64u << 10;
  std::string user_agent = "ebb";
};

class CurlWorker;

/// Only http and https, no redirects (a token must not follow one), gzip accepted. `timeout` covers everything from
/// the resolver to the last byte, so that a peer who trickles cannot hold a request. Beside the port's errors:
/// `invalid` for a URL or header that cannot be sent, `exhausted` when no thread or descriptor is to be had.
/// Error texts never contain the URL's user part, headers or bodies.
///
/// Cancelling the awaiting coroutine ends the transfer and completes with `cancelled`. The io_context of the callers
/// must outlive `stop()`: answers are posted to it. Destroying the client stops it. Nothing remembers what a host
/// name stood for: each new connection asks again.
class CurlClient : public HttpClient {
 public:
  explicit CurlClient(const CurlOptions& options = CurlOptions());
  ~CurlClient() override;
  CurlClient(const CurlClient&) = delete;
  CurlClient& operator=(const CurlClient&) = delete;

  awaitable<Result<HttpResponse>> send(HttpRequest request) override;

  /// Ends every transfer with `cancelled` and joins the threads. Later requests are `cancelled` at once. Idempotent.
  void stop();

 private:
  /// The same for every request to a host, so that its connections are used again.
  [[nodiscard]] const std::shared_ptr<CurlWorker>& worker_of(std::string_view url) const;

  std::vector<std::shared_ptr<CurlWorker>> workers_;  ///< shared with cancellation handlers, which may fire after us
};

}  // namespace ebb
