#include "daemon/runtime/system_clock.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace ebb {

SystemClock::SystemClock(boost::asio::any_io_executor executor)
    : executor_(std::move(executor)),
      wall_(std::chrono::floor<Duration>(std::chrono::system_clock::now())),
      steady_(std::chrono::steady_clock::now()) {}

TimePoint SystemClock::now() const {
  return wall_ + std::chrono::floor<Duration>(std::chrono::steady_clock::now() - steady_);
}

awaitable<void> SystemClock::sleep_until(TimePoint at) {
  boost::asio::steady_timer timer(executor_);
  timer.expires_at(steady_ + (at - wall_));
  co_await timer.async_wait(boost::asio::use_awaitable);
}

}  // namespace ebb
