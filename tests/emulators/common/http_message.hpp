// HTTP/1.1 as text, without I/O: heads, chunks, server-sent events. Shared by the stand-in server and its client.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/result.hpp"

namespace ebb::emulator {

using Headers = std::map<std::string, std::string>;  ///< names in lower case

struct RequestHead {
  std::string method;
  std::string target;
  Headers headers;
  bool keep_alive = true;
};

struct ResponseHead {
  int status = 0;
  Headers headers;
  bool keep_alive = true;
};

/// How a message's body ends.
struct Framing {
  bool chunked = false;
  std::optional<std::size_t> length;  ///< without it and not chunked: until the connection closes (responses only)
};

/// `text` is everything before the empty line. Errors are `malformed`.
Result<RequestHead> parse_request_head(std::string_view text);
Result<ResponseHead> parse_response_head(std::string_view text);

/// Refuses a length that is no number, and a length beside chunks, which would be request smuggling.
Result<Framing> framing_of(const Headers& headers);

/// Status line and headers, with the empty line.
std::string render_response_head(int status, const Headers& headers);
std::string render_request_head(std::string_view method, std::string_view target, const Headers& headers);
/// One chunk; an empty `data` gives the last one.
std::string render_chunk(std::string_view data);

/// Takes a chunked body apart as it comes in.
class ChunkDecoder {
 public:
  /// Appends the payload in `input` to `out` and removes what it used from `input`.
  Status feed(std::string& input, std::string& out);
  [[nodiscard]] bool done() const { return done_; }

 private:
  bool done_ = false;
  bool trailer_ = false;
  bool after_data_ = false;
  std::size_t left_ = 0;
};

/// Takes a server-sent event stream apart: the `data:` of each complete event.
class SseParser {
 public:
  std::vector<std::string> feed(std::string_view input);

 private:
  std::string line_;
  std::string data_;
  bool has_data_ = false;
};

}  // namespace ebb::emulator
