#include "tests/emulators/common/http_client.hpp"

#include <spdlog/fmt/fmt.h>

#include <boost/asio.hpp>
#include <charconv>
#include <utility>

namespace ebb::emulator {

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kHeadMax = 64u << 10;

}  // namespace

struct HttpCall::Link {
  explicit Link(const asio::any_io_executor& executor) : socket(executor), timer(executor) {}
  asio::ip::tcp::socket socket;
  asio::steady_timer timer;
  std::string buffer;
  std::string host;
  bool late = false;
};

Result<HostPort> host_port_from(std::string_view url) {
  const Error bad{ErrorCode::invalid, fmt::format("'{}' is no http://address:port", url), false};
  if (url.starts_with("http://")) url.remove_prefix(7);
  url = url.substr(0, url.find('/'));
  const std::size_t colon = url.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad;
  HostPort to;
  to.host = std::string(url.substr(0, colon));
  if (to.host == "localhost") to.host = "127.0.0.1";
  const std::string_view digits = url.substr(colon + 1);
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), to.port);
  if (ec != std::errc{} || end != digits.data() + digits.size() || to.port == 0) return bad;
  return to;
}

HttpCall::HttpCall(asio::any_io_executor executor) : link_(std::make_shared<Link>(executor)) {}

HttpCall::~HttpCall() {
  link_->timer.cancel();
  close();
}

void HttpCall::close() {
  boost::system::error_code ignored;
  link_->socket.close(ignored);
}

void HttpCall::limit(double seconds) {
  const auto span =
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
  link_->timer.expires_after(span);
  link_->timer.async_wait([weak = std::weak_ptr(link_)](boost::system::error_code ec) {
    const auto link = weak.lock();
    if (ec || !link) return;
    link->late = true;
    boost::system::error_code ignored;
    link->socket.close(ignored);
  });
}

Error HttpCall::broken(ErrorCode otherwise, const std::string& what) const {
  if (link_->late) return Error{ErrorCode::timeout, "no answer in time", true};
  return Error{otherwise, what, true};
}

awaitable<Status> HttpCall::connect(HostPort to) {
  boost::system::error_code bad;
  const auto address = asio::ip::make_address(to.host, bad);
  if (bad) co_return Error{ErrorCode::invalid, fmt::format("'{}' is no IP address", to.host), false};
  link_->host = fmt::format("{}:{}", to.host, to.port);
  const asio::ip::tcp::endpoint endpoint(address, to.port);
  auto [ec] = co_await link_->socket.async_connect(endpoint, kAwait);
  if (ec) co_return broken(ErrorCode::unreachable, ec.message());
  boost::system::error_code ignored;
  link_->socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  co_return Done{};
}

awaitable<Result<ResponseHead>> HttpCall::ask(std::string method, std::string target, Headers headers,
                                              std::string body) {
  headers["host"] = link_->host;
  if (!body.empty() || method != "GET") headers["content-length"] = std::to_string(body.size());
  const std::string bytes = render_request_head(method, target, headers) + body;
  auto [sent, n] = co_await asio::async_write(link_->socket, asio::buffer(bytes), kAwait);
  if (sent) co_return broken(ErrorCode::unreachable, sent.message());
  auto room = asio::dynamic_buffer(link_->buffer, kHeadMax);
  auto [ec, size] = co_await asio::async_read_until(link_->socket, room, "\r\n\r\n", kAwait);
  if (ec && link_->buffer.empty()) co_return broken(ErrorCode::unreachable, ec.message());
  if (ec) co_return broken(ErrorCode::malformed, "the answer's head is incomplete");
  auto head = parse_response_head(std::string_view(link_->buffer).substr(0, size - 2));
  if (!head) co_return head.error();
  link_->buffer.erase(0, size);
  auto framing = framing_of(head->headers);
  if (!framing) co_return framing.error();
  framing_ = *framing;
  chunks_ = ChunkDecoder();
  left_ = framing_.length.value_or(0);
  ended_ = framing_.length == std::size_t{0};
  co_return head;
}

awaitable<Status> HttpCall::fill() {
  std::string piece(16384, '\0');
  auto [ec, n] = co_await link_->socket.async_read_some(asio::buffer(piece), kAwait);
  if (ec == asio::error::eof && !framing_.chunked && !framing_.length) ended_ = true;
  if (ended_) co_return Done{};
  if (ec) co_return broken(ErrorCode::internal, "the answer broke off: " + ec.message());
  link_->buffer.append(piece, 0, n);
  co_return Done{};
}

awaitable<Result<std::string>> HttpCall::read_some() {
  std::string out;
  while (!ended_) {
    if (framing_.chunked) {
      const Status fed = chunks_.feed(link_->buffer, out);
      if (!fed) co_return fed.error();
      ended_ = chunks_.done();
    } else {
      const std::size_t take = framing_.length ? std::min(left_, link_->buffer.size()) : link_->buffer.size();
      out.append(link_->buffer, 0, take);
      link_->buffer.erase(0, take);
      left_ -= framing_.length ? take : 0;
      ended_ = framing_.length && left_ == 0;
    }
    if (!out.empty() || ended_) co_return out;
    const Status filled = co_await fill();
    if (!filled) co_return filled.error();
  }
  co_return out;
}

awaitable<Result<std::string>> HttpCall::read_all(std::size_t max) {
  std::string all;
  while (!ended_) {
    auto piece = co_await read_some();
    if (!piece) co_return piece.error();
    all += *piece;
    if (all.size() > max) co_return Error{ErrorCode::malformed, "the answer is too long", false};
  }
  co_return all;
}

awaitable<Result<Answer>> fetch(HostPort to, std::string method, std::string target, std::string body, double seconds) {
  HttpCall call(co_await asio::this_coro::executor);
  call.limit(seconds);
  const Status connected = co_await call.connect(std::move(to));
  if (!connected) co_return connected.error();
  Headers headers;
  headers["connection"] = "close";
  if (!body.empty()) headers["content-type"] = "application/json";
  const auto head = co_await call.ask(std::move(method), std::move(target), headers, std::move(body));
  if (!head) co_return head.error();
  auto text = co_await call.read_all(4u << 20);
  if (!text) co_return text.error();
  Answer answer;
  answer.status = head->status;
  answer.body = std::move(*text);
  co_return answer;
}

}  // namespace ebb::emulator
