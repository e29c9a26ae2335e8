#include "models/tokenizers/added_tokens.h"

#include <gtest/gtest.h>

#include "models/tokenizers/bert_normalizer.h"
#include "models/tokenizers/word_piece.h"
#include "tests/models/tokenizers/fixtures.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

const WordPiece& model() {
  static const WordPiece kModel(Vocabulary({{"[UNK]", 0}, {"a", 1}}), {});
  return kModel;
}

AddedTokens made_of(const std::vector<AddedToken>& tokens) {
  AddedTokens added;
  for (const AddedToken& token : tokens) added.add(token, model(), nullptr);
  added.build();
  return added;
}

// "|a|<e>" for the spans of a text, ids in front of added ones.
std::string spans_of(const AddedTokens& added, std::string_view text) {
  std::vector<AddedSpan> spans;
  added.split(text, spans);
  std::string out;
  for (const AddedSpan& span : spans) {
    if (span.id >= 0) out += std::to_string(span.id) + ":";
    out += std::string(text.substr(span.begin, span.end - span.begin)) + "|";
  }
  return out;
}

TEST(AddedTokens, IdsAreThoseOfTheModelOrGoOnBehindIt) {
  AddedTokens added;
  EXPECT_EQ(added.add({.content = "a"}, model(), nullptr), 1);
  EXPECT_EQ(added.add({.content = "x"}, model(), nullptr), 2);
  EXPECT_EQ(added.add({.content = "y"}, model(), nullptr), 3);
  EXPECT_EQ(added.add({.content = "x", .special = true}, model(), nullptr), 2);
  EXPECT_EQ(added.add({.content = ""}, model(), nullptr), -1);
  EXPECT_EQ(added.count_outside(model()), 2u);
  EXPECT_TRUE(added.is_special("x"));
  EXPECT_EQ(added.id("y"), 3);
  EXPECT_EQ(added.id("z"), std::nullopt);
}

TEST(AddedTokens, LeftmostThenLongestMatches) {
  const AddedTokens added = made_of({{.content = "<e", .normalized = false},
                                     {.content = "<e>", .normalized = false},
                                     {.content = "e>x", .normalized = false}});
  EXPECT_EQ(spans_of(added, "a<e>x<e"), "a|3:<e>|x|2:<e|");
  EXPECT_EQ(spans_of(added, "a e x"), "a e x|");
  EXPECT_EQ(spans_of(added, ""), "");
}

TEST(AddedTokens, StripTakesWhiteSpaceAlong) {
  const AddedTokens added = made_of({{.content = "<l>", .lstrip = true, .normalized = false},
                                     {.content = "<r>", .rstrip = true, .normalized = false}});
  EXPECT_EQ(spans_of(added, "a \u00a0<l> b"), "a|2: \u00a0<l>| b|");
  EXPECT_EQ(spans_of(added, "a <r>\u3000 b"), "a |3:<r>\u3000 |b|");
  EXPECT_EQ(spans_of(added, "<r>  <l>"), "3:<r>  |2:<l>|");
}

TEST(AddedTokens, SingleWordsStandBetweenOtherCharacters) {
  const AddedTokens added = made_of({{.content = "foo", .single_word = true, .normalized = false}});
  EXPECT_EQ(spans_of(added, "foo foos \u00e9foo foo\u0301 -foo-"),
            "2:foo| foos \u00e9foo foo\u0301 -|2:foo|-|");
}

TEST(AddedTokens, NormalizedOnesMatchNormalizedText) {
  const BertNormalizer normalizer({});
  AddedTokens added;
  added.add({.content = "F\u00d3O"}, model(), &normalizer);
  added.build();
  EXPECT_EQ(*added.shown(2), "foo");
  EXPECT_EQ(added.token(2)->content, "F\u00d3O");
  EXPECT_EQ(spans_of(added, "foo"), "foo|");
  std::vector<AddedSpan> spans;
  added.split_normalized(U"a foo", spans);
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(spans[1].id, 2);
  EXPECT_EQ(spans[1].begin, 2u);
}

TEST(AddedTokens, TokensThatCannotBeToldApartAreRefused) {
  const BertNormalizer normalizer({});
  AddedTokens alike;
  alike.add({.content = "Foo"}, model(), &normalizer);
  alike.add({.content = "foo"}, model(), &normalizer);
  EXPECT_INVALID(alike.build(), "the tokens with the ids 2 and 3 look alike");
  AddedTokens nothing;
  nothing.add({.content = "\u0301"}, model(), &normalizer);
  EXPECT_INVALID(nothing.build(), "the token with the id 2 is empty when normalized");
  AddedTokens broken;
  broken.add({.content = "\xff"}, model(), nullptr);
  EXPECT_INVALID(broken.build(), "byte 0 of a token is not UTF-8");
}

}  // namespace
}  // namespace heddle
