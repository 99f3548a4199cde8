#include "daemon/runtime/system_clock.hpp"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace ebb {
namespace {

// Nothing waits longer; "for ever" (TimePoint::max()) in milliseconds would overflow the timer's nanoseconds.
constexpr Duration kFarthest{std::chrono::years{10}};

}  // namespace

SystemClock::SystemClock(boost::asio::any_io_executor executor)
    : executor_(std::move(executor)),
      wall_(std::chrono::floor<Duration>(std::chrono::system_clock::now())),
      steady_(std::chrono::steady_clock::now()) {}

TimePoint SystemClock::now() const {
  return wall_ + std::chrono::floor<Duration>(std::chrono::steady_clock::now() - steady_);
}

awaitable<void> SystemClock::sleep_until(TimePoint at) {
  boost::asio::steady_timer timer(executor_);
  const TimePoint from = now();
  timer.expires_at(steady_ + (std::clamp(at, from - kFarthest, from + kFarthest) - wall_));
  co_await timer.async_wait(boost::asio::use_awaitable);
}

std::int64_t monotonic_us() {
  const auto since_boot = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(since_boot).count();
}

}  // namespace ebb
