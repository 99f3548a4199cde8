// Waiting and spawning, the same way everywhere in the stand-ins.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <functional>
#include <string>

namespace ebb::emulator {

namespace asio = boost::asio;
using asio::awaitable;

/// What to give co_spawn in place of `detached`: an exception that leaves a coroutine is a bug and ends the program
/// with its text instead of vanishing. A cancelled wait at shutdown is no bug.
std::function<void(std::exception_ptr)> on_done(std::string what);

/// Resumes after `seconds` of wall time, or at once when that is not positive. Returns false when cancelled.
awaitable<bool> pause(double seconds);

/// Coroutines wait here until another one of the same thread calls `notify`, or a time limit passes.
class Signal {
 public:
  explicit Signal(asio::any_io_executor executor);
  /// Wakes everybody who waits now.
  void notify();
  /// Returns at the next `notify`, or after `seconds`.
  awaitable<void> wait(double seconds);

 private:
  asio::any_io_executor executor_;
  asio::steady_timer timer_;
};

}  // namespace ebb::emulator
