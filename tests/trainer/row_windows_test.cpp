#include "trainer/row_windows.h"

#include "framework/comm/single.h"
#include "tests/trainer/serving.h"

namespace heddle {
namespace {

class RowWindowsTest : public testing::Test {
 protected:
  // Opens rows and keeps what RowWindows refers to.
  RowWindows open(const std::string& rows, const EncodeOptions& options = {.max_length = 16},
                  int64_t skip_bad = 0) {
    bad_ = std::make_unique<BadRows>(skip_bad);
    examples_ = std::make_unique<ExampleReader>(
        DataSource{.paths = {scratch_.write("rows.tsv", rows)}, .text = "text"}, *bad_);
    return RowWindows(*examples_, row_tokenizers(tokenizer_, options)(), *bad_);
  }

  Scratch scratch_;
  std::shared_ptr<const Tokenizer> tokenizer_ = load_tokenizer(tokenizer_path());
  std::unique_ptr<BadRows> bad_;
  std::unique_ptr<ExampleReader> examples_;
};

TEST_F(RowWindowsTest, KeepFieldsFileAndLineOfEveryRow) {
  RowWindows windows = open("id\ttext\tnote\n7\ta cat\t\n8\tthe sea\tblue\n");
  ASSERT_TRUE(windows.next());
  ASSERT_EQ(windows.rows(), 2);
  // In any order.
  EXPECT_EQ(windows.row(1).fields[2], "blue");
  EXPECT_EQ(windows.row(1).line, 3);
  const Row& first = windows.row(0);
  ASSERT_EQ(first.fields.size(), 3u);
  EXPECT_EQ(first.fields[0], "7");
  EXPECT_EQ(first.fields[1], "a cat");
  EXPECT_EQ(first.fields[2], "");
  EXPECT_EQ(first.line, 2);
  EXPECT_TRUE(first.file.ends_with("rows.tsv"));
  EXPECT_FALSE(windows.next());
  EXPECT_EQ(windows.rows(), 0);
}

TEST_F(RowWindowsTest, NumberRowsThroughAllWindows) {
  RowWindows windows = open(rows_of_all_lengths(8192 * 2 + 3));
  std::vector<int64_t> sizes;
  while (windows.next()) {
    PackedSequences packed;
    windows.sequences().add_to(packed, 0);
    EXPECT_EQ(packed.samples[0], static_cast<int64_t>(sizes.size()) * 8192);
    sizes.push_back(windows.rows());
  }
  EXPECT_EQ(sizes, (std::vector<int64_t>{8192, 8192, 3}));
}

TEST_F(RowWindowsTest, RowsOfManyBytesMakeSmallerWindows) {
  std::string rows = "text\n";
  for (int i = 0; i < 5; ++i) rows += std::string(size_t{5} << 20, 'x') + "\n";
  RowWindows windows = open(rows);
  ASSERT_TRUE(windows.next());
  EXPECT_EQ(windows.rows(), 4);  // the fourth makes 20 MB of them
  ASSERT_TRUE(windows.next());
  EXPECT_EQ(windows.rows(), 1);
}

TEST_F(RowWindowsTest, SkipPassesOverRowsAndCountsThem) {
  RowWindows windows = open("text\na\nb\nc\n");
  EXPECT_EQ(windows.skip(2), 2);
  ASSERT_TRUE(windows.next());
  ASSERT_EQ(windows.rows(), 1);
  EXPECT_EQ(windows.row(0).fields[0], "c");
  PackedSequences packed;
  windows.sequences().add_to(packed, 0);
  EXPECT_EQ(packed.samples[0], 2);

  RowWindows few = open("text\na\nb\n");
  EXPECT_EQ(few.skip(5), 2);
  EXPECT_FALSE(few.next());
}

TEST_F(RowWindowsTest, SkipCountsNoBadRow) {
  RowWindows windows = open("text\tlabel\na\tx\n\tx\nb\tx\nc\tx\n", {.max_length = 16}, 1);
  EXPECT_EQ(windows.skip(2), 2);
  ASSERT_TRUE(windows.next());
  EXPECT_EQ(windows.row(0).fields[0], "c");
  EXPECT_EQ(bad_->list().size(), 1u);
}

TEST_F(RowWindowsTest, LongTextsBecomeSequencesWhoseMeanCounts) {
  RowWindows windows = open("text\ncat\ncat sea town of the large sweet cat sea town\nsea\n",
                            {.max_length = 8, .windows = true, .stride = 2});
  ASSERT_TRUE(windows.next());
  EXPECT_EQ(windows.rows(), 3);
  EXPECT_EQ(windows.sequences().count, 4);
  EXPECT_EQ(windows.sequences_of(0), (std::pair<int64_t, int64_t>{0, 1}));
  EXPECT_EQ(windows.sequences_of(1), (std::pair<int64_t, int64_t>{1, 3}));
  EXPECT_EQ(windows.sequences_of(2), (std::pair<int64_t, int64_t>{3, 4}));
  EXPECT_EQ(windows.mean_by_row({1, 10, 2, 20, 4, 60, 7, 70}, 2),
            (std::vector<float>{1, 10, 3, 40, 7, 70}));
}

TEST_F(RowWindowsTest, LogitsComeRowByRowAndAWindowAtATime) {
  const auto served = served_model(scratch_);
  RowWindows windows = open(rows_of_all_lengths(8192 + 40));
  const auto world = make_single();
  const Mesh mesh(*world);
  int64_t rows = 0;
  std::vector<int64_t> flushed;
  RowLogits{.model = served->model,
            .device = Device::cpu(),
            .mesh = mesh,
            .on_row =
                [&](const Row& row, std::span<const float> logits) {
                  EXPECT_EQ(logits.size(), 2u);
                  EXPECT_EQ(row.line, rows + 2);
                  ++rows;
                },
            .on_window = [&] { flushed.push_back(rows); }}
      .run(windows);
  EXPECT_EQ(flushed, (std::vector<int64_t>{8192, 8192 + 40}));
}

}  // namespace
}  // namespace heddle
