#include "daemon/model/time.hpp"

#include <gtest/gtest.h>

namespace ebb {
namespace {

TEST(Time, IsoRoundTrips) {
  for (const std::int64_t ms : {std::int64_t{0}, std::int64_t{1}, std::int64_t{1'772'366'600'125},
                                std::int64_t{4'102'444'799'999}, std::int64_t{-1}}) {
    const TimePoint at{Duration{ms}};
    EXPECT_EQ(from_iso(to_iso(at)), at) << ms;
  }
  EXPECT_EQ(to_iso(TimePoint{Duration{1'772'366'600'125}}), "2026-03-01T12:03:20.125Z");
}

TEST(Time, IsoWithoutAFractionIsRead) { EXPECT_EQ(from_iso("1970-01-01T00:00:01Z"), TimePoint{Duration{1'000}}); }

TEST(Time, WhatIsNoIsoTimeIsRefused) {
  for (const char* text :
       {"", "2026-03-01", "2026-03-01T12:00:00", "2026-02-30T12:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T12:60:00Z",
        "2026-03-01T12:00:00.1Z", "2026-03-01T12:00:00Zx", "x026-03-01T12:00:00Z", "2026-13-01T12:00:00Z"}) {
    EXPECT_FALSE(from_iso(text)) << text;
  }
}

TEST(Duration, ReadsNumbersWithUnits) {
  EXPECT_EQ(duration_from("90s"), Duration{90'000});
  EXPECT_EQ(duration_from("1m30s"), Duration{90'000});
  EXPECT_EQ(duration_from("250ms"), Duration{250});
  EXPECT_EQ(duration_from("1.5h"), Duration{5'400'000});
  EXPECT_EQ(duration_from("2d"), Duration{172'800'000});
  EXPECT_EQ(duration_from("0"), Duration{0});
}

TEST(Duration, WhatIsNoDurationIsRefused) {
  for (const char* text :
       {"", "90", "s", "-5s", "5 s", "5x", "1e3s", "infs", "nans", "0x10s", "s5", "9999999999d", "5s3"}) {
    EXPECT_FALSE(duration_from(text)) << text;
  }
}

TEST(Duration, WritesWhatItReads) {
  for (const std::int64_t ms : {0, 1, 250, 1'000, 90'000, 3'600'000, 90'061'001}) {
    EXPECT_EQ(duration_from(to_text(Duration{ms})), Duration{ms}) << to_text(Duration{ms});
  }
  EXPECT_EQ(to_text(Duration{-1'500}), "-1s500ms");
}

}  // namespace
}  // namespace ebb
