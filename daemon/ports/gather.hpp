#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "daemon/ports/clock.hpp"
#include "daemon/ports/spawn.hpp"

namespace ebb {

/// What a gathering shares with its tasks, which may outlive it.
template <class T>
struct GatherState {
  GatherState(boost::asio::any_io_executor executor, std::size_t count) : results(count), left(count), done(executor) {
    done.expires_at(boost::asio::steady_timer::time_point::max());
  }
  std::vector<std::optional<T>> results;
  std::size_t left;
  bool closed = false;  ///< the deadline passed: late results are dropped
  boost::asio::steady_timer done;
};

template <class T>
awaitable<void> gather_one(std::shared_ptr<GatherState<T>> state, std::size_t index, awaitable<T> task) {
  T result = co_await std::move(task);
  if (state->closed) co_return;
  state->results[index] = std::move(result);
  if (--state->left == 0) state->done.cancel();
}

template <class T>
awaitable<void> gather_deadline(std::shared_ptr<GatherState<T>> state, Clock& clock, TimePoint until) {
  co_await clock.sleep_until(until);
  state->done.cancel();
}

/// Runs the tasks concurrently on the caller's executor and waits for all of them, but not past `until`: what has not
/// finished by then is empty, runs on, and its result is dropped. What the tasks refer to must outlive the io_context.
template <class T>
awaitable<std::vector<std::optional<T>>> gather(Clock& clock, std::vector<awaitable<T>> tasks, TimePoint until) {
  auto executor = co_await boost::asio::this_coro::executor;
  auto state = std::make_shared<GatherState<T>>(executor, tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) spawn(executor, gather_one<T>(state, i, std::move(tasks[i])));
  if (state->left > 0) {
    spawn(executor, gather_deadline<T>(state, clock, until));
    co_await state->done.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  state->closed = true;
  co_return std::move(state->results);
}

}  // namespace ebb
