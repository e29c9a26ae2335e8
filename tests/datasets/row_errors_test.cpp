// Every way in which a row can be bad: what is said, where, and how reading goes on.
#include <gtest/gtest.h>

#include "datasets/row_buffer.h"
#include "tests/datasets/compress.h"
#include "tests/datasets/read_all.h"
#include "tests/framework/io/scratch.h"

namespace heddle {
namespace {

struct BadCase {
  const char* name;
  std::string file;
  std::string content;  // one bad row, and good ones around it
  std::string where;    // behind the file's name
  std::string reason;
  std::string start;  // of the row, as quoted
  size_t good;        // rows left when it is skipped
};

const std::string kHeader = "text\tlabel\n";

const std::vector<BadCase> kBadCases = {
    {"TooManyColumns", "a.tsv", kHeader + "a\t1\nb\t2\t3\nc\t4\n", ":3", "3 columns. Expected 2",
     "'b\\t2\\t3'", 2},
    {"TooFewColumns", "a.tsv", kHeader + "only\nc\t4\n", ":2", "1 column. Expected 2", "'only'", 1},
    {"TooManyColumnsInCsv", "a.csv", "x,y\na,b\n\"c\nd\",e,f\ng,h\n", ":3", "3 columns. Expected 2",
     "'\"c\\nd\",e,f'", 2},
    {"InvalidUtf8", "a.tsv", kHeader + "caf\xC3\xA9 caf\xE9 x\t1\nc\t4\n", ":2:9",
     "invalid UTF-8 (byte 0xe9)", "'café caf\\xe9 x\\t1'", 1},
    {"InvalidUtf8InQuotes", "a.csv", "x,y\n\"a\nbc\xFF\",1\nc,4\n", ":3:3",
     "invalid UTF-8 (byte 0xff)", "'\"a\\nbc\\xff\",1'", 1},
    {"Nul", "a.txt", std::string("a\nb\0c\nd\n", 8), ":2:2", "a NUL byte", "'b\\x00c'", 2},
    {"BlankLine", "a.tsv", kHeader + "a\t1\n\n\nc\t4\n", ":3", "a blank line", "", 2},
    {"BlankLineInCsv", "a.csv", "x,y\na,1\n\r\nc,4\n", ":3", "a blank line", "", 2},
    {"BlankLineInJsonl", "a.jsonl", "{\"a\": 1}\n\n{\"a\": 2}\n", ":2", "a blank line", "", 2},
    {"QuoteInsideField", "a.csv", "x,y\na,5\" nail\nc,4\n", ":2:4",
     "a quote inside a field that does not start with one", "'a,5\" nail'", 1},
    {"TextBehindQuote", "a.csv", "x,y\na,\"b\"c\nc,4\n", ":2:6", "text behind a closing quote",
     "'a,\"b\"c'", 1},
    {"QuoteNeverClosed", "a.csv", "x,y\na,\"b\nc,4\nd,5\n", ":2:3", "a quote that is never closed",
     "'a,\"b'", 2},
    {"NoJson", "a.jsonl", "{\"a\": 1}\nhello\n{\"a\": 2}\n", ":2:1",
     "expected a JSON object, {...}", "'hello'", 2},
    {"NoKey", "a.jsonl", "{}\n{\"a\": 2}\n", ":1", "an object without a key", "'{}'", 1},
};

class BadRow_ : public testing::TestWithParam<BadCase> {};

TEST_P(BadRow_, IsAnErrorThatSaysWhereAndQuotesTheRow) {
  const BadCase& bad = GetParam();
  Scratch scratch;
  const std::string path = scratch.write(bad.file, bad.content);
  const auto read = [&] { read_all(path); };
  EXPECT_EQ(error_text(read),
            path + bad.where + ": " + bad.reason + (bad.start.empty() ? "" : ": " + bad.start));
  EXPECT_EQ(exit_code(read), ExitCode::kInput);
}

TEST_P(BadRow_, IsSkippedAndListedWhenTolerated) {
  const BadCase& bad = GetParam();
  Scratch scratch;
  const std::string path = scratch.write(bad.file, bad.content);
  BadRows skipped(1);
  const auto reader = open_rows({.paths = {path}}, skipped);
  size_t good = 0;
  for (Row row; reader->next(row);) ++good;
  EXPECT_EQ(good, bad.good);
  ASSERT_EQ(skipped.list().size(), 1u);
  EXPECT_EQ(skipped.list()[0].where, path + bad.where);
  EXPECT_EQ(skipped.list()[0].reason, bad.reason);
}

INSTANTIATE_TEST_SUITE_P(RowReader, BadRow_, testing::ValuesIn(kBadCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(BadRows, OneMoreThanToleratedIsAnErrorThatCountsThem) {
  Scratch scratch;
  const std::string path = scratch.write("a.tsv", kHeader + "x\ny\nz\n");
  const auto read = [&] { read_all(RowOptions{.paths = {path}}, 2); };
  EXPECT_TRUE(has(error_text(read), "a.tsv:4: 1 column. Expected 2"));
  EXPECT_TRUE(has(error_hint(read), "2 bad rows before it were skipped, as many as allowed"));
  EXPECT_TRUE(has(error_hint(read), "a.tsv:2: 1 column. Expected 2"));
}

TEST(RowReader, LineLongerThanTheLimitIsAnErrorAndReadingGoesOn) {
  Scratch scratch;
  const std::string line(kMaxRowBytes + 1'000'000, 'x');
  for (const char* name : {"a.txt", "a.tsv", "a.csv"}) {
    const std::string path = scratch.write(name, "text\n" + line + "\nlast\n");
    EXPECT_TRUE(has(error_text([&] { read_all(path); }), ":2"));
    EXPECT_TRUE(has(error_text([&] { read_all(path); }), "the row has more than 16 MiB: 'xxx"));
    EXPECT_EQ(read_all(RowOptions{.paths = {path}}, 1).back()[0], "last") << name;
  }
}

TEST(RowReader, QuoteThatSwallowsTheFileIsFoundInBoundedMemory) {
  Scratch scratch;
  const std::string path =
      scratch.write("a.csv", "text\n\"open\n" + std::string(kMaxRowBytes + 1'000'000, 'x') + "\n");
  EXPECT_TRUE(has(error_text([&] { read_all(path); }),
                  "a.csv:2:1: a quote that is not closed within 16 MiB: '\"open'"));
}

TEST(RowReader, HintsSayWhatToDo) {
  Scratch scratch;
  const auto hint = [&](const char* name, std::string_view content) {
    const std::string path = scratch.write(name, content);
    return error_hint([&] { read_all(path); });
  };
  EXPECT_TRUE(has(hint("a.txt", "caf\xE9"), "iconv"));
  EXPECT_TRUE(has(hint("a.txt", std::string_view("t\0", 2)), "UTF-16"));
  EXPECT_TRUE(has(hint("a.csv", "x\na\"b"), "\"\"quote\"\" doubled"));
  EXPECT_TRUE(has(hint("a.jsonl", "{\"a\": 1}\n\n{\"a\": 1}"), "only at the end of a file"));
}

TEST(RowReader, HeadersThatCannotBeUsedAreErrors) {
  Scratch scratch;
  const auto read = [&](const char* name, const std::string& content) {
    const std::string path = scratch.write(name, content);
    return error_text([&] { read_all(path); });
  };
  EXPECT_TRUE(has(read("a.tsv", "x\ty\tx\n"), "a.tsv:1: two columns are named 'x'"));
  EXPECT_TRUE(has(read("b.csv", ""), "b.csv: is empty. Expected a header line"));
  EXPECT_TRUE(has(read("c.tsv", "x\xFF\ty\na\tb\n"), "c.tsv:1:2: invalid UTF-8"));
}

TEST(RowReader, FilesOfOtherColumnsAreRefused) {
  Scratch scratch;
  const std::string a = scratch.write("a.tsv", "text\tlabel\na\t1\n");
  const std::string b = scratch.write("b.tsv", "label\ttext\n1\ta\n");
  const auto read = [&] { read_all(RowOptions{.paths = {a, b}}); };
  EXPECT_TRUE(has(error_text(read), "b.tsv: has the columns label, text. Expected those of "));
  EXPECT_TRUE(has(error_text(read), "a.tsv: text, label"));
  EXPECT_TRUE(has(error_hint(read), "the same columns in the same order"));
}

TEST(RowReader, JsonlKeyThatTheFirstRowLacksIsRefusedWhereAllColumnsAreKept) {
  Scratch scratch;
  const std::string path = scratch.write("a.jsonl", "{\"text\": \"a\"}\n{\"texts\": \"b\"}\n");
  const auto read = [&] { read_all(RowOptions{.paths = {path}, .keep_all_columns = true}); };
  EXPECT_TRUE(has(error_text(read), "a.jsonl:2: the key 'texts' is not in the first row"));
  EXPECT_TRUE(has(error_hint(read), "did you mean 'text'?"));
}

TEST(RowReader, UnknownColumnIsAnErrorWithTheNearestNameAndAllNames) {
  const std::vector<std::string> columns = {"sentence", "label"};
  const auto find = [&] { find_column(columns, "sentense", "a.tsv"); };
  EXPECT_EQ(error_text(find), "a.tsv: no column 'sentense'");
  EXPECT_EQ(error_hint(find), "did you mean 'sentence'? columns: sentence, label");
  EXPECT_EQ(error_hint([&] { find_column(columns, "2", "a.tsv"); }), "columns: sentence, label");
}

TEST(RowReader, NoFileIsAnError) {
  EXPECT_TRUE(has(error_text([] { read_all(RowOptions{.paths = {}}); }), "no file to read"));
}

TEST(ByteSource, DamagedCompressedFilesAreErrors) {
  Scratch scratch;
  std::string text = "text\n";
  for (int i = 0; i < 1000; ++i) text += fmt::format("row {}\n", i * i);
  const auto read = [&](const char* name, std::string content) {
    const std::string path = scratch.write(name, content);
    EXPECT_EQ(exit_code([&] { read_all(path); }), ExitCode::kInput);
    return error_text([&] { read_all(path); });
  };
  std::string gz = gzip(text), zst = zstd(text);
  EXPECT_TRUE(has(read("a.tsv.gz", gz.substr(0, gz.size() / 2)), "the gzip data is cut short"));
  EXPECT_TRUE(has(read("a.tsv.zst", zst.substr(0, zst.size() / 2)), "the zstd data is cut short"));
  EXPECT_TRUE(has(read("b.tsv.gz", "no gzip"), "damaged gzip data: "));
  EXPECT_TRUE(has(read("b.tsv.zst", "no zstd"), "damaged zstd data: "));
  EXPECT_TRUE(has(read("c.tsv.gz", gz + "behind"), "damaged gzip data: "));
  EXPECT_TRUE(has(read("c.tsv", gz), "is compressed, and its name does not say so"));
  EXPECT_TRUE(has(read("d.tsv", zst), "is compressed, and its name does not say so"));
  const std::string path = scratch.path("d.tsv");
  EXPECT_EQ(error_hint([&] { read_all(path); }), "rename it to " + path + ".zst");
}

}  // namespace
}  // namespace heddle
