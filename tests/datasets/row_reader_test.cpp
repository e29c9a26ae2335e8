#include "datasets/row_reader.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include "datasets/row_buffer.h"
#include "tests/datasets/compress.h"
#include "tests/datasets/read_all.h"
#include "tests/framework/io/scratch.h"

namespace heddle {
namespace {

const Rows kTwoRows = {{"a nice film", "1"}, {"dull", "0"}};

TEST(RowReader, TsvReadsHeaderAndRows) {
  Scratch scratch;
  const std::string path = scratch.write("a.tsv", "text\tlabel\na nice film\t1\ndull\t0\n");
  BadRows bad;
  const auto reader = open_rows({.paths = {path}}, bad);
  EXPECT_EQ(reader->columns(), (std::vector<std::string>{"text", "label"}));
  Row row;
  ASSERT_TRUE(reader->next(row));
  EXPECT_EQ(row.fields[0], "a nice film");
  EXPECT_EQ(row.line, 2);
  EXPECT_EQ(row.file, path);
  EXPECT_EQ(row.source, "a nice film\t1");
  ASSERT_TRUE(reader->next(row));
  EXPECT_EQ(row.line, 3);
  EXPECT_FALSE(reader->next(row));
  EXPECT_FALSE(reader->next(row));
}

TEST(RowReader, LineEndingsByteOrderMarkAndMissingLastBreakDoNotMatter) {
  Scratch scratch;
  const std::string text = "text\tlabel\na nice film\t1\ndull\t0\n";
  std::string carriage = "text\tlabel\r\na nice film\t1\r\ndull\t0\r\n";
  EXPECT_EQ(read_all(scratch.write("a.tsv", text)), kTwoRows);
  EXPECT_EQ(read_all(scratch.write("b.tsv", carriage)), kTwoRows);
  EXPECT_EQ(read_all(scratch.write("c.tsv", "\xEF\xBB\xBF" + text)), kTwoRows);
  EXPECT_EQ(read_all(scratch.write("d.tsv", text.substr(0, text.size() - 1))), kTwoRows);
  EXPECT_EQ(read_all(scratch.write("e.tsv", carriage + "\r\n\n")), kTwoRows);
  EXPECT_EQ(read_all(scratch.write("a.csv", "\xEF\xBB\xBFtext,label\r\na nice film,1\r\ndull,0")),
            kTwoRows);
}

TEST(RowReader, TsvTakesQuotesAndBackslashesAsTheyStand) {
  Scratch scratch;
  EXPECT_EQ(read_all(scratch.write("a.tsv", "x\ty\n\"a\t\\t\"\"\n")), (Rows{{"\"a", "\\t\"\""}}));
}

TEST(RowReader, CsvUnquotesCommasBreaksAndDoubledQuotes) {
  Scratch scratch;
  const std::string path = scratch.write(
      "a.csv", "x,\"y, z\"\r\n\"a, b\",\"line 1\nline 2\"\r\n\"\",\"he said \"\"so\"\"\"\nlast,\n");
  BadRows bad;
  const auto reader = open_rows({.paths = {path}}, bad);
  EXPECT_EQ(reader->columns(), (std::vector<std::string>{"x", "y, z"}));
  EXPECT_EQ(read_all(path),
            (Rows{{"a, b", "line 1\nline 2"}, {"", "he said \"so\""}, {"last", ""}}));
  Row row;
  reader->next(row);
  reader->next(row);
  EXPECT_EQ(row.line, 4);  // behind a record of two lines
}

TEST(RowReader, CsvRecordMayCrossBlocks) {
  Scratch scratch;
  const std::string lines(700'000, '\n');
  const std::string quotes = std::string(400'000, 'q');
  std::string doubled;
  for (int i = 0; i < 200'000; ++i) doubled += "\"\"";
  const std::string path =
      scratch.write("a.csv", "x,y\n\"" + lines + "\",\"" + quotes + doubled + "\"\nshort,row\n");
  const Rows rows = read_all(path);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0][0], lines);
  EXPECT_EQ(rows[0][1], quotes + std::string(200'000, '"'));
  EXPECT_EQ(rows[1][1], "row");
}

TEST(RowReader, JsonlTakesColumnsFromTheFirstRow) {
  Scratch scratch;
  const std::string path =
      scratch.write("a.jsonl",
                    "{\"text\": \"caf\\u00e9 \\ud83d\\ude00 \\\"q\\\"\", \"label\": 1.50, "
                    "\"tags\": [\"a\", {\"b\": 1}]}\n"
                    "{\"label\": null, \"text\": \"b\", \"more\": true}\r\n\n");
  BadRows bad;
  const auto reader = open_rows({.paths = {path}}, bad);
  EXPECT_EQ(reader->columns(), (std::vector<std::string>{"text", "label", "tags"}));
  Row row;
  ASSERT_TRUE(reader->next(row));
  EXPECT_EQ(row.fields[0], "café 😀 \"q\"");
  EXPECT_EQ(row.fields[1], "1.50");
  EXPECT_EQ(row.kinds[0], FieldKind::kText);
  EXPECT_EQ(row.kinds[1], FieldKind::kJson);
  EXPECT_EQ(row.fields[2], "[\"a\", {\"b\": 1}]");
  ASSERT_TRUE(reader->next(row));
  EXPECT_EQ(row.fields[0], "b");
  EXPECT_EQ(row.fields[1], "null");
  EXPECT_EQ(row.fields[2], "");
  EXPECT_FALSE(reader->next(row));
}

TEST(RowReader, TextKeepsEveryLine) {
  Scratch scratch;
  EXPECT_EQ(read_all(scratch.write("a.txt", "one\ttwo\r\n\n\"three\n\n")),
            (Rows{{"one\ttwo"}, {""}, {"\"three"}, {""}}));
}

TEST(RowReader, CompressedFilesReadAsPlainOnes) {
  Scratch scratch;
  std::string text = "text\tlabel\n";
  for (int i = 0; i < 100'000; ++i) text += fmt::format("row {} of many\t{}\n", i, i % 7);
  const Rows plain = read_all(scratch.write("a.tsv", text));
  ASSERT_EQ(plain.size(), 100'000u);
  EXPECT_EQ(read_all(scratch.write("a.tsv.gz", gzip(text))), plain);
  EXPECT_EQ(read_all(scratch.write("a.tsv.zst", zstd(text))), plain);
  // Members and frames may follow each other.
  const std::string a = text.substr(0, 1000), b = text.substr(1000);
  EXPECT_EQ(read_all(scratch.write("b.tsv.gz", gzip(a) + gzip(b))), plain);
  EXPECT_EQ(read_all(scratch.write("b.tsv.zst", zstd(a) + zstd(b))), plain);
}

TEST(RowReader, FilesFollowEachOther) {
  Scratch scratch;
  scratch.write("part-2.tsv", "x\ty\nc\td\n");
  scratch.write("part-1.tsv", "x\ty\na\tb\n");
  const std::string other = scratch.write("z.csv", "x,y\n\"e\",f\n");
  const std::string empty = scratch.write("part-3.tsv", "x\ty\n");
  EXPECT_EQ(read_all(RowOptions{.paths = {scratch.path("part-*.tsv"), other}}),
            (Rows{{"a", "b"}, {"c", "d"}, {"e", "f"}}));
}

TEST(RowReader, WithoutHeaderColumnsAreNumbers) {
  Scratch scratch;
  const std::string path = scratch.write("a.csv", "a,b\nc,d\n");
  BadRows bad;
  const auto reader = open_rows({.paths = {path}, .header = false}, bad);
  EXPECT_EQ(reader->columns(), (std::vector<std::string>{"0", "1"}));
  EXPECT_EQ(read_all(RowOptions{.paths = {path}, .header = false}), (Rows{{"a", "b"}, {"c", "d"}}));
}

TEST(RowReader, FormatMayBeGivenInsteadOfTheEnding) {
  Scratch scratch;
  const std::string path = scratch.write("rows", "x\ty\na\tb\n");
  EXPECT_EQ(read_all(RowOptions{.paths = {path}, .format = Format::kTsv}), (Rows{{"a", "b"}}));
}

TEST(RowReader, EmptyInputsHaveNoRows) {
  Scratch scratch;
  EXPECT_TRUE(read_all(scratch.write("a.tsv", "x\ty\n")).empty());
  EXPECT_TRUE(read_all(scratch.write("a.jsonl", "")).empty());
  EXPECT_TRUE(read_all(scratch.write("a.txt", "")).empty());
}

TEST(RowReader, ColumnsAreFoundByNameBeforeNumber) {
  const std::vector<std::string> columns = {"text", "0", "label"};
  EXPECT_EQ(find_column(columns, "label", "f"), 2u);
  EXPECT_EQ(find_column(columns, "0", "f"), 1u);
  EXPECT_EQ(find_column(columns, "2", "f"), 2u);
}

// Bytes in use by the allocator; 0 where another one stands in its place.
size_t bytes_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST(RowReader, MemoryDoesNotGrowWithTheFile) {
  Scratch scratch;
  const std::string row = "some words of a row that is like any other\t\"x\", y\n";
  std::string text = "text\tlabel\n";
  while (text.size() < 8'000'000) text += row;
  const std::string path = scratch.write("a.tsv", text);
  const std::string zipped = scratch.write("a.tsv.gz", gzip(text));
  text = {};
  for (const std::string& file : {path, zipped}) {
    const size_t before = bytes_in_use();
    BadRows bad;
    const auto reader = open_rows({.paths = {file}}, bad);
    int64_t rows = 0;
    size_t most = 0;
    for (Row each; reader->next(each); ++rows) {
      if (rows % 10'000 == 0) most = std::max(most, bytes_in_use());
    }
    EXPECT_GT(rows, 150'000);
    EXPECT_LT(most, before + 1'000'000) << file;
  }
}

}  // namespace
}  // namespace heddle
