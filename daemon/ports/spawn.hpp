#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <utility>

namespace ebb {

/// Starts a coroutine nobody waits for. An exception leaves through io_context::run(), which stops the daemon with a
/// message: lost in silence it would leave a loop that no longer turns. Cancellation at shutdown is no error.
template <class Executor>
void spawn(Executor executor, boost::asio::awaitable<void> task) {
  boost::asio::co_spawn(executor, std::move(task), [](std::exception_ptr failure) {
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
      if (error.code() != boost::asio::error::operation_aborted) throw;
    }
  });
}

}  // namespace ebb
