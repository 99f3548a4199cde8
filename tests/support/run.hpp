// Runs one coroutine to its end on a loop of its own.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "daemon/ports/clock.hpp"

namespace ebb::test {

template <class T>
boost::asio::awaitable<void> store(boost::asio::awaitable<T> task, std::shared_ptr<std::optional<T>> result) {
  *result = co_await std::move(task);
}

/// Starts it; the result stands in the returned place once it is there.
template <class T>
std::shared_ptr<std::optional<T>> start(boost::asio::io_context& io, boost::asio::awaitable<T> task) {
  auto result = std::make_shared<std::optional<T>>();
  boost::asio::co_spawn(io, store<T>(std::move(task), result), [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
  });
  return result;
}

template <class T>
T run(boost::asio::io_context& io, boost::asio::awaitable<T> task) {
  const auto result = start(io, std::move(task));
  io.restart();
  io.run();
  if (!*result) throw std::logic_error("the coroutine did not end");
  return std::move(**result);
}

template <class T>
T run(boost::asio::awaitable<T> task) {
  boost::asio::io_context io;
  return run(io, std::move(task));
}

/// A clock that stands where it is put.
class StillClock : public Clock {
 public:
  StillClock() = default;
  [[nodiscard]] TimePoint now() const override { return at; }
  awaitable<void> sleep_until(TimePoint) override { co_return; }
  TimePoint at{Duration{1'767'225'600'000}};
};

}  // namespace ebb::test
