#include "daemon/api/http.hpp"

#include <array>

namespace ebb {
namespace {

Error bad(std::string what) { return Error{ErrorCode::invalid, std::move(what), false}; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// In a query a plus is a space; in a path it is a plus.
std::optional<std::string> decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    out += c;
  }
  return out;
}

/// Takes the text up to `mark` off the front.
std::string_view cut(std::string_view& rest, char mark) {
  const std::size_t end = rest.find(mark);
  const std::string_view first = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return first;
}

}  // namespace

std::string Request::header(const std::string& lower_case_name) const {
  const auto found = headers.find(lower_case_name);
  return found == headers.end() ? std::string() : found->second;
}

Result<RequestTarget> target_from(std::string_view text) {
  if (text.empty() || text.front() != '/') return bad("the request target must be an absolute path");
  std::string_view query = text;
  std::string_view path = cut(query, '?');
  path.remove_prefix(1);
  RequestTarget target;
  while (!path.empty()) {
    const auto segment = decoded(cut(path, '/'), false);
    if (!segment) return bad("the path has a broken percent escape or a control character");
    target.segments.push_back(*segment);
  }
  while (!query.empty()) {
    std::string_view value = cut(query, '&');
    if (value.empty()) continue;
    const auto name = decoded(cut(value, '='), true);
    const auto content = decoded(value, true);
    if (!name || !content) return bad("the query has a broken percent escape or a control character");
    if (!target.query.emplace(*name, *content).second) return bad("the parameter '" + *name + "' is given twice");
  }
  return target;
}

const char* reason_of(int status) {
  struct Reason {
    int status;
    const char* text;
  };
  static constexpr std::array kReasons{
      Reason{200, "OK"},
      Reason{201, "Created"},
      Reason{202, "Accepted"},
      Reason{204, "No Content"},
      Reason{304, "Not Modified"},
      Reason{400, "Bad Request"},
      Reason{401, "Unauthorized"},
      Reason{403, "Forbidden"},
      Reason{404, "Not Found"},
      Reason{405, "Method Not Allowed"},
      Reason{408, "Request Timeout"},
      Reason{409, "Conflict"},
      Reason{413, "Content Too Large"},
      Reason{415, "Unsupported Media Type"},
      Reason{421, "Misdirected Request"},
      Reason{429, "Too Many Requests"},
      Reason{431, "Request Header Fields Too Large"},
      Reason{500, "Internal Server Error"},
      Reason{503, "Service Unavailable"},
      Reason{504, "Gateway Timeout"},
      Reason{505, "HTTP Version Not Supported"},
  };
  for (const Reason& reason : kReasons) {
    if (reason.status == status) return reason.text;
  }
  return "Unknown";
}

}  // namespace ebb
