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
#include <utility>

#include "daemon/ports/clock.hpp"

namespace ebb::test {

/// Sleepers wake in order of their time, and of their coming where times are equal. Must outlive the io_context, whose
/// frames refer to it. Work on other threads (a Worker) is invisible to the driver: under this clock use fakes that
/// stay on the thread.
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
    Sleeper sleeper(*this, Key(at, ++sequence_), executor);
    co_await sleeper.timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    if (!sleeper.due) throw boost::system::system_error(boost::asio::error::operation_aborted);
  }

  /// Runs what is ready, then jumps from sleeper to sleeper up to and including `until`. Returns how many it woke.
  std::size_t run_until(boost::asio::io_context& io, TimePoint until) {
    std::size_t woken = 0;
    handlers_ = 0;
    for (settle(io); !sleepers_.empty() && sleepers_.begin()->first.first <= until; settle(io)) {
      wake_first();
      ++woken;
    }
    if (now_ < until) now_ = until;
    return woken;
  }
  /// As `run_until`, but ends after so many handlers, between any two of them: false then.
  bool run_steps(boost::asio::io_context& io, TimePoint until, std::uint64_t steps) {
    for (;;) {
      io.restart();
      while (steps > 0 && io.poll_one() > 0) --steps;
      if (steps == 0) return false;
      if (sleepers_.empty() || sleepers_.begin()->first.first > until) break;
      wake_first();
    }
    if (now_ < until) now_ = until;
    return true;
  }
  /// How many handlers the last `run_until` ran.
  [[nodiscard]] std::uint64_t handlers() const { return handlers_; }
  /// Time passes while nobody sleeps: between two runs of a daemon.
  void skip(Duration span) { now_ += span; }
  std::size_t run_for(boost::asio::io_context& io, Duration span) { return run_until(io, now_ + span); }

  [[nodiscard]] std::size_t sleepers() const { return sleepers_.size(); }

 private:
  using Key = std::pair<TimePoint, std::uint64_t>;
  /// Lives in the sleeping coroutine's frame, and leaves the map with it however the frame ends.
  struct Sleeper {
    Sleeper(VirtualClock& owner, Key key_, boost::asio::any_io_executor executor)
        : clock(owner), key(key_), timer(std::move(executor), boost::asio::steady_timer::time_point::max()) {
      clock.sleepers_.emplace(key, this);
    }
    ~Sleeper() { clock.sleepers_.erase(key); }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;

    VirtualClock& clock;
    Key key;
    boost::asio::steady_timer timer;
    bool due = false;
  };

  void wake_first() {
    const auto [key, sleeper] = *sleepers_.begin();
    sleepers_.erase(key);
    now_ = key.first;
    sleeper->due = true;
    sleeper->timer.cancel();
  }

  /// Until nothing is ready.
  void settle(boost::asio::io_context& io) {
    io.restart();
    handlers_ += io.poll();
  }

  TimePoint now_;
  std::uint64_t sequence_ = 0;
  std::uint64_t handlers_ = 0;
  std::map<Key, Sleeper*> sleepers_;
};

}  // namespace ebb::test
