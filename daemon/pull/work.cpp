#include "daemon/pull/work.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

namespace ebb::pull {
namespace {

constexpr Duration kSlice{50};

/// A worker may run out of memory; its thread must not take the program with it.
Status guarded(const Task& task, std::size_t number) {
  try {
    return task(number);
  } catch (const std::exception& failure) {
    return Error{ErrorCode::exhausted, failure.what(), true};
  }
}

}  // namespace

void Stop::wait(Duration span) const {
  std::mutex mutex;
  std::condition_variable nobody;
  std::unique_lock lock(mutex);
  for (Duration waited{0}; waited < span && !requested(); waited += kSlice)
    nobody.wait_for(lock, std::min(kSlice, span - waited));
}

Error stopped() { return Error{ErrorCode::cancelled, "stopped before it was done", true}; }

Status in_parallel(unsigned threads, std::size_t count, Stop& halt, const std::function<Task()>& worker) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::optional<Error> first;
  const auto note = [&](const Error& error) {
    const std::lock_guard lock(mutex);
    if (!first) first = error;
    halt.request();
  };
  const auto run = [&] {
    Task task;
    const Status made = guarded([&](std::size_t) { return task = worker(), Status(Done{}); }, 0);
    if (!made.ok()) return note(made.error());
    while (!halt.requested()) {
      const std::size_t number = next.fetch_add(1);
      if (number >= count) return;
      if (const Status done = guarded(task, number); !done.ok()) note(done.error());
    }
  };
  std::vector<std::thread> others;
  try {
    while (others.size() + 1 < std::min<std::size_t>(threads, count)) others.emplace_back(run);
  } catch (const std::system_error&) {
    // Fewer threads are slower, nothing else.
  }
  run();
  for (std::thread& other : others) other.join();
  if (first) return *first;
  if (next.load() < count) return stopped();
  return Done{};
}

}  // namespace ebb::pull
