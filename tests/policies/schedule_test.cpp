#include "policies/capacity/schedule.hpp"

#include <gtest/gtest.h>

#include "tests/policies/probe.hpp"

namespace ebb::testing {
namespace {

// 2026-03-01 is a Sunday.
constexpr double kHour = 3'600, kDay = 86'400;
constexpr double kMonday = kDay;

/// An hour east of UTC, two from 2026-03-29 01:00 UTC on, as in Berlin.
TimeZone berlin() {
  const TimePoint summer{std::chrono::sys_days{std::chrono::year{2026} / 3 / 29} + std::chrono::hours{1}};
  const TimePoint winter{std::chrono::sys_days{std::chrono::year{2026} / 10 / 25} + std::chrono::hours{1}};
  return {"Europe/Berlin", std::chrono::hours{1}, {{summer, std::chrono::hours{2}}, {winter, std::chrono::hours{1}}}};
}

Probe probe_of(std::vector<Schedule::Window> windows, TimeZone zone = {}) {
  return {std::make_shared<Schedule>(std::move(windows), std::move(zone), Replicas{1})};
}

TEST(Schedule, OpensAtFromAndClosesAtTo) {
  Probe probe = probe_of({{{"mon-fri"}, "08:00", "20:00", Replicas{10}}});
  EXPECT_EQ(probe.need_of(kMonday + 8 * kHour - 1, {}), 1);
  EXPECT_EQ(probe.need_of(kMonday + 8 * kHour, {}), 10);
  EXPECT_EQ(probe.need_of(kMonday + 20 * kHour - 1, {}), 10);
  EXPECT_EQ(probe.need_of(kMonday + 20 * kHour, {}), 1);
  EXPECT_EQ(probe.need_of(9 * kHour, {}), 1) << "Sunday";
  EXPECT_TRUE(probe.last.known);
}

TEST(Schedule, TheLargestOfOverlappingWindowsCounts) {
  Probe probe = probe_of({{{"mon"}, "08:00", "20:00", Replicas{10}},
                          {{"mon-sun"}, "12:00", "13:00", Replicas{30}},
                          {{"mon"}, "12:00", "14:00", Replicas{20}}});
  EXPECT_EQ(probe.need_of(kMonday + 12.5 * kHour, {}), 30);
  EXPECT_EQ(probe.need_of(kMonday + 13.5 * kHour, {}), 20);
  EXPECT_EQ(probe.need_of(kMonday + 14.5 * kHour, {}), 10);
}

TEST(Schedule, AWindowPastMidnightBelongsToTheDayItOpened) {
  Probe probe = probe_of({{{"sun"}, "22:00", "06:00", Replicas{7}}});
  EXPECT_EQ(probe.need_of(23 * kHour, {}), 7);
  EXPECT_EQ(probe.need_of(kMonday + 5 * kHour, {}), 7) << "still Sunday's";
  EXPECT_EQ(probe.need_of(kMonday + 6 * kHour, {}), 1);
  EXPECT_EQ(probe.need_of(kMonday + 23 * kHour, {}), 1) << "Monday has none";
}

TEST(Schedule, ARangeOfDaysMayRunOverTheWeekend) {
  Probe probe = probe_of({{{"sat-mon"}, "00:00", "24:00", Replicas{5}}});
  EXPECT_EQ(probe.need_of(-1, {}), 5) << "the last second of Saturday";
  EXPECT_EQ(probe.need_of(kMonday + kDay - 1, {}), 5);
  EXPECT_EQ(probe.need_of(kMonday + kDay, {}), 1) << "Tuesday";
}

TEST(Schedule, FollowsTheClockOnTheWallThroughSummerTime) {
  Probe probe = probe_of({{{"mon-sun"}, "08:00", "20:00", Replicas{10}}}, berlin());
  const double saturday = 27 * kDay, sunday = 28 * kDay;
  EXPECT_EQ(probe.need_of(saturday + 7 * kHour - 1, {}), 1);
  EXPECT_EQ(probe.need_of(saturday + 7 * kHour, {}), 10) << "08:00 is 07:00 UTC in winter";
  EXPECT_EQ(probe.need_of(sunday + 6 * kHour - 1, {}), 1);
  EXPECT_EQ(probe.need_of(sunday + 6 * kHour, {}), 10) << "and 06:00 UTC in summer";
}

TEST(Schedule, AWindowThatBeginsInTheLostHourOpensWhenItEnds) {
  Probe probe = probe_of({{{"sun"}, "02:30", "04:00", Replicas{10}}}, berlin());
  const double sunday = 28 * kDay;
  EXPECT_EQ(probe.need_of(sunday + kHour - 1, {}), 1) << "01:59:59 on the wall";
  EXPECT_EQ(probe.need_of(sunday + kHour, {}), 10) << "03:00:00 on the wall";
}

TEST(Schedule, WithoutWindowsItIsOtherwise) {
  Probe probe = probe_of({});
  EXPECT_EQ(probe.need_of(0, {}), 1);
  EXPECT_TRUE(probe.said("need.schedule"));
}

TEST(Schedule, SaysWhichWindowCannotBeRead) {
  const Schedule schedule({{{"mon"}, "08:00", "20:00", Replicas{1}},
                           {{"mon-fry"}, "8:00", "24:01", Replicas{1}},
                           {{}, "08:00", "08:00", Replicas{1}}},
                          {}, Replicas{1});
  std::vector<std::string> options;
  for (const OptionProblem& problem : schedule.problems()) options.push_back(problem.option);
  EXPECT_EQ(options, (std::vector<std::string>{"windows[1].days", "windows[1].from", "windows[1].to", "windows[2].days",
                                               "windows[2].to"}));
}

}  // namespace
}  // namespace ebb::testing
