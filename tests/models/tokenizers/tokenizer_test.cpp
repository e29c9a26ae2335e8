#include "models/tokenizers/tokenizer.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "tests/models/tokenizers/fixtures.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

using Ids = std::vector<int32_t>;

constexpr const char* kBert = R"({"type": "BertProcessing", "sep": ["[SEP]", 3],
    "cls": ["[CLS]", 2]})";
constexpr const char* kUncased = R"({"type": "BertNormalizer", "clean_text": true,
    "handle_chinese_chars": true, "strip_accents": null, "lowercase": true})";

TEST(Tokenizer, EncodeIdsAppendsAndSaysWhereThePairBegins) {
  const auto tokenizer = small_tokenizer("[]", kUncased, kBert);
  TokenizerScratch scratch;
  Ids ids = {77};
  uint32_t pair_begin = 0;
  tokenizer->encode_ids("AB, c", "abc", {}, scratch, ids, &pair_begin);
  EXPECT_EQ(ids, (Ids{77, 2, 7, 11, 10, 3, 7, 9, 3}));
  EXPECT_EQ(pair_begin, 5u);
  tokenizer->encode_ids("x", std::nullopt, {}, scratch, ids, &pair_begin);
  EXPECT_EQ(pair_begin, 3u);
  ids.clear();
  tokenizer->encode_ids("a", "b", {.add_special_tokens = false}, scratch, ids, &pair_begin);
  EXPECT_EQ(ids, (Ids{5, 6}));
  EXPECT_EQ(pair_begin, 1u);
}

TEST(Tokenizer, TextThatIsNotUtf8IsRefused) {
  for (const char* normalizer : {"null", kUncased}) {
    const auto tokenizer = small_tokenizer("[]", normalizer);
    TokenizerScratch scratch;
    Ids ids;
    EXPECT_HEDDLE_ERROR(tokenizer->encode("a \xc3"), ExitCode::kInput, "text is not UTF-8");
    EXPECT_HEDDLE_ERROR(tokenizer->encode_ids("a \xc3", {}, {}, scratch, ids), ExitCode::kInput,
                        "text is not UTF-8: byte 0xC3");
  }
}

TEST(Tokenizer, WithoutModelIsRefused) {
  EXPECT_INVALID(Tokenizer(Tokenizer::Parts{}), "[tokenizer] there is no model");
}

TEST(Tokenizer, DecodeLeavesOutUnknownIds) {
  const auto tokenizer = small_tokenizer();
  EXPECT_EQ(tokenizer->decode({5, 8, 99, -1, 12}), "ab.");
  EXPECT_EQ(tokenizer->id_to_token(8), "##b");
  EXPECT_EQ(tokenizer->id_to_token(99), std::nullopt);
  EXPECT_EQ(tokenizer->token_to_id("##x"), std::nullopt);
}

TEST(Tokenizer, CleanUpOfTheCheckpointIsFollowed) {
  TokenizerFiles files = {{"tokenizer.json", small_tokenizer_json()}};
  std::string& json = files["tokenizer.json"];
  json.replace(json.find("\"cleanup\": true"), 15, "\"cleanup\": false");
  EXPECT_EQ(load_tokenizer_from_files(files, "f")->decode({5, 12}), "a .");
  files["tokenizer_config.json"] = R"({"clean_up_tokenization_spaces": true})";
  EXPECT_EQ(load_tokenizer_from_files(files, "f")->decode({5, 12}), "a.");
}

TEST(Tokenizer, ExplainShowsEachStage) {
  const auto tokenizer =
      small_tokenizer(R"([{"content": "[MASK]", "id": 4, "special": true}])", kUncased, kBert);
  std::string all;
  for (const ExplainedStage& stage : tokenizer->explain("ABc[MASK] x", "b")) {
    all += stage.name + ": " + stage.text + "\n";
  }
  EXPECT_EQ(all,
            "text: ABc[MASK] x\nadded tokens: ABc | [MASK] |  x\nnormalized: abc |  x\n"
            "words: abc | [MASK] | x\ntokens: ab | ##c | [MASK] | [UNK]\n"
            "pair: b\nadded tokens: b\nnormalized: b\nwords: b\ntokens: b\n"
            "with specials: [CLS] | ab | ##c | [MASK] | [UNK] | [SEP] | b | [SEP]\n"
            "ids: 2 7 9 4 1 3 6 3\ntypes: 0 0 0 0 0 0 1 1\n"
            "decoded: [CLS] abc [MASK] [UNK] [SEP] b [SEP]\n");
}

// Texts that meet the fast way at its edges: blocks of 16 bytes, long words, controls, marks.
std::string random_text(std::mt19937& random) {
  static const std::vector<std::string> kParts = {"a",
                                                  "B",
                                                  "the",
                                                  "interpretable",
                                                  "Antidisestablishmentarianism",
                                                  "x",
                                                  "7",
                                                  "2024",
                                                  ",",
                                                  ".",
                                                  "'",
                                                  "[",
                                                  "]",
                                                  "[MASK]",
                                                  "\t",
                                                  "\n",
                                                  "\x01",
                                                  "\x7f",
                                                  "\u00e9",
                                                  "\u00c9",
                                                  "\u0301",
                                                  "\u4e2d",
                                                  "\u3000",
                                                  "\u00a0",
                                                  "\u0130",
                                                  "\U0001f600",
                                                  "ß",
                                                  "\u0085",
                                                  std::string(1, '\0'),
                                                  "zzzzzzzzzzzzzzz",
                                                  "Z"};
  std::string text;
  for (uint32_t i = random() % 40; i > 0; --i) {
    text += kParts[random() % kParts.size()];
    if (random() % 2 == 0) text += ' ';
    if (random() % 40 == 0) text.append(random() % 150, 'q');
  }
  return text;
}

TEST(Tokenizer, FastWayIsEqualToTheOtherWhateverTheScratchHolds) {
  const std::vector<std::shared_ptr<const Tokenizer>> tokenizers = {
      load_tokenizer(fixture("bert_uncased")), load_tokenizer(fixture("bert_cased")),
      load_tokenizer(fixture("bert_vocab_only_accents"))};
  std::mt19937 random(5);
  TokenizerScratch scratch;
  for (int i = 0; i < 1500; ++i) {
    const Tokenizer& tokenizer = *tokenizers[static_cast<size_t>(i / 100) % 3];
    const std::string text = random_text(random);
    const std::string second = random_text(random);
    std::optional<std::string_view> pair;
    if (i % 3 == 0) pair = second;
    EncodeOptions options;
    if (i % 2 == 0) options.max_length = 3 + static_cast<int>(random() % 30);
    if (i % 5 == 0) options.truncation_side = Side::kLeft;
    Ids ids;
    tokenizer.encode_ids(text, pair, options, scratch, ids);
    ASSERT_EQ(ids, tokenizer.encode(text, pair, options)[0].ids) << text << " + " << second;
  }
}

TEST(Tokenizer, ManyWordsGoThroughTheCaches) {
  const auto tokenizer = load_tokenizer(fixture("bert_cased"));
  TokenizerScratch scratch;
  for (int i = 0; i < 20000; ++i) {
    // More words than the caches hold, of every kind.
    const std::string text =
        fmt::format("w{} longerthansixteen{} \u00e9{}", i * 7919 % 20011, i, i);
    Ids ids;
    tokenizer->encode_ids(text, {}, {}, scratch, ids);
    if (i % 97 == 0) {
      ASSERT_EQ(ids, tokenizer->encode(text)[0].ids) << text;
    }
  }
}

TEST(Tokenizer, IsSharedByThreads) {
  const auto tokenizer = load_tokenizer(fixture("bert_cased"));
  std::vector<std::string> texts;
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) texts.push_back(random_text(random));
  std::vector<Ids> all(4);
  std::vector<std::thread> threads;
  for (Ids& ids : all) {
    threads.emplace_back([&] {
      TokenizerScratch scratch;
      for (const std::string& text : texts) tokenizer->encode_ids(text, {}, {}, scratch, ids);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(all[0].empty());
  for (const Ids& ids : all) EXPECT_EQ(ids, all[0]);
}

}  // namespace
}  // namespace heddle
