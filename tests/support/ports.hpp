#pragma once
// Ports on loopback that no two tests on this machine share; the same claims as tests/tools/ports.py makes.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <stdexcept>
#include <string>

namespace ebb::test {

/// A block of `kCount` neighbouring ports from `first()` on, claimed until this object ends.
class Ports {
 public:
  static constexpr int kCount = 100;

  Ports() {
    for (first_ = 20'000; first_ + kCount <= 32'700; first_ += kCount) {
      boost::asio::local::stream_protocol::socket claim(io_, boost::asio::local::stream_protocol());
      boost::system::error_code error;
      // A name that begins with a zero byte is in no file system and ends with the process.
      claim.bind(std::string(1, '\0') + "ebb-test-ports-" + std::to_string(first_), error);
      if (error || !unused()) continue;
      claim_ = std::move(claim);
      return;
    }
    throw std::runtime_error("no " + std::to_string(kCount) + " neighbouring ports are free");
  }
  [[nodiscard]] int first() const { return first_; }

 private:
  [[nodiscard]] bool unused() {
    using boost::asio::ip::tcp;
    for (int port = first_; port < first_ + kCount; ++port) {
      tcp::socket probe(io_, tcp::v4());
      boost::system::error_code error;
      probe.set_option(tcp::socket::reuse_address(true), error);
      probe.bind({boost::asio::ip::address_v4::loopback(), static_cast<unsigned short>(port)}, error);
      if (error) return false;
    }
    return true;
  }

  boost::asio::io_context io_;
  boost::asio::local::stream_protocol::socket claim_{io_};
  int first_ = 0;
};

}  // namespace ebb::test
