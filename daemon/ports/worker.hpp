#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <type_traits>
#include <utility>

namespace ebb {

using boost::asio::awaitable;

/// One thread for work that blocks (SQLite, /proc, fsync). Jobs run in the order they were given; the caller
/// resumes on its own executor. `join` must run before the io_context of the callers is destroyed, since a job still
/// running then would post to an executor that is gone.
class Worker {
 public:
  Worker() : pool_(1) {}
  ~Worker() { join(); }
  /// Finishes what was queued; later jobs are not run.
  void join() { pool_.join(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Runs `work()` over there and returns its value. `work` must not throw and must own what it uses: the caller may
  /// be gone when it runs. Name the lambda before the co_await (STYLE 20).
  template <class F, class R = std::invoke_result_t<F&>>
  awaitable<R> run(F work) {
    return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void(R)>(
        [this, work = std::move(work)](auto handler) mutable {
          auto home = boost::asio::get_associated_executor(handler);
          boost::asio::post(pool_, [work = std::move(work), handler = std::move(handler), home,
                                    guard = boost::asio::make_work_guard(home)]() mutable {
            R result = work();
            boost::asio::post(home, [handler = std::move(handler), result = std::move(result)]() mutable {
              std::move(handler)(std::move(result));
            });
          });
        },
        boost::asio::use_awaitable);
  }

 private:
  boost::asio::thread_pool pool_;
};

}  // namespace ebb
