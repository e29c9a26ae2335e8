#include <gtest/gtest.h>

#include "models/tokenizers/bert_normalizer.h"
#include "models/tokenizers/bert_pre_tokenizer.h"
#include "models/tokenizers/unicode.h"
#include "models/tokenizers/words.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

AlignedText normalized(std::string_view text, BertNormalizer::Options options) {
  AlignedText aligned;
  AlignedText spare;
  decode_text(text, aligned);
  BertNormalizer(options).normalize(aligned, spare);
  return aligned;
}

constexpr BertNormalizer::Options kUncased{};
constexpr BertNormalizer::Options kCased{.strip_accents = false, .lowercase = false};
constexpr BertNormalizer::Options kAccents{.strip_accents = false};

TEST(BertNormalizer, DropsControlsAndMakesWhiteSpaceSpaces) {
  EXPECT_EQ(normalized("a\x01\tb\u00a0\u0085c\ufffd\u200b", kCased).chars, U"a b c");
}

TEST(BertNormalizer, PutsSpacesAroundIdeographs) {
  const AlignedText text = normalized("a\u4e2db", kCased);
  EXPECT_EQ(text.chars, U"a \u4e2d b");
  EXPECT_EQ(text.source[1], (TextRange{1, 2}));
  EXPECT_EQ(text.source[3], (TextRange{1, 2}));
  EXPECT_EQ(normalized("\U0002b820\U0002b920", kCased).chars, U"\U0002b820 \U0002b920 ");
}

TEST(BertNormalizer, StripsAccentsAndKeepsTheWayBack) {
  const AlignedText text = normalized("\u00c9t\u00e9!", kUncased);
  EXPECT_EQ(text.chars, U"ete!");
  EXPECT_EQ(text.source[2], (TextRange{2, 3}));
  EXPECT_EQ(text.source[3], (TextRange{3, 4}));
}

TEST(BertNormalizer, MarksAreReorderedBeforeTheyAreCounted) {
  // U+302E stays and moves before U+0301, whose place it then has.
  const AlignedText text = normalized("a\u0301\u302eb", kUncased);
  EXPECT_EQ(text.chars, U"a\u302eb");
  EXPECT_EQ(text.source[1], (TextRange{1, 2}));
  EXPECT_EQ(text.source[2], (TextRange{3, 4}));
}

TEST(BertNormalizer, LowerCaseOfDottedIHasTwoCharacters) {
  const AlignedText text = normalized("\u0130x", kAccents);
  EXPECT_EQ(text.chars, U"i\u0307x");
  EXPECT_EQ(text.source[1], (TextRange{0, 1}));
}

TEST(BertNormalizer, HangulIsDecomposed) {
  EXPECT_EQ(normalized("\uac01", kUncased).chars, U"\u1100\u1161\u11a8");
}

TEST(BertPreTokenizer, PunctuationStandsAlone) {
  AlignedText text;
  decode_text(" can't  stop\u3002x ", text);
  std::vector<TextRange> words;
  BertPreTokenizer().split(text, words);
  EXPECT_EQ(words, (std::vector<TextRange>{{1, 4}, {4, 5}, {5, 6}, {8, 12}, {12, 13}, {13, 14}}));
}

TEST(Unicode, CategoriesAreThoseOfUnicode8) {
  EXPECT_TRUE(is_punctuation(U'$'));
  EXPECT_TRUE(is_punctuation(0x2E42));
  EXPECT_FALSE(is_punctuation(0x2E43));  // Unicode 9
  EXPECT_TRUE(is_punctuation(0x166D));   // no longer since Unicode 12
  EXPECT_TRUE(is_nonspacing_mark(0x1734));
  EXPECT_FALSE(is_nonspacing_mark(0x1885));
  EXPECT_TRUE(is_other(0xE000));
  EXPECT_FALSE(is_other(0x378));  // not assigned
}

TEST(Unicode, LowerCaseIsRecent) {
  EXPECT_EQ(lower_case(U'\u00c4').first, U'\u00e4');
  EXPECT_EQ(lower_case(0x1C89).first, char32_t{0x1C8A});
  EXPECT_EQ(lower_case(0xA7CB).first, char32_t{0x264});
  EXPECT_EQ(lower_case(0xA7DC).first, char32_t{0x19B});
  EXPECT_EQ(lower_case(0x10D50).first, char32_t{0x10D70});
  EXPECT_EQ(lower_case(0x16EA0).first, char32_t{0x16EBB});
  EXPECT_EQ(lower_case(0x4E00).first, char32_t{0x4E00});
}

TEST(Unicode, WordCharactersAreRecent) {
  for (const char32_t c : {char32_t{'_'}, char32_t{'7'}, char32_t{0x301}, char32_t{0x13547}}) {
    EXPECT_TRUE(is_word_character(c)) << static_cast<uint32_t>(c);
  }
  EXPECT_FALSE(is_word_character(U'-'));
}

TEST(Unicode, TextThatIsNotUtf8IsNoCodePoint) {
  for (const char* bytes : {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe4\xb8"}) {
    size_t at = 0;
    EXPECT_EQ(next_code_point(bytes, at), std::nullopt);
    EXPECT_EQ(at, 0u);
  }
  for (const char32_t c : {0x24, 0xA2, 0x20AC, 0x10348, 0x10FFFF}) {
    std::string text;
    append_utf8(c, text);
    size_t at = 0;
    EXPECT_EQ(next_code_point(text, at), c);
    EXPECT_EQ(at, text.size());
    EXPECT_EQ(count_code_points(text), 1u);
  }
}

TEST(Words, TextThatIsNotUtf8IsRefused) {
  AlignedText text;
  EXPECT_HEDDLE_ERROR(decode_text("ab\xff", text), ExitCode::kInput,
                      "text is not UTF-8: byte 0xFF after 2 characters");
}

}  // namespace
}  // namespace heddle
