#include "datasets/row_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "datasets/field_format.h"
#include "datasets/written_rows.h"
#include "tests/datasets/read_all.h"
#include "tests/framework/io/scratch.h"
#include "tests/support/faulty_file_system.h"

namespace heddle {
namespace {

const std::vector<std::string> kColumns = {"text", "label", "score"};

// Writes rows `from` … `to` - 1, each with what is hard to write.
void write_rows(RowWriter& out, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; ++i) {
    out.text(fmt::format("a \"quoted\", long\ntext {}", i));
    out.text(i % 2 == 0 ? "yes" : "no");
    out.number(static_cast<float>(i) / 7.0f);
    out.end_row();
  }
}

TEST(RowWriter, EachFormatHoldsWhatWasWritten) {
  Scratch scratch;
  PosixFileSystem files;
  const auto content = [&](const char* name) {
    RowWriter out(files, scratch.path(name), {"te\"xt", "n", "x"});
    out.text("a\tb, \"c\"\r\n\\é\x01");
    out.integer(-42);
    out.number(0.1f);
    out.end_row();
    out.json("null");
    out.json("[1, 2]");
    out.number(std::numeric_limits<float>::quiet_NaN());
    out.end_row();
    EXPECT_EQ(out.rows(), 2);
    EXPECT_FALSE(files.exists(scratch.path(name)));
    out.finish();
    EXPECT_FALSE(files.exists(scratch.path(name) + ".part"));
    return read_file(files, scratch.path(name));
  };
  EXPECT_EQ(content("a.tsv"), "te\"xt\tn\tx\na b, \"c\"  \\é\x01\t-42\t0.1\n\t[1, 2]\tnan\n");
  EXPECT_EQ(content("a.csv"),
            "\"te\"\"xt\",n,x\n\"a\tb, \"\"c\"\"\r\n\\é\x01\",-42,0.1\n,\"[1, 2]\",nan\n");
  EXPECT_EQ(content("a.jsonl"),
            "{\"te\\\"xt\": \"a\\tb, \\\"c\\\"\\r\\n\\\\é\\u0001\", \"n\": -42, \"x\": 0.1}\n"
            "{\"te\\\"xt\": null, \"n\": [1, 2], \"x\": null}\n");
}

TEST(RowWriter, WhatIsWrittenReadsBack) {
  Scratch scratch;
  PosixFileSystem files;
  for (const char* name : {"a.csv", "a.jsonl"}) {
    RowWriter out(files, scratch.path(name), kColumns);
    write_rows(out, 0, 100);
    out.finish();
    const Rows rows = read_all(scratch.path(name));
    ASSERT_EQ(rows.size(), 100u);
    EXPECT_EQ(rows[5][0], "a \"quoted\", long\ntext 5");
    EXPECT_EQ(std::stof(rows[5][2]), 5.0f / 7.0f);
  }
}

TEST(RowWriter, FieldsOfARowKeepTheirKind) {
  Scratch scratch;
  PosixFileSystem files;
  const std::string in =
      scratch.write("in.jsonl", "{\"a\": \"x\", \"b\": 1.50, \"c\": null, \"d\": {\"e\": []}}\n");
  BadRows bad;
  const auto rows = open_rows({.paths = {in}}, bad);
  RowWriter jsonl(files, scratch.path("out.jsonl"), rows->columns());
  RowWriter csv(files, scratch.path("out.csv"), rows->columns());
  Row row;
  ASSERT_TRUE(rows->next(row));
  for (RowWriter* out : {&jsonl, &csv}) {
    out->fields(row);
    out->end_row();
    out->finish();
  }
  EXPECT_EQ(read_file(files, scratch.path("out.jsonl")), read_file(files, in));
  EXPECT_EQ(read_file(files, scratch.path("out.csv")), "a,b,c,d\nx,1.50,,\"{\"\"e\"\": []}\"\n");
}

TEST(RowWriter, FloatsReadBackAsTheSameFloat) {
  std::mt19937 random(1);
  for (int i = 0; i < 10'000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isfinite(value)) continue;
    std::string text;
    append_number(Format::kJsonl, value, text);
    EXPECT_EQ(std::strtof(text.c_str(), nullptr), value) << text;
  }
}

TEST(RowWriter, InputColumnsKeepTheirNames) {
  EXPECT_EQ(output_columns({"text", "label"}, {"label", "score"}),
            (std::vector<std::string>{"text", "label", "predicted_label", "score"}));
  EXPECT_EQ(output_columns({"label", "predicted_label"}, {"label"}).back(),
            "predicted_predicted_label");
}

TEST(RowWriter, NewRunReplacesWhatIsThereOnlyAtTheEnd) {
  Scratch scratch;
  PosixFileSystem files;
  const std::string path = scratch.write("a.tsv", "before\n");
  scratch.write("a.tsv.part", "of a run that died");
  RowWriter out(files, path, kColumns);
  write_rows(out, 0, 3);
  out.flush();
  EXPECT_EQ(read_file(files, path), "before\n");
  out.finish();
  EXPECT_EQ(read_all(path).size(), 3u);
}

class RowWriterResume : public testing::TestWithParam<const char*> {};

TEST_P(RowWriterResume, FromEveryByteGivesTheSameFile) {
  FaultyFileSystem files;
  const std::string path = GetParam();
  RowWriter out(files, path, kColumns);
  write_rows(out, 0, 5);
  out.finish();
  const std::string whole = read_file(files, path);
  files.remove(path);
  int64_t before = 0;
  for (size_t size = 0; size <= whole.size(); ++size) {
    for (const size_t lost : {0, 3}) {  // zeros at the end, as a crashed file system leaves them
      write_new_file(files, path + ".part", whole.substr(0, size) + std::string(lost, '\0'));
      RowWriter resumed(files, path, kColumns, {.resume = true});
      EXPECT_FALSE(resumed.was_finished());
      EXPECT_GE(resumed.rows(), before);
      before = resumed.rows();
      write_rows(resumed, resumed.rows(), 5);
      resumed.finish();
      ASSERT_EQ(read_file(files, path), whole) << size;
      files.remove(path);
    }
  }
  EXPECT_EQ(before, 5);
}

INSTANTIATE_TEST_SUITE_P(Formats, RowWriterResume, testing::Values("a.tsv", "a.csv", "a.jsonl"));

TEST(RowWriter, ResumeOfAFinishedFileLeavesItAlone) {
  Scratch scratch;
  PosixFileSystem files;
  const std::string path = scratch.write("a.tsv", "text\tlabel\tscore\nx\ty\t1\n");
  RowWriter out(files, path, kColumns, {.resume = true});
  EXPECT_TRUE(out.was_finished());
  out.finish();
  EXPECT_EQ(read_file(files, path), "text\tlabel\tscore\nx\ty\t1\n");
  out.text("a");
  out.text("b");
  out.text("c");
  EXPECT_TRUE(has(error_text([&] { out.end_row(); }), "a row for a file that is finished"));
}

TEST(RowWriter, ResumeOfOtherColumnsIsAnError) {
  Scratch scratch;
  PosixFileSystem files;
  const auto resume = [&](const char* name, const char* content) {
    scratch.write(std::string(name) + ".part", content);
    const auto open = [&] { RowWriter(files, scratch.path(name), kColumns, {.resume = true}); };
    EXPECT_EQ(exit_code(open), ExitCode::kInput);
    EXPECT_TRUE(has(error_hint(open), "remove it to start anew"));
    return error_text(open);
  };
  EXPECT_TRUE(has(resume("a.tsv", "text\tscore\nx\t1\n"),
                  "a.tsv.part: cannot resume: it begins 'text\tscore"));
  EXPECT_TRUE(
      has(resume("a.tsv", "text\tscore\nx\t1\n"), "Expected the columns text, label, score"));
  EXPECT_TRUE(has(resume("a.jsonl", "{\"text\": \"a\"}\n"), "cannot resume: it begins"));
}

TEST(RowWriter, LargePartFilesAreCountedAcrossBlocks) {
  Scratch scratch;
  PosixFileSystem files;
  for (const char* name : {"a.csv", "a.tsv"}) {
    {
      RowWriter out(files, scratch.path(name), kColumns);
      write_rows(out, 0, 100'000);
      out.flush();
      const auto second = [&] { RowWriter(files, scratch.path(name), kColumns); };
      EXPECT_TRUE(has(error_text(second), "is being written by another job"));
    }
    RowWriter resumed(files, scratch.path(name), kColumns, {.resume = true});
    EXPECT_EQ(resumed.rows(), 100'000) << name;
  }
}

TEST(RowWriter, PathsThatCannotBeWrittenAreErrors) {
  Scratch scratch;
  PosixFileSystem files;
  const auto open = [&](const char* name) {
    const auto body = [&] { RowWriter(files, scratch.path(name), kColumns); };
    return error_text(body);
  };
  EXPECT_TRUE(has(open("a.tsv.gz"), "a.tsv.gz: cannot write compressed files"));
  EXPECT_TRUE(has(open("a.txt"), "a.txt: text has no columns to write to"));
  EXPECT_TRUE(has(open("a.parquet"), "the ending does not say the format"));
  EXPECT_TRUE(has(open("folder/a.tsv"), "cannot create: No such file or directory"));
}

TEST(RowWriter, RowsOfAnotherWidthAreRefused) {
  Scratch scratch;
  PosixFileSystem files;
  EXPECT_TRUE(has(error_text([&] { RowWriter(files, scratch.path("a.tsv"), {}); }), "no columns"));
  RowWriter out(files, scratch.path("a.tsv"), {"a", "b"});
  out.text("x");
  EXPECT_TRUE(has(error_text([&] { out.end_row(); }), "1 values in a row. Expected 2"));
  EXPECT_TRUE(has(error_text([&] { out.flush(); }), "flush inside a row"));
  out.text("y");
  EXPECT_TRUE(has(error_text([&] { out.text("z"); }), "more values than the 2 columns"));
}

TEST(RowWriter, AnyFailureOfTheDiskLeavesTheOldOrTheWholeFile) {
  const auto run = [](FileSystem& disk) {
    RowWriter out(disk, "a.csv", kColumns, {.resume = true});
    if (out.was_finished()) return;
    write_rows(out, out.rows(), 20);
    out.flush();
    out.finish();
  };
  FaultyFileSystem whole;
  run(whole);
  const std::string expected = read_file(whole, "a.csv");
  for (int64_t k = 0; k < whole.operations(); ++k) {
    FaultyFileSystem disk;
    disk.fail_at(k, Fault::kCrash);
    try {
      run(disk);
    } catch (const SimulatedCrash&) {
    }
    for (uint64_t seed = 0; seed < 6; ++seed) {
      const auto after = disk.after_crash(Survival::kRandom, seed);
      if (after->exists("a.csv")) {
        EXPECT_EQ(read_file(*after, "a.csv"), expected);
      }
      run(*after);
      EXPECT_EQ(read_file(*after, "a.csv"), expected) << "operation " << k;
    }
    FaultyFileSystem full;
    full.fail_at(k, Fault::kNoSpace);
    try {
      run(full);
    } catch (const Error& error) {
      EXPECT_TRUE(has(error.what(), "No space left on device"));
    }
    full.never_fail();
    run(full);
    EXPECT_EQ(read_file(full, "a.csv"), expected);
  }
}

}  // namespace
}  // namespace heddle
