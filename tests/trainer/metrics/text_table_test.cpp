#include "trainer/metrics/text_table.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace heddle {
namespace {

TEST(TextTable, AlignsColumnsAndLeavesNoBlanksAtLineEnds) {
  TextTable table({{"metric", Align::kLeft}, {"value", Align::kRight}, {"note", Align::kLeft}});
  table.add({"accuracy", "0.9", ""});
  table.add({"f1", "0.12345", "best"});
  EXPECT_EQ(table.text(),
            "metric      value  note\n"
            "accuracy      0.9\n"
            "f1        0.12345  best\n");
}

TEST(TextTable, AlignsLettersOutsideAscii) {
  TextTable table({{"label", Align::kLeft}, {"n", Align::kRight}});
  table.add({"größer", "1"});
  table.add({"大きい", "2"});
  table.add({"e\u0301t\u00e9", "3"});
  EXPECT_EQ(table.text(),
            "label   n\n"
            "größer  1\n"
            "大きい  2\n"
            "e\u0301t\u00e9     3\n");
}

TEST(TextTable, WrongNumberOfCellsIsRefused) {
  TextTable table({{"a"}, {"b"}});
  try {
    table.add({"1"});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "[TextTable] 1 cells for 2 columns.");
  }
}

TEST(TextWidth, CountsColumnsAndNotBytes) {
  EXPECT_EQ(text_width("abc"), 3u);
  EXPECT_EQ(text_width("äöü"), 3u);
  EXPECT_EQ(text_width("日本"), 4u);
  EXPECT_EQ(text_width("😀"), 2u);
  EXPECT_EQ(text_width("\xFF"), 1u);
  EXPECT_EQ(text_width("a\xE2"), 2u);  // a character that is cut off
}

TEST(CutToWidth, CutsBetweenCharactersAndMarksTheCut) {
  EXPECT_EQ(cut_to_width("abcdef", 6), "abcdef");
  EXPECT_EQ(cut_to_width("abcdef", 4), "abc…");
  EXPECT_EQ(cut_to_width("日本語", 4), "日…");
  EXPECT_EQ(cut_to_width("abc", 0), "");
}

}  // namespace
}  // namespace heddle
