#include "policies/registry.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace ebb {
namespace {

TEST(Registry, EveryNameMakesAPolicyOfThatName) {
  for (const auto name : capacity_policies()) EXPECT_EQ(make_capacity(name)->name(), name);
  for (const auto name : allocation_policies()) EXPECT_EQ(make_allocation(name)->name(), name);
  for (const auto name : growth_policies()) EXPECT_EQ(make_growth(name)->name(), name);
  for (const auto name : victim_policies()) EXPECT_EQ(make_victim(name)->name(), name);
}

TEST(Registry, NamesAreSortedAndHaveHelp) {
  for (const auto names : {capacity_policies(), allocation_policies(), growth_policies(), victim_policies()}) {
    EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
    for (const auto name : names) EXPECT_FALSE(policy_help(name).empty()) << name;
  }
}

TEST(Registry, AnUnknownNameMakesNothing) {
  EXPECT_EQ(make_capacity("no_such"), nullptr);
  EXPECT_EQ(make_allocation("fixed"), nullptr);
  EXPECT_EQ(make_growth("never"), nullptr);
  EXPECT_EQ(make_victim(""), nullptr);
}

}  // namespace
}  // namespace ebb
