#include "tests/emulators/common/tasks.hpp"

#include <boost/asio.hpp>
#include <cstdlib>
#include <utility>

#include "tests/emulators/common/log.hpp"

namespace ebb::emulator {

namespace {

std::chrono::steady_clock::duration ticks(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(std::max(0.0, seconds)));
}

}  // namespace

std::function<void(std::exception_ptr)> on_done(std::string what) {
  return [what = std::move(what)](std::exception_ptr error) {
    if (!error) return;
    try {
      std::rethrow_exception(error);
    } catch (const boost::system::system_error& e) {
      if (e.code() == asio::error::operation_aborted) return;
      log_line(what, e.what());
    } catch (const std::exception& e) {
      log_line(what, e.what());
    }
    std::abort();
  };
}

awaitable<bool> pause(double seconds) {
  asio::steady_timer timer(co_await asio::this_coro::executor, ticks(seconds));
  auto [ec] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return !ec;
}

Signal::Signal(asio::any_io_executor executor) : executor_(std::move(executor)), timer_(executor_) {
  timer_.expires_at(std::chrono::steady_clock::time_point::max());
}

void Signal::notify() { timer_.cancel(); }

awaitable<void> Signal::wait(double seconds) {
  // Each waiter races its own limit against the shared timer that never fires and is cancelled to wake everybody.
  using namespace asio::experimental::awaitable_operators;
  if (seconds >= 1e9) {
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return;
  }
  asio::steady_timer limit(executor_, ticks(seconds));
  co_await (timer_.async_wait(asio::as_tuple(asio::use_awaitable)) ||
            limit.async_wait(asio::as_tuple(asio::use_awaitable)));
}

}  // namespace ebb::emulator
