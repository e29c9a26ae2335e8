#include "models/tokenizers/word_piece.h"

#include <gtest/gtest.h>

#include "models/tokenizers/vocab_scanner.h"
#include "models/tokenizers/word_piece_decoder.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

std::vector<int32_t> ids_of(const WordPiece& model, std::string_view word) {
  std::vector<Piece> pieces;
  model.tokenize(word, pieces);
  std::vector<int32_t> ids;
  for (const Piece& piece : pieces) ids.push_back(piece.id);
  return ids;
}

WordPiece small_model(size_t longest_word = 100) {
  return WordPiece(Vocabulary({{"[UNK]", 0},
                               {"un", 1},
                               {"##aff", 2},
                               {"##able", 3},
                               {"##a", 4},
                               {"unaff", 5},
                               {"\u00e9", 6},
                               {"##\u00e9", 7},
                               {"##\xc3", 8}}),
                   {.longest_word = longest_word});
}

using Ids = std::vector<int32_t>;

TEST(WordPiece, TakesTheLongestPieceFirst) {
  EXPECT_EQ(ids_of(small_model(), "unaffable"), (Ids{5, 3}));
  EXPECT_EQ(ids_of(small_model(), "una"), (Ids{1, 4}));
}

TEST(WordPiece, OneMissMakesTheWholeWordUnknown) {
  EXPECT_EQ(ids_of(small_model(), "unaffablex"), Ids{0});
  EXPECT_EQ(ids_of(small_model(), "x"), Ids{0});
}

TEST(WordPiece, PiecesEndWhereCharactersDo) {
  EXPECT_EQ(ids_of(small_model(), "\u00e9\u00e9"), (Ids{6, 7}));
  std::vector<Piece> pieces;
  small_model().tokenize("un\u00e9", pieces);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces[1].begin, 2u);
  EXPECT_EQ(pieces[1].end, 4u);
}

TEST(WordPiece, LengthIsCountedInCharacters) {
  EXPECT_EQ(ids_of(small_model(3), "\u00e9\u00e9\u00e9"), (Ids{6, 7, 7}));
  EXPECT_EQ(ids_of(small_model(2), "\u00e9\u00e9\u00e9"), Ids{0});
}

TEST(WordPiece, MissingUnknownTokenIsRefused) {
  EXPECT_INVALID(WordPiece(Vocabulary({{"a", 0}}), {}), "'[UNK]' is not in the vocabulary of 1");
}

TEST(Vocabulary, GapsAndOrderDoNotMatter) {
  const Vocabulary vocabulary({{"c", 30}, {"a", 10}, {"", 12}});
  EXPECT_EQ(vocabulary.id("c"), 30);
  EXPECT_EQ(vocabulary.id(""), 12);
  EXPECT_EQ(vocabulary.id("b"), std::nullopt);
  EXPECT_EQ(vocabulary.token(10), "a");
  EXPECT_EQ(vocabulary.token(12), "");
  for (const int32_t id : {-1, 0, 1, 11, 31}) EXPECT_EQ(vocabulary.token(id), std::nullopt) << id;
  EXPECT_EQ(vocabulary.id_bound(), 31);
  EXPECT_EQ(Vocabulary().id("a"), std::nullopt);
}

TEST(Vocabulary, DuplicatesAreRefused) {
  EXPECT_INVALID(Vocabulary({{"a", 1}, {"b", 1}}), "tokens 'a' and 'b' have the same id 1");
  EXPECT_INVALID(Vocabulary({{"a", 1}, {"a", 2}}), "token 'a' has two ids, 1 and 2");
  EXPECT_INVALID(Vocabulary({{"a", -1}}), "has the id -1. Expected at least 0");
}

TEST(VocabScanner, ReadsEscapesAndLeavesTheRest) {
  const auto found = scan_model_vocab(
      R"({"x": ["}", {"model": 1}], "model": {"a": "\"", "vocab": {"\u00e9": 0, "\"\\\/\n": 1,)"
      R"( "\ud83d\ude00": 2, "z": 30}, "b": 2}})");
  ASSERT_TRUE(found.has_value());
  ASSERT_EQ(found->tokens.size(), 4u);
  EXPECT_EQ(found->tokens[0].text, "\u00e9");
  EXPECT_EQ(found->tokens[1].text, "\"\\/\n");
  EXPECT_EQ(found->tokens[2].text, "\U0001f600");
  EXPECT_EQ(found->tokens[3].id, 30);
  EXPECT_EQ(found->rest,
            R"({"x": ["}", {"model": 1}], "model": {"a": "\"", "vocab": {}, "b": 2}})");
}

TEST(VocabScanner, LeavesMistakesToTheStrictParser) {
  for (const char* vocab :
       {R"({"a": -1})", R"({"a": 01})", R"({"a": 1.5})", R"({"a": "b"})", R"({"a": 1,})",
        R"({"a" 1})", R"({"\ud83d": 1})", R"({"\ude00": 1})", R"({"\u12g4": 1})", R"({"\x": 1})",
        R"([1])", "{\"a\nb\": 1}", "{\"\xff\": 1}", R"({"a": 2147483647})"}) {
    const std::string text = std::string(R"({"model": {"vocab": )") + vocab + "}}";
    EXPECT_FALSE(scan_model_vocab(text).has_value()) << vocab;
  }
  EXPECT_FALSE(scan_model_vocab("").has_value());
  EXPECT_FALSE(scan_model_vocab(R"({"vocab": {"model": 1}})").has_value());
}

TEST(WordPieceDecoder, JoinsPiecesAndTakesSpacesBack) {
  const WordPieceDecoder decoder("##", true);
  EXPECT_EQ(decoder.decode({"un", "##aff", "can", "##'", ".", "do", "n't"}), "unaff can'. don't");
  EXPECT_EQ(decoder.decode({"##a", "b"}), "##a b");
  EXPECT_EQ(WordPieceDecoder("##", false).decode({"a", "."}), "a .");
  EXPECT_EQ(decoder.decode({}), "");
}

TEST(WordPieceDecoder, CleanUpWorksOnTheWholeText) {
  EXPECT_EQ(clean_up_spaces("it 's a ' b , c . do not"), "it's a'b, c. do not");
}

}  // namespace
}  // namespace heddle
