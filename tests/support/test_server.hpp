// A tiny HTTP/1.1 server on a thread of its own that can also misbehave.
#pragma once

#include <atomic>
#include <boost/asio.hpp>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ebb::test {

namespace asio = boost::asio;

enum class Manner {
  proper,
  hang,            ///< takes the request, never answers
  close_mid_body,  ///< promises twice the body it sends, then closes
  close_at_once,   ///< no byte of an answer
  trickle,         ///< one byte of the body every 20 ms
  raw,             ///< the body's bytes are the whole answer, head included; then closes
};

struct Page {
  int status = 200;
  std::string body;
  std::map<std::string, std::string> headers;
  Manner manner = Manner::proper;
};

class TestServer {
 public:
  TestServer() : acceptor_(io_, {asio::ip::address_v4::loopback(), 0}) {
    port_ = acceptor_.local_endpoint().port();
    asio::co_spawn(io_, accept(), [](std::exception_ptr) {});
    thread_ = std::thread([this] { io_.run(); });
  }
  ~TestServer() { stop(); }

  /// Ends every connection and refuses new ones.
  void stop() {
    if (!thread_.joinable()) return;
    io_.stop();
    thread_.join();
    acceptor_.close();
    const std::lock_guard lock(mutex_);
    for (auto& socket : sockets_) socket->close();
  }

  void put(const std::string& path, Page page) {
    const std::lock_guard lock(mutex_);
    pages_[path] = std::move(page);
  }
  void put(const std::string& path, std::string body) {
    Page page;
    page.body = std::move(body);
    put(path, std::move(page));
  }
  [[nodiscard]] std::string url(const std::string& path = "") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  [[nodiscard]] unsigned short port() const { return port_; }
  [[nodiscard]] int connections() const { return connections_; }
  [[nodiscard]] int open() const { return open_; }
  /// Whole requests, heads and bodies, in order.
  [[nodiscard]] std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  using Socket = std::shared_ptr<asio::ip::tcp::socket>;

  asio::awaitable<void> accept() {
    while (true) {
      auto socket = std::make_shared<asio::ip::tcp::socket>(co_await acceptor_.async_accept(asio::use_awaitable));
      ++connections_;
      {
        const std::lock_guard lock(mutex_);
        sockets_.push_back(socket);
      }
      ++open_;
      asio::co_spawn(io_, serve(socket), [this, socket](std::exception_ptr) {
        boost::system::error_code ignored;
        socket->close(ignored);
        --open_;
      });
    }
  }

  static std::size_t length_of(const std::string& head) {
    const std::size_t at = head.find("Content-Length: ");
    return at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
  }

  asio::awaitable<void> serve(Socket socket) {
    std::string buffer;
    while (true) {
      const std::size_t head =
          co_await asio::async_read_until(*socket, asio::dynamic_buffer(buffer), "\r\n\r\n", asio::use_awaitable);
      const std::size_t whole = head + length_of(buffer.substr(0, head));
      if (buffer.size() < whole) {
        const std::size_t missing = whole - buffer.size();
        co_await asio::async_read(*socket, asio::dynamic_buffer(buffer), asio::transfer_exactly(missing),
                                  asio::use_awaitable);
      }
      const std::string request = buffer.substr(0, whole);
      buffer.erase(0, whole);
      const Page page = page_for(request);
      const bool more = co_await answer(socket, page);
      if (!more) co_return;
    }
  }

  Page page_for(const std::string& request) {
    const std::size_t from = request.find(' ') + 1;
    const std::string path = request.substr(from, request.find(' ', from) - from);
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    const auto found = pages_.find(path);
    if (found != pages_.end()) return found->second;
    Page page;
    page.status = 404;
    page.body = "no such page\n";
    return page;
  }

  asio::awaitable<bool> answer(Socket socket, Page page) {
    if (page.manner == Manner::close_at_once) co_return false;
    if (page.manner == Manner::hang) {
      char byte = 0;
      co_await socket->async_read_some(asio::buffer(&byte, 1), asio::use_awaitable);  // until the client goes
      co_return false;
    }
    std::string text = page.body;
    if (page.manner != Manner::raw) {
      const std::size_t promised = page.body.size() * (page.manner == Manner::close_mid_body ? 2 : 1);
      text = "HTTP/1.1 " + std::to_string(page.status) + " X\r\nContent-Length: " + std::to_string(promised) + "\r\n";
      for (const auto& [name, value] : page.headers) text += name + ": " + value + "\r\n";
      text += "\r\n";
      if (page.manner != Manner::trickle) text += page.body;
    }
    co_await asio::async_write(*socket, asio::buffer(text), asio::use_awaitable);
    if (page.manner == Manner::trickle) co_await trickle(socket, page.body);
    co_return page.manner == Manner::proper || page.manner == Manner::trickle;
  }

  static asio::awaitable<void> trickle(Socket socket, std::string body) {
    asio::steady_timer timer(socket->get_executor());
    for (const char byte : body) {
      timer.expires_after(std::chrono::milliseconds(20));
      co_await timer.async_wait(asio::use_awaitable);
      co_await asio::async_write(*socket, asio::buffer(&byte, 1), asio::use_awaitable);
    }
  }

  asio::io_context io_;
  asio::ip::tcp::acceptor acceptor_;
  unsigned short port_ = 0;
  std::thread thread_;
  std::atomic<int> connections_ = 0;
  std::atomic<int> open_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, Page> pages_;
  std::vector<std::string> requests_;
  std::vector<Socket> sockets_;
};

}  // namespace ebb::test
