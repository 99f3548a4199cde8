#include "tests/emulators/common/tokens.hpp"

#include <gtest/gtest.h>

#include <set>

namespace ebb::emulator {
namespace {

TEST(Tokens, AreTheSameForTheSamePromptPositionAndWeights) {
  const TokenFunction a("tell me", "base");
  const TokenFunction b("tell me", "base");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.word(i), b.word(i));
}

TEST(Tokens, DifferWithPromptAndWithWeights) {
  const std::string text = TokenFunction("tell me", "base").text(20);
  EXPECT_NE(text, TokenFunction("tell me!", "base").text(20));
  EXPECT_NE(text, TokenFunction("tell me", "step-1").text(20));
}

// A client written in another language has this to check itself against: the function must never change unnoticed.
TEST(Tokens, AreThoseThatAreDocumented) { EXPECT_EQ(TokenFunction("tell me", "base").text(4), "rive vale vani kini"); }

TEST(Tokens, UseTheWholeVocabulary) {
  const TokenFunction tokens("x", "y");
  std::set<std::string> words;
  for (int i = 0; i < 10'000; ++i) words.insert(tokens.word(i));
  EXPECT_EQ(words.size(), 256u);
}

TEST(Tokens, PiecesJoinToTheText) {
  const TokenFunction tokens("a", "b");
  EXPECT_EQ(tokens.piece(0) + tokens.piece(1) + tokens.piece(2), tokens.text(3));
  EXPECT_EQ(tokens.piece(1).front(), ' ');
}

TEST(Tokens, CountsWords) {
  EXPECT_EQ(count_tokens("one  two\nthree\t"), 3);
  EXPECT_EQ(count_tokens(""), 1);
}

}  // namespace
}  // namespace ebb::emulator
