#include "config/text.hpp"

#include <gtest/gtest.h>

namespace ebb {
namespace {

TEST(Text, QuotingKeepsATerminalAndALineWhole) {
  EXPECT_EQ(in_quotes("plain"), "'plain'");
  EXPECT_EQ(in_quotes("a\nb\tc"), "'a\\nb\\tc'");
  EXPECT_EQ(in_quotes("\x1b[31m\x7f"), "'\\x1b[31m\\x7f'");
  EXPECT_EQ(in_quotes(std::string(80, 'x')), "'" + std::string(80, 'x') + "'");
  EXPECT_EQ(in_quotes(std::string(81, 'x')), "'" + std::string(80, 'x') + "...'");
}

TEST(Text, QuotingNeverCutsACharacterInTwo) {
  const std::string text = std::string(79, 'x') + "\xc3\xa9" + "yz";  // the 80th byte begins an e with an accent
  EXPECT_EQ(in_quotes(text), "'" + std::string(79, 'x') + "\xc3\xa9...'");
}

TEST(Text, AGuessIsMadeForOneSlipInAShortWordAndMoreInALongOne) {
  const std::vector<std::string> known{"api", "tick", "sample_interval", "mode"};
  EXPECT_EQ(nearest("tikc", known), "tick");
  EXPECT_EQ(nearest("tck", known), "tick");
  EXPECT_EQ(nearest("sampel_intervall", known), "sample_interval");
  EXPECT_EQ(nearest("abc", known), "") << "two of three letters differ";
  EXPECT_EQ(nearest("", known), "");
  EXPECT_EQ(nearest(std::string(100'000, 'a'), known), "");
}

TEST(Text, NumbersAreShownAsShortlyAsTheyReadBack) {
  EXPECT_EQ(shown(0.1), "0.1");
  EXPECT_EQ(shown(1), "1");
}

}  // namespace
}  // namespace ebb
