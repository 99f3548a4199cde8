// The only file of the daemon that reads a real clock.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>

#include "daemon/ports/clock.hpp"

namespace ebb {

/// Wall time anchored when made and carried on by the monotonic clock: a step of the system's clock moves nothing here.
class SystemClock final : public Clock {
 public:
  explicit SystemClock(boost::asio::any_io_executor executor);
  [[nodiscard]] TimePoint now() const override;
  awaitable<void> sleep_until(TimePoint at) override;

 private:
  boost::asio::any_io_executor executor_;
  TimePoint wall_;
  std::chrono::steady_clock::time_point steady_;
};

/// CLOCK_MONOTONIC in microseconds: what systemd wants to see in a message. No time the daemon acts on.
std::int64_t monotonic_us();

}  // namespace ebb
