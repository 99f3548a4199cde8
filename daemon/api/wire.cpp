#include "daemon/api/wire.hpp"

#include <charconv>

namespace ebb {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::string head_of(const Response& response, unsigned version, bool keep_alive) {
  std::string head = version >= 11 ? "HTTP/1.1 " : "HTTP/1.0 ";
  head += std::to_string(response.status) + " " + reason_of(response.status) + "\r\n";
  if (!response.content_type.empty()) head += "Content-Type: " + response.content_type + "\r\n";
  for (const auto& [name, value] : response.headers) head += name + ": " + value + "\r\n";
  head += keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  return head;
}

Result<tcp::endpoint> endpoint_from(const std::string& listen) {
  const Error bad{ErrorCode::invalid, "api.listen must be address:port, got '" + listen + "'", false};
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string::npos) return bad;
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  unsigned short port = 0;
  const char* last = listen.data() + listen.size();
  const auto [end, wrong] = std::from_chars(listen.data() + colon + 1, last, port);
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error || wrong != std::errc{} || end != last) return bad;
  return tcp::endpoint(address, port);
}

}  // namespace ebb
