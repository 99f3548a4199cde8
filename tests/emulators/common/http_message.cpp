#include "tests/emulators/common/http_message.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace ebb::emulator {

namespace {

constexpr std::size_t kChunkMax = 16u << 20;  // no honest engine sends more in one chunk

Error malformed(std::string what) { return Error{ErrorCode::malformed, std::move(what), false}; }

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// The next line of `text`, which is shortened by it; the line end is "\r\n" or "\n".
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

Result<Headers> parse_headers(std::string_view text) {
  Headers headers;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return malformed("a header line without a name");
    if (line.substr(0, colon).find_first_of(" \t") != std::string_view::npos) {
      return malformed("a blank in a header name");
    }
    const std::string name = lower(line.substr(0, colon));
    const std::string value(trimmed(line.substr(colon + 1)));
    if (name == "content-length" && headers.contains(name) && headers[name] != value) {
      return malformed("two different content lengths");
    }
    headers[name] = value;
  }
  return headers;
}

bool keeps_alive(const Headers& headers, bool http_1_0) {
  const auto found = headers.find("connection");
  const std::string wish = found == headers.end() ? "" : lower(found->second);
  return http_1_0 ? wish == "keep-alive" : wish != "close";
}

const char* reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    default: return "Status";
  }
}

std::string render_headers(const Headers& headers) {
  std::string out;
  for (const auto& [name, value] : headers) out += fmt::format("{}: {}\r\n", name, value);
  return out + "\r\n";
}

}  // namespace

Result<RequestHead> parse_request_head(std::string_view text) {
  const std::string_view line = take_line(text);
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return malformed("a request line without three parts");
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return malformed("an unknown HTTP version");
  RequestHead head;
  head.method = std::string(line.substr(0, first));
  head.target = std::string(line.substr(first + 1, last - first - 1));
  if (head.target.empty() || head.target.front() != '/') return malformed("a request target without a path");
  auto headers = parse_headers(text);
  if (!headers) return headers.error();
  head.headers = std::move(*headers);
  head.keep_alive = keeps_alive(head.headers, version == "HTTP/1.0");
  return head;
}

Result<ResponseHead> parse_response_head(std::string_view text) {
  const std::string_view line = take_line(text);
  if (!line.starts_with("HTTP/1.") || line.size() < 12) return malformed("no HTTP status line");
  ResponseHead head;
  const auto [end, ec] = std::from_chars(line.data() + 9, line.data() + 12, head.status);
  if (ec != std::errc{} || end != line.data() + 12 || head.status < 100) return malformed("no HTTP status");
  auto headers = parse_headers(text);
  if (!headers) return headers.error();
  head.headers = std::move(*headers);
  head.keep_alive = keeps_alive(head.headers, line.starts_with("HTTP/1.0"));
  return head;
}

Result<Framing> framing_of(const Headers& headers) {
  Framing framing;
  if (const auto found = headers.find("transfer-encoding"); found != headers.end()) {
    if (lower(found->second) != "chunked") return malformed("an unknown transfer encoding");
    framing.chunked = true;
  }
  if (const auto found = headers.find("content-length"); found != headers.end()) {
    const std::string& text = found->second;
    std::size_t length = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), length);
    if (ec != std::errc{} || end != text.data() + text.size()) return malformed("a content length that is no number");
    if (framing.chunked) return malformed("a content length beside chunks");
    framing.length = length;
  }
  return framing;
}

std::string render_response_head(int status, const Headers& headers) {
  return fmt::format("HTTP/1.1 {} {}\r\n", status, reason(status)) + render_headers(headers);
}

std::string render_request_head(std::string_view method, std::string_view target, const Headers& headers) {
  return fmt::format("{} {} HTTP/1.1\r\n", method, target) + render_headers(headers);
}

std::string render_chunk(std::string_view data) { return fmt::format("{:x}\r\n{}\r\n", data.size(), data); }

Status ChunkDecoder::feed(std::string& input, std::string& out) {
  std::size_t used = 0;
  while (!done_) {
    if (left_ > 0) {
      const std::size_t take = std::min(left_, input.size() - used);
      out.append(input, used, take);
      used += take;
      left_ -= take;
      if (left_ > 0) break;
      after_data_ = true;
    }
    const std::size_t end = input.find('\n', used);
    if (end == std::string::npos) {
      if (input.size() - used > 1024) return malformed("a chunk size line without an end");
      break;
    }
    std::string_view line(input.data() + used, end - used);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    used = end + 1;
    if (after_data_) {
      if (!line.empty()) return malformed("a chunk longer than its size");
      after_data_ = false;
    } else if (trailer_) {
      done_ = line.empty();
    } else {
      const std::string_view digits = line.substr(0, line.find(';'));
      const auto [stop, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), left_, 16);
      if (ec != std::errc{} || stop != digits.data() + digits.size() || left_ > kChunkMax) {
        return malformed("a chunk size that is no number");
      }
      trailer_ = left_ == 0;
    }
  }
  input.erase(0, used);
  return Done{};
}

std::vector<std::string> SseParser::feed(std::string_view input) {
  std::vector<std::string> events;
  while (!input.empty()) {
    const std::size_t end = input.find('\n');
    line_.append(input.substr(0, end));
    if (end == std::string_view::npos) break;
    input.remove_prefix(end + 1);
    if (!line_.empty() && line_.back() == '\r') line_.pop_back();
    if (line_.empty() && has_data_) {
      events.push_back(std::move(data_));
      data_.clear();
      has_data_ = false;
    } else if (line_.starts_with("data:")) {
      if (has_data_) data_ += '\n';
      data_ += line_.substr(line_.starts_with("data: ") ? 6 : 5);
      has_data_ = true;
    }
    line_.clear();
  }
  return events;
}

}  // namespace ebb::emulator
