#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <string>
#include <vector>

#include "daemon/ports/spawn.hpp"
#include "daemon/runtime/system_clock.hpp"
#include "tests/support/run.hpp"
#include "tests/support/virtual_clock.hpp"

namespace ebb {
namespace {

namespace asio = boost::asio;
using test::VirtualClock;

const TimePoint kStart{Duration{1'767'225'600'000}};

awaitable<void> note(Clock& clock, TimePoint at, std::string name, std::vector<std::string>& log) {
  co_await clock.sleep_until(at);
  log.push_back(name + "@" + std::to_string((clock.now() - kStart).count()));
}

awaitable<void> tick(Clock& clock, Duration every, int& ticks) {
  for (;;) {
    co_await clock.sleep_until(clock.now() + every);
    ++ticks;
  }
}

TEST(VirtualClock, WakesInOrderOfTimeThenOfComing) {
  VirtualClock clock(kStart);
  asio::io_context io;
  std::vector<std::string> log;
  spawn(io.get_executor(), note(clock, kStart + Duration{20}, "late", log));
  spawn(io.get_executor(), note(clock, kStart + Duration{10}, "first", log));
  spawn(io.get_executor(), note(clock, kStart + Duration{10}, "second", log));
  clock.run_until(io, kStart + Duration{15});
  EXPECT_EQ(log, (std::vector<std::string>{"first@10", "second@10"}));
  EXPECT_EQ(clock.now(), kStart + Duration{15});
  EXPECT_EQ(clock.sleepers(), 1u);
  clock.run_for(io, Duration{5});
  EXPECT_EQ(log.back(), "late@20");
}

TEST(VirtualClock, WhatIsPastResumesWithoutTimePassing) {
  VirtualClock clock(kStart);
  asio::io_context io;
  std::vector<std::string> log;
  spawn(io.get_executor(), note(clock, kStart - Duration{5}, "past", log));
  EXPECT_EQ(clock.run_until(io, kStart), 0u);
  EXPECT_EQ(log, (std::vector<std::string>{"past@0"}));
}

TEST(VirtualClock, AWeekOfSecondsIsOneCall) {
  VirtualClock clock(kStart);
  asio::io_context io;
  int ticks = 0;
  spawn(io.get_executor(), tick(clock, Duration{60'000}, ticks));
  clock.run_until(io, kStart + std::chrono::days{7});
  EXPECT_EQ(ticks, 7 * 24 * 60);
}

template <class C>
std::string cancelled_sleep(asio::io_context& io, C& clock, TimePoint until) {
  asio::cancellation_signal stop;
  std::string seen = "still asleep";
  auto sleeper = [](Clock& c, TimePoint at) -> awaitable<void> { co_await c.sleep_until(at); };
  asio::co_spawn(io, sleeper(clock, until), asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr failure) {
                   try {
                     if (failure) std::rethrow_exception(failure);
                     seen = "woke";
                   } catch (const boost::system::system_error& error) {
                     seen = error.code() == asio::error::operation_aborted ? "cancelled" : error.what();
                   }
                 }));
  io.restart();
  io.poll();
  stop.emit(asio::cancellation_type::terminal);
  io.restart();
  io.poll();
  return seen;
}

TEST(VirtualClock, ACancelledSleeperThrowsAndIsForgotten) {
  VirtualClock clock(kStart);
  asio::io_context io;
  EXPECT_EQ(cancelled_sleep(io, clock, kStart + Duration{10}), "cancelled");
  EXPECT_EQ(clock.sleepers(), 0u);
}

TEST(VirtualClock, AnEndedLoopTakesItsSleepersWithIt) {
  VirtualClock clock(kStart);
  {
    asio::io_context io;
    int ticks = 0;
    spawn(io.get_executor(), tick(clock, Duration{10}, ticks));
    clock.run_for(io, Duration{100});
    EXPECT_EQ(clock.sleepers(), 1u);
  }
  EXPECT_EQ(clock.sleepers(), 0u);
}

TEST(SystemClock, ACancelledSleepThrows) {
  asio::io_context io;
  SystemClock clock(io.get_executor());
  EXPECT_EQ(cancelled_sleep(io, clock, clock.now() + Duration{3'600'000}), "cancelled");
}

TEST(SystemClock, WaitsForEverWithoutOverflow) {
  asio::io_context io;
  SystemClock clock(io.get_executor());
  EXPECT_EQ(cancelled_sleep(io, clock, TimePoint::max()), "cancelled");
}

TEST(SystemClock, IsNotEarlyAndNeverGoesBack) {
  asio::io_context io;
  SystemClock clock(io.get_executor());
  const TimePoint wanted = clock.now() + Duration{20};
  std::vector<std::string> log;
  spawn(io.get_executor(), note(clock, wanted, "x", log));
  io.run();
  EXPECT_GE(clock.now(), wanted);
  TimePoint last = clock.now();
  for (int i = 0; i < 10'000; ++i) {
    const TimePoint now = clock.now();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(SystemClock, StandsAtTheWallTime) {
  asio::io_context io;
  const SystemClock clock(io.get_executor());
  const auto wall = std::chrono::floor<Duration>(std::chrono::system_clock::now());
  EXPECT_LT(std::chrono::abs(clock.now() - wall), Duration{1'000});
}

TEST(SystemClock, WhatIsPastResumesOnlyAfterAPassOfTheExecutor) {
  asio::io_context io;
  SystemClock clock(io.get_executor());
  std::vector<std::string> log;
  for (const TimePoint past : {clock.now() - Duration{5'000}, TimePoint::min()}) {
    log.clear();
    spawn(io.get_executor(), note(clock, past, "x", log));
    EXPECT_TRUE(log.empty());
    io.restart();
    io.run();
    EXPECT_EQ(log.size(), 1u);
  }
}

}  // namespace
}  // namespace ebb
