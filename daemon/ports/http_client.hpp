#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <string>

#include "daemon/model/result.hpp"
#include "daemon/model/time.hpp"

namespace ebb {

using boost::asio::awaitable;

/// One outbound request. Has a constructor on purpose: an aggregate temporary inside co_await is a double free on
/// g++ 12.
struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::map<std::string, std::string> headers;
  std::string body;
  Duration timeout{5'000};           ///< connect and transfer together
  std::size_t body_max = 16u << 20;  ///< a longer answer is an error, not a cut
  std::string basic_user;            ///< with basic_password: HTTP basic authentication
  std::string basic_password;
  std::string ca_file;
  std::string sigv4;  ///< "aws:amz:REGION:s3": signed with basic_user as key id and basic_password as secret; the
                      ///< header x-amz-content-sha256 is the caller's
  std::string session_token;
  bool once = false;  ///< on a connection of its own: no transport sends it a second time, and `unreachable` then says
                      ///< that it was not sent at all; a connection that broke later is `internal`

  HttpRequest() = default;
  explicit HttpRequest(std::string target) : url(std::move(target)) {}
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case; the last one wins
  std::string body;
};

/// Outbound HTTP. Any status is a success of the transport; errors are `unreachable`, `timeout`, `malformed`
/// (protocol, body longer than body_max) or `cancelled`. Safe to call concurrently from coroutines of the
/// control thread; completes on the caller's executor.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  virtual awaitable<Result<HttpResponse>> send(HttpRequest request) = 0;
};

}  // namespace ebb
