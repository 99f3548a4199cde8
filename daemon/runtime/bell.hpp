#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <set>
#include <utility>

#include "daemon/ports/clock.hpp"
#include "daemon/ports/spawn.hpp"

namespace ebb {

/// Wakes everybody who waits for something to change. Control thread.
class Bell {
 public:
  explicit Bell(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

  void ring() {
    for (const auto& waiter : waiters_) waiter->cancel();
  }

  /// Until the next ring, or `until`.
  awaitable<void> wait(Clock& clock, TimePoint until) {
    auto waiter = std::make_shared<boost::asio::steady_timer>(executor_);
    waiter->expires_at(boost::asio::steady_timer::time_point::max());
    waiters_.insert(waiter);
    spawn(executor_, alarm(clock, until, waiter));
    co_await waiter->async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    waiters_.erase(waiter);
  }

 private:
  static awaitable<void> alarm(Clock& clock, TimePoint until, std::weak_ptr<boost::asio::steady_timer> waiter) {
    co_await clock.sleep_until(until);
    if (const auto waits = waiter.lock()) waits->cancel();
  }

  boost::asio::any_io_executor executor_;
  std::set<std::shared_ptr<boost::asio::steady_timer>> waiters_;
};

}  // namespace ebb
