#include "models/tokenizers/encode.h"

#include <gtest/gtest.h>

#include "models/tokenizers/padding.h"
#include "tests/models/tokenizers/fixtures.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

using Lengths = std::pair<uint32_t, uint32_t>;
using Windows = std::vector<TextRange>;

TEST(Truncation, LongestFirstTakesFromTheLongerThenFromBoth) {
  const auto lengths = [](uint32_t first, uint32_t second, uint32_t room) {
    return truncated_lengths(first, second, room, Truncation::kLongestFirst);
  };
  EXPECT_EQ(lengths(3, 4, 7), (Lengths{3, 4}));
  EXPECT_EQ(lengths(2, 9, 7), (Lengths{2, 5}));
  EXPECT_EQ(lengths(9, 2, 7), (Lengths{5, 2}));
  EXPECT_EQ(lengths(9, 8, 7), (Lengths{4, 3}));
  EXPECT_EQ(lengths(8, 9, 7), (Lengths{3, 4}));
  EXPECT_EQ(lengths(9, 9, 1), (Lengths{0, 1}));
  EXPECT_EQ(lengths(9, 0, 7), (Lengths{7, 0}));
  EXPECT_EQ(lengths(9, 9, 0), (Lengths{0, 0}));
}

TEST(Truncation, OneSideOnlyFailsIfItIsTooShort) {
  EXPECT_EQ(truncated_lengths(9, 3, 7, Truncation::kOnlyFirst), (Lengths{4, 3}));
  EXPECT_EQ(truncated_lengths(3, 9, 7, Truncation::kOnlySecond), (Lengths{3, 4}));
  EXPECT_HEDDLE_ERROR(truncated_lengths(3, 9, 7, Truncation::kOnlyFirst), ExitCode::kInput,
                      "cannot be cut to 7 by taking tokens of the first only");
  EXPECT_HEDDLE_ERROR(truncated_lengths(9, 0, 7, Truncation::kOnlySecond), ExitCode::kInput,
                      "tokens of the second only");
}

TEST(Truncation, WindowsShareTheStride) {
  EXPECT_EQ(truncation_windows(7, 3, 1, Side::kRight), (Windows{{0, 3}, {2, 5}, {4, 7}}));
  EXPECT_EQ(truncation_windows(8, 3, 1, Side::kRight), (Windows{{0, 3}, {2, 5}, {4, 7}, {6, 8}}));
  EXPECT_EQ(truncation_windows(8, 3, 1, Side::kLeft), (Windows{{5, 8}, {3, 6}, {1, 4}, {0, 2}}));
  EXPECT_EQ(truncation_windows(3, 3, 9, Side::kRight), (Windows{{0, 3}}));
  EXPECT_EQ(truncation_windows(3, 0, 0, Side::kRight), (Windows{{0, 0}, {0, 3}}));
  EXPECT_HEDDLE_ERROR(truncation_windows(8, 3, 3, Side::kRight), ExitCode::kInput,
                      "a stride of 3 with room for 3 tokens never gets on");
}

SequenceTokens some_tokens(int32_t first, uint32_t count) {
  SequenceTokens tokens;
  for (uint32_t i = 0; i < count; ++i) {
    tokens.ids.push_back(first + static_cast<int32_t>(i));
    tokens.offsets.push_back({i, i + 1});
  }
  return tokens;
}

TEST(Assemble, PutsSpecialTokensAroundAPair) {
  const SequenceTokens first = some_tokens(10, 2);
  const SequenceTokens second = some_tokens(20, 1);
  const Encoding encoding = assemble(first, &second, Template::bert(1, 2), {.offsets = true})[0];
  EXPECT_EQ(encoding.ids, (std::vector<int32_t>{1, 10, 11, 2, 20, 2}));
  EXPECT_EQ(encoding.type_ids, (std::vector<uint8_t>{0, 0, 0, 0, 1, 1}));
  EXPECT_EQ(encoding.attention_mask, std::vector<uint8_t>(6, 1));
  EXPECT_EQ(encoding.offsets, (Windows{{0, 0}, {0, 1}, {1, 2}, {0, 0}, {0, 1}, {0, 0}}));
}

TEST(Assemble, WithoutWindowsGivesOneEncoding) {
  const SequenceTokens first = some_tokens(10, 5);
  EncodeOptions options{.max_length = 4};
  EXPECT_EQ(assemble(first, nullptr, Template::bert(1, 2), options).size(), 1u);
  options.windows = true;
  const auto windows = assemble(first, nullptr, Template::bert(1, 2), options);
  ASSERT_EQ(windows.size(), 3u);
  EXPECT_EQ(windows[2].ids, (std::vector<int32_t>{1, 14, 2}));
  EXPECT_TRUE(windows[2].offsets.empty());
}

TEST(Assemble, TooLittleRoomForSpecialTokensCutsNothing) {
  const SequenceTokens first = some_tokens(10, 5);
  const auto whole = assemble(first, nullptr, Template::bert(1, 2), {.max_length = 1});
  EXPECT_EQ(whole[0].ids.size(), 7u);
  const auto none = assemble(first, nullptr, Template::bert(1, 2), {.max_length = 2});
  EXPECT_EQ(none[0].ids, (std::vector<int32_t>{1, 2}));
}

TEST(Assemble, WrongOptionsAreRefused) {
  const SequenceTokens first = some_tokens(10, 5);
  const Template bert = Template::bert(1, 2);
  EXPECT_INVALID(assemble(first, nullptr, bert, {.max_length = -1}), "max_length is -1");
  EXPECT_INVALID(assemble(first, nullptr, bert, {.stride = -2}), "stride -2");
  EXPECT_HEDDLE_ERROR(
      assemble(first, nullptr, bert, {.max_length = 6, .windows = true, .stride = 5}),
      ExitCode::kInput, "a stride of 5 is more than the 4 tokens");
}

TEST(Pad, FillsEitherSide) {
  Encoding encoding{{7, 8}, {1, 1}, {1, 1}, {{0, 1}, {1, 2}}};
  Encoding left = encoding;
  pad(encoding, {.length = 3, .multiple_of = 4, .id = 9});
  EXPECT_EQ(encoding.ids, (std::vector<int32_t>{7, 8, 9, 9}));
  EXPECT_EQ(encoding.type_ids, (std::vector<uint8_t>{1, 1, 0, 0}));
  EXPECT_EQ(encoding.offsets.back(), TextRange{});
  pad(left, {.length = 3, .side = Side::kLeft});
  EXPECT_EQ(left.ids, (std::vector<int32_t>{0, 7, 8}));
  EXPECT_EQ(left.attention_mask, (std::vector<uint8_t>{0, 1, 1}));
  pad(left, {.length = 1});
  EXPECT_EQ(left.ids.size(), 3u);
  EXPECT_INVALID(pad(left, {.multiple_of = 0}), "multiple_of is 0. Expected at least 1");
}

}  // namespace
}  // namespace heddle
