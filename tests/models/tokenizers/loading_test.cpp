#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "framework/io/file_system.h"
#include "tests/models/tokenizers/fixtures.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

std::shared_ptr<const Tokenizer> load(const TokenizerFiles& files) {
  return load_tokenizer_from_files(files, "folder");
}

// small_tokenizer_json with one stretch replaced.
std::string changed(const std::string& from, const std::string& to) {
  std::string text = small_tokenizer_json();
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

void expect_refused(const std::string& json, const std::string& fragment) {
  EXPECT_HEDDLE_ERROR(load({{"tokenizer.json", json}}), ExitCode::kInput, fragment);
  EXPECT_HEDDLE_ERROR(load({{"tokenizer.json", json}}), ExitCode::kInput, "folder/tokenizer.json");
}

TEST(LoadTokenizer, MissingFilesAreNamed) {
  EXPECT_HEDDLE_ERROR(load_tokenizer(fixture("none")), ExitCode::kInput,
                      "none: neither a folder with a tokenizer nor a file of one");
  EXPECT_HEDDLE_ERROR(load_tokenizer(fixture("")), ExitCode::kInput,
                      "neither tokenizer.json nor vocab.txt is there");
  EXPECT_HEDDLE_ERROR(load_tokenizer(fixture("none/vocab.txt")), ExitCode::kInput,
                      "none/vocab.txt");
}

TEST(LoadTokenizer, TakesOneFileToo) {
  const auto from_json = load_tokenizer(fixture("bert_cased/tokenizer.json"));
  const auto from_text = load_tokenizer(fixture("bert_cased/vocab.txt"));
  EXPECT_EQ(from_json->vocab_size(), 2000u);
  EXPECT_EQ(from_text->vocab_size(), 2000u);
  EXPECT_EQ(from_text->files().count("tokenizer_config.json"), 1u);
}

TEST(LoadTokenizer, PartsThatAreNotThereYetAreRefusedByName) {
  const std::string byte_level = R"({"type": "ByteLevel", "add_prefix_space": false})";
  expect_refused(small_tokenizer_json("[]", R"({"type": "NFC"})"), "not yet: normalizer 'NFC'");
  expect_refused(changed(R"({"type": "BertPreTokenizer"})", byte_level),
                 "not yet: pre_tokenizer 'ByteLevel'");
  expect_refused(small_tokenizer_json("[]", "null", byte_level),
                 "not yet: post_processor 'ByteLevel'");
  expect_refused(changed(R"({"type": "WordPiece", "prefix": "##", "cleanup": true})", byte_level),
                 "not yet: decoder 'ByteLevel'");
  expect_refused(changed(R"("type": "WordPiece", "unk_token")", R"("type": "BPE", "unk_token")"),
                 "not yet: model 'BPE'");
  try {
    load({{"tokenizer.json", small_tokenizer_json("[]", R"({"type": "NFC"})")}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "this version reads BertNormalizer");
  }
}

TEST(LoadTokenizer, ModelsOfOldFilesHaveNoType) {
  const std::string type = R"("type": "WordPiece", "unk_token")";
  EXPECT_EQ(load({{"tokenizer.json", changed(type, R"("unk_token")")}})->vocab_size(), 13u);
  expect_refused(changed(type, R"("merges": [], "unk_token")"), "not yet: model 'BPE'");
  expect_refused(R"({"model": {"vocab": [], "unk_id": 0}})", "not yet: model 'Unigram'");
  expect_refused(R"({"model": {"vocab": {}}})", "not yet: model 'WordLevel'");
}

TEST(LoadTokenizer, UnknownSettingsAreRefused) {
  expect_refused(changed(R"("cleanup": true)", R"("cleanup": true, "clenaup": 1)"),
                 "'decoder' has an unknown key 'clenaup'");
  expect_refused(changed(R"("version": "1.0")", R"("version": "2.0")"), "'version' is not known");
}

TEST(LoadTokenizer, BrokenVocabulariesAreRefused) {
  expect_refused(changed(R"("b": 6)", R"("b": 5)"), "tokens 'a' and 'b' have the same id 5");
  expect_refused(changed(R"("b": 6)", R"("a": 6)"), "token 'a' has two ids, 5 and 6");
  expect_refused(changed(R"("b": 6)", R"("b": -6)"), "'model.vocab.b' is (-6). Expected 0 to");
  expect_refused(changed(R"("b": 6)", R"("b": "6")"), "'model.vocab.b' is a string");
  expect_refused(changed("[UNK]\": 1", "[UNKNOWN]\": 1"), "the unknown token '[UNK]' is not in");
  expect_refused(R"({"model": {"type": "WordPiece", "vocab": ["a"]}})",
                 "'model.vocab' is no object of tokens and ids");
  expect_refused(changed(R"("b": 6)", "\"\xff\": 6"), "tokenizer.json:4:");
  expect_refused("{}", "has no key 'model'");
  expect_refused("", "tokenizer.json:1:1");
  expect_refused(std::string(1000, '['), "nested deeper than 64 levels");
}

TEST(LoadTokenizer, BrokenTemplatesAreRefused) {
  const auto with = [](const std::string& single, const std::string& pair) {
    return small_tokenizer_json(
        "[]", "null",
        R"({"type": "TemplateProcessing", "single": [)" + single + R"(], "pair": [)" + pair +
            R"(], "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},)"
            R"("[X]": {"id": "[X]", "ids": [99], "tokens": ["[X]"]}}})");
  };
  const auto sequence = [](const std::string& id, int type) {
    return R"({"Sequence": {"id": ")" + id + R"(", "type_id": )" + std::to_string(type) + "}}";
  };
  const auto special = [](const std::string& id) {
    return R"({"SpecialToken": {"id": ")" + id + R"(", "type_id": 0}})";
  };
  const std::string a = sequence("A", 0);
  const std::string ab = a + ", " + sequence("B", 1);
  EXPECT_EQ(load({{"tokenizer.json", with(special("[CLS]") + "," + a, ab)}})->added_specials(false),
            1);
  expect_refused(with(sequence("C", 0), ab), "names the sequence 'C'. Expected A or B.");
  expect_refused(with(ab, ab), "'post_processor.single' must hold sequence A once, and no B");
  expect_refused(with(a, a), "'post_processor.pair' must hold the sequences A and B once each");
  expect_refused(with(a, sequence("A", 1) + "," + sequence("B", 0)),
                 "'post_processor.pair' goes back from type 1 to type 0: not yet");
  expect_refused(with(a + "," + special("[CLS}"), ab), "has no key '[CLS}'");
  expect_refused(with(a + "," + special("[X]"), ab), "puts in the id 99, which no token has");
  expect_refused(small_tokenizer_json("[]", "null",
                                      R"({"type": "BertProcessing", "sep": ["[SEP]"], "cls": 2})"),
                 "'post_processor.cls' is not a token and its id");
}

TEST(LoadTokenizer, AddedTokensMustHaveTheIdsTheySay) {
  const auto token = [](const std::string& content, int id) {
    return R"([{"content": ")" + content + R"(", "normalized": false, "id": )" +
           std::to_string(id) + "}]";
  };
  EXPECT_EQ(small_tokenizer(token("<e>", 13))->token_to_id("<e>"), 13);
  expect_refused(small_tokenizer_json(token("<e>", 14)),
                 "the added token '<e>' says the id 14, but gets 13");
  expect_refused(small_tokenizer_json(token("a", 6)), "'a' says the id 6, but gets 5");
  expect_refused(
      small_tokenizer_json(R"([{"content": "Foo", "id": 13}, {"content": "foo", "id": 14}])",
                           R"({"type": "BertNormalizer", "clean_text": true, "lowercase": true,
                           "handle_chinese_chars": true, "strip_accents": null})"),
      "the tokens with the ids 13 and 14 look alike");
}

TEST(LoadTokenizer, ConfigurationNamesAndAddsTokens) {
  const auto tokenizer = load({{"tokenizer.json", small_tokenizer_json()},
                               {"tokenizer_config.json",
                                R"({"cls_token": {"content": "[CLS]"}, "bos_token": "<s>",
        "additional_special_tokens": ["<x>"], "model_max_length": 77,
        "added_tokens_decoder": {"13": {"content": "<y>", "special": true}}})"}});
  EXPECT_EQ(tokenizer->token_to_id("<y>"), 13);
  EXPECT_EQ(tokenizer->named_id("bos_token"), 14);
  EXPECT_EQ(tokenizer->token_to_id("<x>"), 15);
  EXPECT_EQ(tokenizer->cls_id(), 2);
  EXPECT_EQ(tokenizer->unk_id(), 1);
  EXPECT_EQ(tokenizer->pad_id(), 0);
  EXPECT_EQ(tokenizer->named_id("eos_token"), -1);
  EXPECT_EQ(tokenizer->model_max_length(), 77);
  EXPECT_EQ(tokenizer->vocab_size(), 16u);
  EXPECT_EQ(tokenizer->id_bound(), 16);
  EXPECT_TRUE(tokenizer->is_special(15));
  EXPECT_FALSE(tokenizer->is_special(5));
  EXPECT_EQ(tokenizer->decode({5, 14, 15, 13}, true), "a");
}

TEST(LoadTokenizer, BrokenConfigurationsAreRefused) {
  const auto with = [](const std::string& config) {
    return TokenizerFiles{{"tokenizer.json", small_tokenizer_json()},
                          {"tokenizer_config.json", config}};
  };
  EXPECT_HEDDLE_ERROR(load(with(R"({"added_tokens_decoder": {"x": {}}})")), ExitCode::kInput,
                      "'added_tokens_decoder' has the key 'x'. Expected an id.");
  EXPECT_HEDDLE_ERROR(load(with(R"({"split_special_tokens": true})")), ExitCode::kInput,
                      "'split_special_tokens' is true: not yet");
  EXPECT_HEDDLE_ERROR(load(with(R"({"cls_token": 5})")), ExitCode::kInput,
                      "folder/tokenizer_config.json: 'cls_token' is");
  EXPECT_HEDDLE_ERROR(load(with("{")), ExitCode::kInput, "folder/tokenizer_config.json:1:");
  EXPECT_EQ(load(with(R"({"model_max_length": 1e30})"))->model_max_length(), 0);
}

TEST(LoadVocabTxt, LinesAreTrimmedAndMissingSpecialsAdded) {
  const auto tokenizer = load({{"vocab.txt", "[UNK]\r\nhello \u00a0\r\n\n  x\n\n"}});
  EXPECT_EQ(tokenizer->token_to_id("hello"), 1);
  EXPECT_EQ(tokenizer->token_to_id("  x"), 3);
  EXPECT_EQ(tokenizer->token_to_id(""), 4);  // the last empty line counts
  EXPECT_EQ(tokenizer->vocab_size(), 8u);
  // As the reference: behind as many ids as there are tokens, in its order.
  EXPECT_EQ(tokenizer->sep_id(), 4);
  EXPECT_EQ(tokenizer->pad_id(), 5);
  EXPECT_EQ(tokenizer->cls_id(), 6);
  EXPECT_EQ(tokenizer->mask_id(), 7);
  EXPECT_EQ(tokenizer->encode("Hello [MASK] [mask]")[0].ids,
            (std::vector<int32_t>{6, 1, 7, 0, 0, 0, 4}));
}

TEST(LoadVocabTxt, OldFilesBesideItAreRead) {
  const auto tokenizer = load({{"vocab.txt", "[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\na\n"},
                               {"special_tokens_map.json", R"({"mask_token": "<mask>"})"},
                               {"added_tokens.json", R"({"<ent>": 6, "<mask>": 7})"}});
  EXPECT_EQ(tokenizer->token_to_id("<ent>"), 6);
  EXPECT_EQ(tokenizer->mask_id(), 7);
  EXPECT_TRUE(tokenizer->is_special(7));
  EXPECT_FALSE(tokenizer->is_special(6));
}

TEST(LoadVocabTxt, BrokenFilesAreRefused) {
  const auto with = [](const std::string& text, const std::string& config = "{}") {
    return TokenizerFiles{{"vocab.txt", text}, {"tokenizer_config.json", config}};
  };
  EXPECT_HEDDLE_ERROR(load(with("[UNK]\na\n\xff\n")), ExitCode::kInput,
                      "folder/vocab.txt:3: not UTF-8");
  EXPECT_HEDDLE_ERROR(load(with("[UNK]\na\nb\na \n")), ExitCode::kInput,
                      "folder/vocab.txt:4: the token 'a' was in line 2 already");
  EXPECT_HEDDLE_ERROR(load(with("a\nb\n")), ExitCode::kInput,
                      "the unknown token '[UNK]' is not among its 2 tokens");
  EXPECT_HEDDLE_ERROR(load(with("")), ExitCode::kInput, "is not among its 0 tokens");
  EXPECT_HEDDLE_ERROR(load(with("[UNK]\n", R"({"tokenizer_class": "GPT2Tokenizer"})")),
                      ExitCode::kInput, "not yet: tokenizer_class 'GPT2Tokenizer'");
}

// Whatever is left of a file: an error that names it, or a tokenizer, never a crash.
void expect_error_or_tokenizer(const TokenizerFiles& files, const std::string& name) {
  try {
    load(files)->encode("a b [MASK] \u4e2d");
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    EXPECT_EQ(error.code(), ExitCode::kInput);
  }
}

TEST(LoadTokenizer, TruncatedFilesAreErrorsAndNoCrash) {
  PosixFileSystem disk;
  for (const char* name : {"tokenizer.json", "vocab.txt"}) {
    const std::string whole = read_file(disk, fixture("bert_cased/") + name);
    for (size_t size = 0; size < whole.size(); size += 211) {
      expect_error_or_tokenizer({{name, whole.substr(0, size)}}, name);
    }
    EXPECT_HEDDLE_ERROR(load({{name, whole.substr(0, 3)}}), ExitCode::kInput, name);
  }
}

TEST(LoadTokenizer, FlippedBytesAreErrorsAndNoCrash) {
  const std::string whole = small_tokenizer_json(
      R"([{"content": "<e>", "id": 13}])", "null",
      R"({"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]})");
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const char byte : {'\0', '"', '}', '0', '9', '\\', '\xff'}) {
      std::string text = whole;
      text[at] = byte;
      expect_error_or_tokenizer({{"tokenizer.json", text}}, "tokenizer.json");
    }
  }
}

TEST(LoadTokenizer, FollowsLinksAsModelCachesHaveThem) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "linked_tokenizer";
  fs::remove_all(folder);
  fs::create_directories(folder);
  fs::create_symlink(fixture("bert_cased/tokenizer.json"), folder / "tokenizer.json");
  EXPECT_EQ(load_tokenizer(folder.string())->vocab_size(), 2000u);
}

}  // namespace
}  // namespace heddle
