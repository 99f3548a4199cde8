// Requests and answers as values. No Beast here, so that routes compile fast and are tested without a socket.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/result.hpp"

namespace ebb {

using boost::asio::awaitable;

struct Request {
  std::string method = "GET";
  std::string target = "/";                    ///< as sent: path and query
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
  std::string peer;  ///< the client's address, without the port

  // User-written, since an aggregate temporary in a co_await statement is destroyed twice by g++ 12.
  Request() {}  // NOLINT(modernize-use-equals-default)
  /// The header's value; empty where it is absent.
  [[nodiscard]] std::string header(const std::string& lower_case_name) const;
};

/// A body that comes piece by piece. Control thread; one `next` at a time.
class BodyStream {
 public:
  virtual ~BodyStream() = default;
  /// The next piece; empty at the end.
  virtual awaitable<std::string> next() = 0;
  /// Makes the `next` under way, or the one to come, the last. Idempotent.
  virtual void close() = 0;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";  ///< empty: no body, no header
  std::map<std::string, std::string> headers;
  std::string body;
  std::shared_ptr<BodyStream> stream;  ///< when set, it is the body

  Response() {}  // NOLINT(modernize-use-equals-default)
};

/// Whoever answers the server's requests. Control thread; calls may overlap.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  /// The answer to one request; never throws.
  virtual awaitable<Response> handle(Request request) = 0;
};

/// A target taken apart. Segments and query are percent-decoded, one by one: "%2F" does not make a segment.
struct RequestTarget {
  std::vector<std::string> segments;
  std::map<std::string, std::string> query;
};
/// `invalid` for what is not an absolute path, a bad percent escape, a control character or a parameter given twice.
Result<RequestTarget> target_from(std::string_view text);

/// "Not Found" and its siblings.
const char* reason_of(int status);

}  // namespace ebb
