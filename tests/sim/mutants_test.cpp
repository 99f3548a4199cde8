// The simulator is worth what it finds: every deliberately broken build must be caught, and the unbroken one must live.
#include <gtest/gtest.h>

#include "tests/sim/mutant.hpp"
#include "tests/sim/run.hpp"

namespace ebb::sim {
namespace {

constexpr int kDays = 2;
constexpr std::uint64_t kSeeds = 40;
// In this life a replica starts too slowly while RL is frozen, which is rare.
constexpr std::uint64_t kSlowStartInAFreeze = 84;

class Mutant : public ::testing::TestWithParam<int> {
 protected:
  void TearDown() override { chosen_mutant = 0; }
};

TEST_P(Mutant, IsCaught) {
  chosen_mutant = GetParam();
  for (std::uint64_t i = 0; i <= kSeeds; ++i) {
    const std::uint64_t seed = i == 0 ? 1 : i == 1 ? kSlowStartInAFreeze : i;
    const RunReport report = run({seed, kDays});
    if (report.violation.empty()) continue;
    std::printf("seed %d: %s\n", static_cast<int>(seed), report.violation.c_str());
    return;
  }
  ADD_FAILURE() << "nobody noticed within " << kSeeds + 1 << " seeds of " << kDays << " days";
}

std::vector<int> numbers() {
  std::vector<int> out;
  for (std::size_t i = 1; i <= mutant_names().size(); ++i) out.push_back(static_cast<int>(i));
  return out;
}
INSTANTIATE_TEST_SUITE_P(All, Mutant, ::testing::ValuesIn(numbers()), [](const auto& instance) {
  return std::string(mutant_names()[static_cast<std::size_t>(instance.param) - 1]);
});

TEST(Simulator, TheUnbrokenBuildOfTheSameSourcesSurvives) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const RunReport report = run({seed, kDays});
    EXPECT_EQ(report.violation, "") << "seed " << seed << " at " << report.at << "\n" << report.story;
  }
}

TEST(Simulator, ASeedGivesTheSameRunEveryTime) {
  const RunReport once = run({7, 1}), again = run({7, 1});
  EXPECT_EQ(once.decisions, again.decisions);
  EXPECT_EQ(once.crashes, again.crashes);
  EXPECT_EQ(once.at, again.at);
}

}  // namespace
}  // namespace ebb::sim
