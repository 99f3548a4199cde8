#include "daemon/ctl/table.hpp"

#include <gtest/gtest.h>

#include "daemon/ctl/client.hpp"

namespace ebb::ctl {
namespace {

TEST(Table, AlignsColumnsAndLeavesNoTrailingSpace) {
  Table table({"NAME", ">COUNT", "NOTE"}, false);
  table.row({"a", "7", ""});
  table.row({"longer", "1234", "x"});
  EXPECT_EQ(table.text("none"),
            "NAME    COUNT  NOTE\n"
            "a           7\n"
            "longer   1234  x\n");
}

TEST(Colours, OnATerminalUnlessSomebodySaidNo) {
  EXPECT_TRUE(wants_colours(true, nullptr));
  EXPECT_TRUE(wants_colours(true, "")) << "set to nothing is not set";
  EXPECT_FALSE(wants_colours(true, "1"));
  EXPECT_FALSE(wants_colours(false, nullptr));
}

TEST(Table, SaysWhenItIsEmpty) { EXPECT_EQ(Table({"A"}, false).text("no pools"), "no pools\n"); }

TEST(Table, CountsColumnsRatherThanBytes) {
  EXPECT_EQ(display_width("müller"), 6u);
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(display_width("e\u0301"), 1u);
  EXPECT_EQ(display_width("\xff"), 1u);
  Table table({"A", "B"}, false);
  table.row({"日本", "1"});
  table.row({"müll", "2"});
  EXPECT_EQ(table.text(""), "A     B\n日本  1\nmüll  2\n");
}

TEST(Table, ColoursDoNotShiftColumns) {
  Table table({"A", "B"}, true);
  table.row({Cell("x", Colour::bad), "1"});
  EXPECT_EQ(table.text(""), "\033[2mA\033[0m  \033[2mB\033[0m\n\033[1;31mx\033[0m  1\n");
}

TEST(Harmless, TakesAwayWhatMovesTheCursor) {
  EXPECT_EQ(harmless("a\033[2Jb\nc\x7f"), "a [2Jb c ");
  EXPECT_EQ(harmless("a\xc2\x9b\x31m"), "a 1m") << "a C1 control is an escape sequence too";
  EXPECT_EQ(harmless("\xff\xc0\x80ok"), "???ok");
  EXPECT_EQ(harmless("naïve 日本 😀"), "naïve 日本 😀");
  EXPECT_EQ(harmless("\xed\xa0\x80"), "???") << "half of a surrogate pair";
}

TEST(PercentEncoding, LeavesNothingThatCouldEndASegment) {
  EXPECT_EQ(percent_encoded("rl@p/../x?y#z é"), "rl%40p%2F..%2Fx%3Fy%23z%20%C3%A9");
}

}  // namespace
}  // namespace ebb::ctl
