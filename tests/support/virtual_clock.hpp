// Time that moves only when a test says so: a week of ticks in milliseconds, and the same order of events every time.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "daemon/ports/clock.hpp"

namespace ebb::test {

/// Sleepers wake in order of their time, and of their coming where times are equal. Must outlive the io_context's frames.
/// Work on other threads (a Worker) is invisible to the driver: under this clock use fakes that stay on the thread.
class VirtualClock final : public Clock {
 public:
  explicit VirtualClock(TimePoint start) : now_(start) {}

  [[nodiscard]] TimePoint now() const override { return now_; }

  awaitable<void> sleep_until(TimePoint at) override {
    auto executor = co_await boost::asio::this_coro::executor;
    if (at <= now_) {
      co_await boost::asio::post(executor, boost::asio::use_awaitable);
      co_return;
    }
    auto sleeper = std::make_shared<Sleeper>(executor);
    const Key key{at, ++sequence_};
    sleepers_.emplace(key, sleeper);
    co_await sleeper->timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    if (sleeper->due) co_return;
    sleepers_.erase(key);
    throw boost::system::system_error(boost::asio::error::operation_aborted);
  }

  /// Runs what is ready, then jumps from sleeper to sleeper up to and including `until`. Returns how many it woke.
  std::size_t run_until(boost::asio::io_context& io, TimePoint until) {
    std::size_t woken = 0;
    for (settle(io); !sleepers_.empty() && sleepers_.begin()->first.first <= until; settle(io)) {
      const auto first = sleepers_.begin();
      now_ = first->first.first;
      first->second->due = true;
      first->second->timer.cancel();
      sleepers_.erase(first);
      ++woken;
    }
    if (now_ < until) now_ = until;
    return woken;
  }
  std::size_t run_for(boost::asio::io_context& io, Duration span) { return run_until(io, now_ + span); }

  [[nodiscard]] std::size_t sleepers() const { return sleepers_.size(); }

 private:
  using Key = std::pair<TimePoint, std::uint64_t>;
  struct Sleeper {
    explicit Sleeper(boost::asio::any_io_executor executor) : timer(std::move(executor)) {
      timer.expires_at(boost::asio::steady_timer::time_point::max());
    }
    boost::asio::steady_timer timer;
    bool due = false;
  };

  /// Until nothing is ready.
  static void settle(boost::asio::io_context& io) {
    io.restart();
    io.poll();
  }

  TimePoint now_;
  std::uint64_t sequence_ = 0;
  std::map<Key, std::shared_ptr<Sleeper>> sleepers_;
};

}  // namespace ebb::test
