// What the threads of one pull share: how far it is, whether to stop, and who takes which task.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "daemon/model/result.hpp"
#include "daemon/model/time.hpp"

namespace ebb::pull {

/// Bytes that arrived and bytes that were written while increments were applied. Read from any thread.
struct Progress {
  std::atomic<std::uint64_t> done = 0;
  std::atomic<std::uint64_t> total = 0;  ///< grows when the increments' heads have been read
};

/// Asks work to end soon. Any thread. A stop with a parent stops with it, which must outlive it.
class Stop {
 public:
  explicit Stop(const Stop* parent = nullptr) : parent_(parent) {}
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;
  void request() { requested_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool requested() const {
    return requested_.load(std::memory_order_relaxed) || (parent_ != nullptr && parent_->requested());
  }
  /// Returns after `span`, or soon after the request.
  void wait(Duration span) const;

 private:
  const Stop* parent_;
  std::atomic<bool> requested_ = false;
};

/// What `requested` is as an error.
Error stopped();

using Task = std::function<Status(std::size_t)>;

/// Runs tasks 0 .. count - 1, in this order, on up to `threads` threads; `worker` makes each thread its own runner.
/// After a failure nobody starts another task, `halt` is requested, and the first failure is the answer.
Status in_parallel(unsigned threads, std::size_t count, Stop& halt, const std::function<Task()>& worker);

}  // namespace ebb::pull
