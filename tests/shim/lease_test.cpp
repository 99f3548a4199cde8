#include "daemon/shim/lease.hpp"

#include "daemon/shim/layout.hpp"
#include "daemon/shim/process_info.hpp"

#include <gtest/gtest.h>

namespace ebb::shim {
namespace {

constexpr long long kTtl = 60'000;
constexpr long long kBoot = 1'000'000;

Order renewal(long long written_ms) { return Order{written_ms + kTtl, written_ms}; }

TEST(Lease, LapsesATimeToLiveAfterTheStartWhenNobodyRenews) {
  const Lease lease(kTtl, kBoot);
  EXPECT_FALSE(lease.lapsed(kBoot + kTtl - 1));
  EXPECT_TRUE(lease.lapsed(kBoot + kTtl));
}

TEST(Lease, LivesOnWhenRenewed) {
  Lease lease(kTtl, kBoot);
  lease.look(renewal(5'000), kBoot + 50'000, 5'000);
  // The look before was 50 s ago, so the renewal may be that old.
  EXPECT_EQ(lease.ends_at_ms(), kBoot + 60'000);
  lease.look(renewal(5'500), kBoot + 50'500, 5'500);
  EXPECT_EQ(lease.ends_at_ms(), kBoot + 50'500 + kTtl - 500);
}

TEST(Lease, IsNotRenewedByATextThatHasNotChanged) {
  Lease lease(kTtl, kBoot);
  lease.look(renewal(5'000), kBoot, 5'000);
  for (long long passed = 500; passed <= kTtl; passed += 500)
    lease.look(renewal(5'000), kBoot + passed, 5'000 + passed);
  EXPECT_TRUE(lease.lapsed(kBoot + kTtl));
}

TEST(Lease, StepsOfTheWallClockNeitherEndNorLengthenIt) {
  for (const long long wall_ms : {0LL, 5'000LL, 1'000'000'000'000LL}) {
    Lease lease(kTtl, kBoot);
    lease.look(renewal(5'000), kBoot + 100, wall_ms);
    EXPECT_EQ(lease.ends_at_ms(), kBoot + 100 + kTtl - 100) << wall_ms;
  }
}

TEST(Lease, IsNeverLongerThanTheTimeToLive) {
  Lease lease(kTtl, kBoot);
  lease.look(Order{9'000'000'000'000LL, std::nullopt}, kBoot, 5'000);
  EXPECT_EQ(lease.ends_at_ms(), kBoot + kTtl);
  lease.look(Order{9'000'000'000'000LL, 5'000}, kBoot, 5'000);
  EXPECT_EQ(lease.ends_at_ms(), kBoot + kTtl);
}

TEST(Lease, AShimThatWasStoppedDoesNotBelieveARenewalThatMayBeAsOldAsThat) {
  Lease lease(kTtl, kBoot);
  lease.look(std::nullopt, kBoot, 0);
  lease.look(renewal(5'000), kBoot + 3'600'000, 5'000);
  EXPECT_TRUE(lease.lapsed(kBoot + 3'600'000));
}

TEST(Lease, NonsenseRenewsNothing) {
  EXPECT_FALSE(order_from("soon").has_value());
  EXPECT_FALSE(order_from("").has_value());
  EXPECT_FALSE(order_from("99999999999999999999999").has_value());
  EXPECT_EQ(order_from("12 5\n"), (Order{12, 5}));
  EXPECT_EQ(order_from("12"), (Order{12, std::nullopt}));
}

TEST(FileName, CannotLeaveItsDirectoryAndComesBackAsItWas) {
  EXPECT_EQ(file_name("chat@main-12-0"), "chat@main-12-0");
  for (const std::string name :
       {"../../etc/passwd", "..", ".hidden", "MIG-GPU-1/2/0", "a%2Fb", "sp ace", "50%", "%4"}) {
    const std::string file = file_name(name);
    EXPECT_EQ(file.find('/'), std::string::npos) << file;
    EXPECT_NE(file.front(), '.') << file;
    EXPECT_EQ(name_of_file(file), name);
  }
}

TEST(ParseStat, ReadsPastANameThatLooksLikeFields) {
  const auto stat = parse_stat("42 (a) R 1 (x) S 7 42 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3");
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->pid, 42);
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->parent, 7);
  EXPECT_EQ(stat->group, 42);
  EXPECT_EQ(stat->session, 40);
  EXPECT_EQ(stat->start_ticks, 987654U);
  EXPECT_FALSE(parse_stat("42 (cut short) S 7").has_value());
}

TEST(JsonString, IsValidWhateverTheBytes) {
  EXPECT_EQ(json_string("a\"b\\c\n\xff\xc3\xa9\xed\xa0\x80"), "\"a\\\"b\\\\c??\xc3\xa9???\"");
}

}  // namespace
}  // namespace ebb::shim
