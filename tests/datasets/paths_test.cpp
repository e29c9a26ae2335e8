#include "datasets/paths.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/byte_source.h"
#include "tests/framework/io/scratch.h"

namespace heddle {
namespace {

std::vector<std::string> expand(std::vector<std::string> patterns) {
  return expand_paths(patterns);
}

TEST(Paths, FormatComesFromTheEnding) {
  EXPECT_EQ(format_of("a.tsv"), Format::kTsv);
  EXPECT_EQ(format_of("a.b/c.tab.gz"), Format::kTsv);
  EXPECT_EQ(format_of("a.csv.zst"), Format::kCsv);
  EXPECT_EQ(format_of("a.jsonl"), Format::kJsonl);
  EXPECT_EQ(format_of("a.ndjson"), Format::kJsonl);
  EXPECT_EQ(format_of("a.txt.gz"), Format::kText);
}

TEST(Paths, UnknownEndingIsAnErrorThatListsTheKnown) {
  EXPECT_EQ(error_text([] { format_of("a.parquet"); }),
            "a.parquet: the ending does not say the format");
  EXPECT_TRUE(has(error_hint([] { format_of("a.gz"); }), "known: .tsv, .csv, .jsonl, .txt"));
}

TEST(Paths, GlobsAreSortedAndListsKeepTheirOrder) {
  Scratch scratch;
  for (const char* name : {"b.tsv", "a.tsv", "B.tsv", "x[1].tsv", "c.csv"}) scratch.write(name, "");
  ::mkdir(scratch.path("d.tsv").c_str(), 0777);
  EXPECT_EQ(expand({scratch.path("c.csv"), scratch.path("?.tsv")}),
            (std::vector<std::string>{scratch.path("c.csv"), scratch.path("B.tsv"),
                                      scratch.path("a.tsv"), scratch.path("b.tsv")}));
  EXPECT_EQ(expand({scratch.path("x[1].tsv")}),
            (std::vector<std::string>{scratch.path("x[1].tsv")}));
  EXPECT_EQ(expand({"-"}), (std::vector<std::string>{"-"}));
}

TEST(Paths, PatternWithoutAFileIsAnErrorWithTheNearestName) {
  Scratch scratch;
  scratch.write("train-1.tsv", "");
  const auto find = [&] { expand({scratch.path("trian-*.tsv")}); };
  EXPECT_EQ(error_text(find), scratch.path("trian-*.tsv") + ": no file matches this pattern");
  EXPECT_EQ(error_hint(find), "did you mean '" + scratch.path("train-1.tsv") + "'?");
  EXPECT_EQ(exit_code(find), ExitCode::kInput);
}

TEST(Paths, MissingFileIsAnErrorWithTheNearestName) {
  Scratch scratch;
  scratch.write("train.tsv", "");
  const auto open = [&](const char* name) {
    return [&scratch, name] { open_bytes(scratch.path(name)); };
  };
  EXPECT_EQ(error_text(open("tran.tsv")), scratch.path("tran.tsv") + ": no such file");
  EXPECT_EQ(error_hint(open("tran.tsv")), "did you mean '" + scratch.path("train.tsv") + "'?");
  EXPECT_TRUE(has(error_hint(open("completely-different")), "has a name like it"));
  EXPECT_EQ(error_hint(open("dir/train.tsv")), "there is no folder " + scratch.path("dir"));
  EXPECT_TRUE(has(error_text([&] { expand({scratch.path("x.tsv")}); }), "no such file"));
}

TEST(Paths, FolderIsAnErrorThatOffersAPattern) {
  Scratch scratch;
  const auto find = [&] { expand({scratch.path()}); };
  EXPECT_TRUE(has(error_text(find), ": is a folder. Expected a file"));
  EXPECT_TRUE(has(error_hint(find), scratch.path("*.tsv")));
}

TEST(Paths, FileNamedTwiceIsAnError) {
  Scratch scratch;
  scratch.write("a.tsv", "");
  const auto find = [&] { expand({scratch.path("a.tsv"), scratch.path("./*.tsv")}); };
  EXPECT_TRUE(has(error_text(find), "is named twice; its rows would count twice"));
}

TEST(Paths, FileThatCannotBeOpenedOrReadIsAnIoError) {
  Scratch scratch;
  const std::string loop = scratch.path("loop.tsv");
  ASSERT_EQ(::symlink(loop.c_str(), loop.c_str()), 0);
  EXPECT_TRUE(has(error_text([&] { open_bytes(loop); }), "loop.tsv: cannot open: Too many levels"));
  EXPECT_EQ(exit_code([&] { open_bytes(loop); }), ExitCode::kIo);
  // A process has nothing at address 0, where this file begins.
  const auto read = [] { open_bytes("/proc/self/mem"); };
  EXPECT_TRUE(has(error_text(read), "/proc/self/mem: cannot read: Input/output error"));
  EXPECT_EQ(exit_code(read), ExitCode::kIo);
}

}  // namespace
}  // namespace heddle
