#include "datasets/tokenized_dataset.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/framework/io/scratch.h"
#include "tests/support/faulty_file_system.h"

namespace heddle {
namespace {

// Ids are bytes; a text of more than `most` becomes windows of that many.
MakeRowTokenizer bytes_as_ids(size_t most = 1000) {
  return [most] {
    return [most](std::string_view text, std::optional<std::string_view> pair, TokenWindows& out) {
      if (text == "uncuttable") throw Error(ExitCode::kInput, "cannot be cut", "a hint");
      for (size_t begin = 0; begin < text.size(); begin += most) {
        const std::string_view part = text.substr(begin, most);
        for (const char c : part) out.ids.push_back(static_cast<unsigned char>(c));
        for (const char c : pair.value_or("")) out.ids.push_back(static_cast<unsigned char>(c));
        out.end_window(static_cast<uint32_t>(part.size()));
      }
    };
  };
}

class TokenizedDatasetTest : public testing::Test {
 protected:
  TokenizedSource source_of(const std::string& name, const std::string& content) {
    return {.data = {.paths = {scratch_.write(name, content)}, .text = "text", .label = "label"},
            .label_kind = LabelKind::kIndex,
            .labels = LabelSet({"no", "yes"}),
            .make_tokenizer = bytes_as_ids(),
            .tokenizer_fingerprint = "bytes",
            .id_bound = 256};
  }
  TokenizedDataset build_and_open(const TokenizedSource& source, int threads = 2) {
    ThreadPool pool(threads);
    const std::string key = TokenizedDataset::key(files_, source);
    TokenizedDataset::build(files_, path_, key, source, pool);
    EXPECT_TRUE(TokenizedDataset::is_valid(files_, path_, key));
    return TokenizedDataset::open(files_, path_, key);
  }
  static std::string text_of(const TokenizedDataset& data, int64_t i) {
    std::string text;
    for (const int32_t id : data.ids(i)) text += static_cast<char>(id);
    return text;
  }

  Scratch scratch_;
  PosixFileSystem files_;
  std::string path_ = scratch_.path("cache.tokens");
};

TEST_F(TokenizedDatasetTest, HoldsWhatTheFileHolds) {
  const TokenizedDataset data =
      build_and_open(source_of("a.tsv", "text\tlabel\nabc\tyes\nde\tno\n"));
  ASSERT_EQ(data.size(), 2);
  EXPECT_EQ(data.rows(), 2);
  EXPECT_EQ(data.tokens(), 5);
  EXPECT_EQ(data.ids(0), (std::vector<int32_t>{'a', 'b', 'c'}));
  EXPECT_EQ(data.length(1), 2);
  EXPECT_EQ(data.pair_begin(1), 2);
  EXPECT_EQ(data.row(1), 1);
  EXPECT_EQ(data.label_index(0), 1);
  EXPECT_EQ(data.label_index(1), 0);
  EXPECT_EQ(data.label_kind(), LabelKind::kIndex);
  PackedSequences batch;
  data.add_to(batch, 1);
  data.add_to(batch, 0);
  EXPECT_EQ(batch.ids, (std::vector<int32_t>{'d', 'e', 'a', 'b', 'c'}));
  EXPECT_EQ(batch.samples, (std::vector<int64_t>{1, 0}));
}

TEST_F(TokenizedDatasetTest, ManyRowsAreTheSameWithAnyNumberOfThreads) {
  std::string text = "text\tpair\tlabel\n";
  for (int i = 0; i < 10'000; ++i) {
    text += fmt::format("row {}\t{}\t{}\n", i, i % 13, i % 3 == 0 ? "yes" : "no");
  }
  TokenizedSource source = source_of("a.tsv", text);
  source.data.pair = "pair";
  std::vector<std::string> contents;
  for (const int threads : {1, 3}) {
    const TokenizedDataset data = build_and_open(source, threads);
    ASSERT_EQ(data.size(), 10'000);
    for (int64_t i = 0; i < data.size(); i += 37) {
      const std::string row = fmt::format("row {}", i);
      ASSERT_EQ(text_of(data, i), fmt::format("{}{}", row, i % 13));
      ASSERT_EQ(data.pair_begin(i), static_cast<int64_t>(row.size()));
      ASSERT_EQ(data.label_index(i), i % 3 == 0 ? 1 : 0);
    }
    contents.push_back(read_file(files_, path_));
  }
  EXPECT_EQ(contents[0], contents[1]);
}

TEST_F(TokenizedDatasetTest, LongTextsBecomeWindowsOfTheirRow) {
  TokenizedSource source = source_of("a.tsv", "text\tlabel\nabcdefg\tyes\nxy\tno\nhijk\tyes\n");
  source.make_tokenizer = bytes_as_ids(3);
  const TokenizedDataset data = build_and_open(source);
  ASSERT_EQ(data.size(), 6);
  EXPECT_EQ(data.rows(), 3);
  std::vector<int64_t> rows;
  std::string texts;
  for (int64_t i = 0; i < data.size(); ++i) {
    rows.push_back(data.row(i));
    texts += text_of(data, i) + fmt::format("{} ", data.label_index(i));
  }
  EXPECT_EQ(rows, (std::vector<int64_t>{0, 0, 0, 1, 2, 2}));
  EXPECT_EQ(texts, "abc1 def1 g1 xy0 hij1 k1 ");
}

TEST_F(TokenizedDatasetTest, KeepsEveryKindOfLabel) {
  TokenizedSource source = source_of("a.tsv", "text\tlabel\na\tno|yes\nb\t\n");
  source.label_kind = LabelKind::kMultiHot;
  const TokenizedDataset multi = build_and_open(source);
  EXPECT_EQ(multi.label_width(), 2);
  EXPECT_EQ(multi.label_values(0)[1], 1.0f);
  EXPECT_EQ(multi.label_values(1)[0], 0.0f);

  source = source_of("b.tsv", "text\tlabel\na\t0.25|-1\nb\t3|4\n");
  source.label_kind = LabelKind::kNumbers;
  source.numbers = 2;
  const TokenizedDataset numbers = build_and_open(source);
  EXPECT_EQ(numbers.label_values(0)[0], 0.25f);
  EXPECT_EQ(numbers.label_values(1)[1], 4.0f);

  source.label_kind = LabelKind::kNone;
  EXPECT_EQ(build_and_open(source).label_width(), 0);
}

TEST_F(TokenizedDatasetTest, LargeVocabulariesTakeFourBytesAnId) {
  TokenizedSource source = source_of("a.tsv", "text\tlabel\nabc\tyes\n");
  source.id_bound = 65'537;
  EXPECT_EQ(text_of(build_and_open(source), 0), "abc");
  source.id_bound = 'b';
  ThreadPool pool(1);
  EXPECT_TRUE(has(error_text([&] {
                    TokenizedDataset::build(files_, path_, std::string(32, 'k'), source, pool);
                  }),
                  "[tokenized dataset] the id 98. Expected one below 98"));
}

TEST_F(TokenizedDatasetTest, KeyChangesWithEverythingThatChangesTheContent) {
  const std::string text = "text\tlabel\nabc\tyes\n";
  const TokenizedSource source = source_of("a.tsv", text);
  std::vector<std::string> keys = {TokenizedDataset::key(files_, source)};
  EXPECT_EQ(TokenizedDataset::key(files_, source), keys[0]);
  const auto add = [&](auto change) {
    TokenizedSource other = source;
    change(other);
    keys.push_back(TokenizedDataset::key(files_, other));
  };
  add([](TokenizedSource& s) { s.tokenizer_fingerprint = "other"; });
  add([](TokenizedSource& s) { s.id_bound = 257; });
  add([](TokenizedSource& s) { s.labels = LabelSet({"yes", "no"}); });
  add([](TokenizedSource& s) { s.label_kind = LabelKind::kMultiHot; });
  add([](TokenizedSource& s) { s.data.text = "0"; });
  add([](TokenizedSource& s) { s.data.pair = "label"; });
  add([](TokenizedSource& s) { s.data.header = false; });
  add([](TokenizedSource& s) { s.skip_bad = 1; });
  add([](TokenizedSource& s) { s.numbers = 2; });
  scratch_.write("a.tsv", text + "d\tno\n");
  add([](TokenizedSource&) {});
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(std::unique(keys.begin(), keys.end()), keys.end());
}

TEST_F(TokenizedDatasetTest, DamagedOrForeignFileIsNeverUsed) {
  const TokenizedSource source = source_of("a.tsv", "text\tlabel\nabc\tyes\nde\tno\n");
  const std::string key = TokenizedDataset::key(files_, source);
  FaultyFileSystem disk;
  EXPECT_FALSE(TokenizedDataset::is_valid(disk, "cache", key));  // missing
  ThreadPool pool(1);
  TokenizedDataset::build(disk, "cache", key, source, pool);
  EXPECT_TRUE(TokenizedDataset::is_valid(disk, "cache", key));
  EXPECT_FALSE(TokenizedDataset::is_valid(disk, "cache", std::string(32, '0')));
  const std::string content = read_file(disk, "cache");
  const auto replace = [&](const std::string& bytes) {
    disk.remove("cache");
    write_new_file(disk, "cache", bytes);
  };
  for (size_t i = 0; i < content.size(); ++i) {
    std::string damaged = content;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    replace(damaged);
    ASSERT_FALSE(TokenizedDataset::is_valid(disk, "cache", key)) << "byte " << i;
    replace(content.substr(0, i));
    ASSERT_FALSE(TokenizedDataset::is_valid(disk, "cache", key)) << i << " bytes";
  }
  const auto open = [&] { TokenizedDataset::open(disk, "cache", key); };
  EXPECT_TRUE(has(error_text(open), "is damaged, or not the token cache of these data"));
  EXPECT_EQ(exit_code(open), ExitCode::kNoData);
  TokenizedDataset::build(disk, "cache", key, source, pool);  // replaces it
  EXPECT_EQ(TokenizedDataset::open(disk, "cache", key).size(), 2);
}

TEST_F(TokenizedDatasetTest, BadRowsAreErrorsOrListedAgainFromTheCache) {
  TokenizedSource source =
      source_of("a.tsv", "text\tlabel\na\tyes\nb\tyess\n\tno\nc\td\te\nf\tno\n");
  source.skip_bad = 2;
  ThreadPool pool(1);
  const auto build = [&] {
    TokenizedDataset::build(files_, path_, std::string(32, 'k'), source, pool);
  };
  EXPECT_TRUE(has(error_text(build), "a.tsv:5: 3 columns. Expected 2"));
  EXPECT_FALSE(files_.exists(path_));
  EXPECT_FALSE(files_.exists(path_ + ".part"));
  source.skip_bad = 3;
  const TokenizedDataset data = build_and_open(source);
  EXPECT_EQ(data.rows(), 2);
  ASSERT_EQ(data.bad_rows().size(), 3u);
  EXPECT_TRUE(data.bad_rows()[0].where.ends_with("a.tsv:3"));
  EXPECT_EQ(data.bad_rows()[0].reason, "unknown label 'yess'");
  EXPECT_EQ(data.bad_rows()[1].reason, "empty text in 'text'");
}

TEST_F(TokenizedDatasetTest, FilesWithoutRowsAndRowsThatCannotBeCutAreErrors) {
  const auto build = [&](const TokenizedSource& source) {
    ThreadPool pool(2);
    return error_text(
        [&] { TokenizedDataset::build(files_, path_, std::string(32, 'k'), source, pool); });
  };
  EXPECT_TRUE(has(build(source_of("a.tsv", "text\tlabel\n")), "a.tsv: has no row"));
  EXPECT_TRUE(has(build(source_of("b.tsv", "text\tlabel\na\tno\nuncuttable\tno\n")),
                  "b.tsv:3: cannot be cut"));
  TokenizedSource source = source_of("d.tsv", "text\tlabel\na\tno\n");
  source.make_tokenizer = [] {
    return [](std::string_view, std::optional<std::string_view>, TokenWindows&) {};
  };
  EXPECT_TRUE(has(build(source), "a row without a sequence"));
  source = source_of("c.tsv", "text\na\n");
  source.data.label = "";
  EXPECT_TRUE(has(build(source), "labels without a label column"));
  source.data.paths = {"-"};
  EXPECT_TRUE(has(error_text([&] { TokenizedDataset::key(files_, source); }),
                  "standard input cannot be a data set"));
}

// Data files are on the real disk, the cache on one that fails.
TEST_F(TokenizedDatasetTest, DiskThatFailsWhileBuildingLeavesNoFileThatIsUsed) {
  const TokenizedSource source = source_of("a.tsv", "text\tlabel\nabc\tyes\nde\tno\n");
  const std::string key = TokenizedDataset::key(files_, source);
  FaultyFileSystem whole;
  ThreadPool pool(1);
  TokenizedDataset::build(whole, "cache", key, source, pool);
  const int64_t operations = whole.operations();
  EXPECT_GT(operations, 5);
  for (const Fault fault : {Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite}) {
    for (int64_t k = 0; k < operations; ++k) {
      FaultyFileSystem disk;
      disk.fail_at(k, fault);
      try {
        TokenizedDataset::build(disk, "cache", key, source, pool);
      } catch (const Error&) {
      }
      disk.never_fail();
      if (disk.exists("cache")) {
        EXPECT_TRUE(TokenizedDataset::is_valid(disk, "cache", key));
      }
      TokenizedDataset::build(disk, "cache", key, source, pool);
      EXPECT_TRUE(TokenizedDataset::is_valid(disk, "cache", key));
    }
  }
  for (int64_t k = 0; k < operations; ++k) {
    FaultyFileSystem disk;
    disk.fail_at(k, Fault::kCrash);
    EXPECT_THROW(TokenizedDataset::build(disk, "cache", key, source, pool), SimulatedCrash);
    for (uint64_t seed = 0; seed < 8; ++seed) {
      const auto after = disk.after_crash(Survival::kRandom, seed);
      TokenizedDataset::is_valid(*after, "cache", key);  // either, but never a crash
      TokenizedDataset::build(*after, "cache", key, source, pool);
      EXPECT_TRUE(TokenizedDataset::is_valid(*after, "cache", key));
    }
  }
}

TEST(RowTokenizers, GiveWhatTheTokenizerGives) {
  const auto tokenizer =
      load_tokenizer(HEDDLE_SOURCE_DIR "/datasets/samples/definitions/tokenizer.json");
  const std::string text = "a small sailing vessel; usually with a single mast";
  const EncodeOptions whole{.max_length = 64};
  TokenWindows windows;
  row_tokenizers(tokenizer, whole)()(text, "a pair", windows);
  ASSERT_EQ(windows.count(), 1);
  const Encoding expected = tokenizer->encode(text, "a pair", whole)[0];
  EXPECT_EQ(windows.ids, expected.ids);
  EXPECT_EQ(expected.type_ids[windows.pair_begins[0]], 1);
  EXPECT_EQ(expected.type_ids[windows.pair_begins[0] - 1], 0);

  const EncodeOptions cut{.max_length = 8, .windows = true, .stride = 2};
  windows.clear();
  row_tokenizers(tokenizer, cut)()(text, std::nullopt, windows);
  const std::vector<Encoding> parts = tokenizer->encode(text, std::nullopt, cut);
  ASSERT_GT(parts.size(), 1u);
  ASSERT_EQ(windows.count(), static_cast<int64_t>(parts.size()));
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto window = windows.window(static_cast<int64_t>(i));
    EXPECT_TRUE(std::equal(window.begin(), window.end(), parts[i].ids.begin(), parts[i].ids.end()));
    EXPECT_EQ(windows.pair_begins[i], parts[i].ids.size());
  }
  EXPECT_NE(tokenizer_fingerprint(*tokenizer, whole), tokenizer_fingerprint(*tokenizer, cut));
  EXPECT_EQ(tokenizer_fingerprint(*tokenizer, cut), tokenizer_fingerprint(*tokenizer, cut));
}

TEST(RowTokenizers, TokenizeTheSample) {
  const std::string folder = HEDDLE_SOURCE_DIR "/datasets/samples/definitions";
  const auto tokenizer = load_tokenizer(folder + "/tokenizer.json");
  const EncodeOptions options{.max_length = 64};
  BadRows bad;
  const DataSource dev{.paths = {folder + "/dev.tsv"}, .text = "definition", .label = "kind"};
  const LabelSurvey survey = survey_labels(dev, bad);
  EXPECT_EQ(survey.names.size(), 10u);
  const TokenizedSource source{.data = dev,
                               .label_kind = survey.kind,
                               .labels = LabelSet(survey.names),
                               .make_tokenizer = row_tokenizers(tokenizer, options),
                               .tokenizer_fingerprint = tokenizer_fingerprint(*tokenizer, options),
                               .id_bound = tokenizer->id_bound()};
  Scratch scratch;
  PosixFileSystem files;
  ThreadPool pool(2);
  const std::string key = TokenizedDataset::key(files, source), path = scratch.path("cache");
  TokenizedDataset::build(files, path, key, source, pool);
  const TokenizedDataset data = TokenizedDataset::open(files, path, key);
  EXPECT_EQ(data.size(), 2000);
  EXPECT_NEAR(static_cast<double>(data.tokens()) / 2000, 21, 3);
}

}  // namespace
}  // namespace heddle
