#include "config/time_zone.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "config/posix_zone.hpp"

namespace ebb {
namespace {

TimePoint utc(const char* text) { return from_iso(text).value(); }

TimeZone zone(const std::string& name) {
  Result<TimeZone> loaded = load_time_zone(name);
  EXPECT_TRUE(loaded) << (loaded ? "" : loaded.error().what);
  return loaded ? *loaded : TimeZone{};
}

double hours(const TimeZone& zone, const char* at) {
  return static_cast<double>(zone.offset_at(utc(at)).count()) / 3'600'000;
}

TEST(TimeZone, KnowsSummerTimeNowAndInTheFarFuture) {
  const TimeZone new_york = zone("America/New_York");
  EXPECT_EQ(hours(new_york, "2026-01-15T12:00:00Z"), -5);
  EXPECT_EQ(hours(new_york, "2026-07-15T12:00:00Z"), -4);
  EXPECT_EQ(hours(new_york, "2026-03-08T06:59:59Z"), -5);
  EXPECT_EQ(hours(new_york, "2026-03-08T07:00:00Z"), -4);
  EXPECT_EQ(hours(new_york, "2026-11-01T05:59:59Z"), -4);
  EXPECT_EQ(hours(new_york, "2026-11-01T06:00:00Z"), -5);
  EXPECT_EQ(hours(new_york, "2060-07-15T12:00:00Z"), -4) << "by the rule at the file's end";
  EXPECT_EQ(hours(new_york, "2100-12-31T12:00:00Z"), -5);
}

TEST(TimeZone, KnowsTheSouthHalfHoursAndZonesWithoutSummer) {
  EXPECT_EQ(hours(zone("Australia/Adelaide"), "2050-01-15T12:00:00Z"), 10.5);
  EXPECT_EQ(hours(zone("Australia/Adelaide"), "2050-07-15T12:00:00Z"), 9.5);
  EXPECT_EQ(hours(zone("Asia/Kolkata"), "2050-07-15T12:00:00Z"), 5.5);
  EXPECT_EQ(hours(zone("Etc/GMT+5"), "2026-07-15T12:00:00Z"), -5);
  EXPECT_EQ(hours(zone("Europe/Dublin"), "2050-07-15T12:00:00Z"), 1) << "its rule has winter as the exception";
  EXPECT_EQ(hours(zone("Europe/Dublin"), "2050-01-15T12:00:00Z"), 0);
}

TEST(TimeZone, UtcNeedsNoFile) {
  const Result<TimeZone> utc_zone = load_time_zone("UTC", "/no/such/directory");
  ASSERT_TRUE(utc_zone);
  EXPECT_EQ(hours(*utc_zone, "2026-07-15T12:00:00Z"), 0);
}

TEST(TimeZone, EveryZoneOfTheSystemIsRead) {
  int read = 0;
  for (const char* region : {"Africa", "America", "Asia", "Europe", "Pacific", "Etc"}) {
    for (const auto& entry : std::filesystem::directory_iterator(std::string(kZoneDirectory) + "/" + region)) {
      if (!entry.is_regular_file()) continue;
      const std::string name = std::string(region) + "/" + entry.path().filename().string();
      const TimeZone loaded = zone(name);
      EXPECT_TRUE(std::is_sorted(loaded.changes.begin(), loaded.changes.end(), [](const auto& a, const auto& b) {
        return a.from < b.from;
      })) << name;
      ++read;
    }
  }
  EXPECT_GT(read, 300);
}

TEST(TimeZone, WithoutZoneFilesItSaysWhatToInstall) {
  const Result<TimeZone> none = load_time_zone("Europe/Berlin", "/no/such/directory");
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().what.find("install tzdata"), std::string::npos) << none.error().what;
}

TEST(TimeZone, AFileThatIsCutShortIsRefusedAtEveryLength) {
  std::ifstream file(std::string(kZoneDirectory) + "/Europe/Berlin", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  ASSERT_TRUE(parse_zone_file(bytes, "Europe/Berlin"));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(parse_zone_file(std::string_view(bytes).substr(0, length), "Europe/Berlin")) << length;
  }
}

TEST(TimeZone, ADamagedFileDoesNoHarm) {
  std::ifstream file(std::string(kZoneDirectory) + "/Europe/Berlin", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x81);
    (void)parse_zone_file(damaged, "Europe/Berlin").ok();
  }
}

struct RuleRow {
  int line;
  const char* rule;
  bool reads;
};
constexpr RuleRow kRules[] = {
    {__LINE__, "CET-1CEST,M3.5.0,M10.5.0/3", true},
    {__LINE__, "<-03>3", true},
    {__LINE__, "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", true},
    {__LINE__, "XXX0YYY,J60,J300", true},
    {__LINE__, "XXX0YYY,0/0,J365/23", true},
    {__LINE__, "EST5EDT,M3.2.0/-167,M11.1.0/167", true},
    {__LINE__, "EST5EDT", false},
    {__LINE__, "EST", false},
    {__LINE__, "E5", false},
    {__LINE__, "EST5EDT,M13.2.0,M11.1.0", false},
    {__LINE__, "EST5EDT,M3.2.7,M11.1.0", false},
    {__LINE__, "EST5EDT,M3.2.0,M11.1.0x", false},
    {__LINE__, "<EST5EDT", false},
};

TEST(PosixZone, ReadsTheRulesThatThereAre) {
  for (const RuleRow& row : kRules) {
    EXPECT_EQ(changes_by_rule(row.rule, TimePoint{}, 1'980).has_value(), row.reads) << "row at line " << row.line;
  }
}

TEST(PosixZone, CountsDaysWithAndWithoutTheLeapDay) {
  const auto julian = changes_by_rule("XXX0YYY,J60/0,J300", utc("2024-01-01T00:00:00Z"), 2'024);
  ASSERT_TRUE(julian);
  EXPECT_EQ(julian->at(1).from, utc("2024-03-01T00:00:00Z"));
  const auto plain = changes_by_rule("XXX0YYY,59/0,300", utc("2024-01-01T00:00:00Z"), 2'024);
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->at(1).from, utc("2024-02-29T00:00:00Z"));
}

}  // namespace
}  // namespace ebb
