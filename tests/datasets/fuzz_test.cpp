// Random and damaged bytes: rows or errors, never a crash, never a row twice, never an endless
// loop.
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "datasets/json_line.h"
#include "datasets/utf8.h"
#include "tests/datasets/compress.h"
#include "tests/datasets/read_all.h"
#include "tests/framework/io/scratch.h"

namespace heddle {
namespace {

// As Scratch::write, but to a new file: rewriting one waits for the disk.
std::string rewrite(const Scratch& scratch, const char* name, const std::string& content) {
  std::filesystem::remove(scratch.path(name));
  return scratch.write(name, content);
}

// Reads all that can be read, tolerating everything; false if the file cannot be read at all.
bool survives(const std::string& path, size_t size) {
  try {
    BadRows bad(1'000'000);
    const auto reader = open_rows({.paths = {path}}, bad);
    size_t rows = 0;
    for (Row row; reader->next(row); ++rows) {
      EXPECT_EQ(row.fields.size(), reader->columns().size());
      for (const std::string_view field : row.fields) {
        EXPECT_EQ(find_bad_byte(field), std::string_view::npos);
      }
    }
    EXPECT_LE(rows + bad.list().size(), size + 1);
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput) << error.what();
    return false;
  }
}

std::string random_text(std::mt19937& random, std::string_view letters, size_t size) {
  std::string text;
  for (size_t i = 0; i < size; ++i) text += letters[random() % letters.size()];
  return text;
}

TEST(Fuzz, RandomBytesAreRowsOrErrors) {
  Scratch scratch;
  std::mt19937 random(7);
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  const std::string structural = std::string("ab,\t\"\n\r{}[]:\\u00\xC3\xA9") + '\0';
  for (const char* name : {"a.tsv", "a.csv", "a.jsonl", "a.txt", "a.tsv.gz", "a.csv.zst"}) {
    for (int round = 0; round < 150; ++round) {
      const std::string& letters = round % 3 == 0 ? all : structural;
      std::string text = "x,y\n" + random_text(random, letters, random() % 300);
      survives(rewrite(scratch, name, text), text.size());
    }
  }
}

TEST(Fuzz, DamagedFilesAreRowsOrErrors) {
  Scratch scratch;
  std::mt19937 random(8);
  const std::string csv = "x,y\n\"a, \"\"b\"\"\",c\r\n\"two\nlines\",caf\xC3\xA9\nlast,row\n";
  const std::string jsonl =
      "{\"x\": \"caf\\u00e9\", \"y\": [1, {\"z\": null}]}\n{\"x\": \"\\ud83d\\ude00\", \"y\": "
      "-1e5}\n";
  const std::vector<std::pair<const char*, std::string>> files = {
      {"a.csv", csv}, {"a.jsonl", jsonl}, {"a.csv.gz", gzip(csv)}, {"a.csv.zst", zstd(csv)}};
  for (const auto& [name, content] : files) {
    for (size_t i = 0; i < content.size(); ++i) {
      std::string damaged = content;
      damaged[i] = static_cast<char>(random());
      survives(rewrite(scratch, name, damaged), 10'000);
      survives(rewrite(scratch, name, content.substr(0, i)), 10'000);
    }
  }
}

TEST(Fuzz, WhatTheSplittersTakeTheyTakeWhole) {
  // Joined with commas and quoted again, the fields of a record are the record.
  Scratch scratch;
  std::mt19937 random(9);
  for (int round = 0; round < 300; ++round) {
    std::string text = "x,y\n";
    Rows expected;
    for (int r = 0; r < 5; ++r) {
      std::vector<std::string> row;
      for (int column = 0; column < 2; ++column) {
        row.push_back(random_text(random, "a,\"\n\r\té", random() % 8));
        while (find_bad_byte(row.back()) != std::string::npos) row.back().pop_back();
        std::string quoted;
        for (const char c : row.back()) quoted += c == '"' ? "\"\"" : std::string(1, c);
        text += "\"" + quoted + (column == 0 ? "\"," : r % 2 == 0 ? "\"\r\n" : "\"\n");
      }
      expected.push_back(row);
    }
    ASSERT_EQ(read_all(rewrite(scratch, "a.csv", text)), expected);
  }
}

TEST(Utf8, FindsTheFirstBadByteWhereverItIs) {
  const std::vector<std::string> bad = {"\xFF",
                                        "\xC0\x80",
                                        "\xC3",
                                        "\xE0\x80\x80",
                                        "\xED\xA0\x80",
                                        "\xF4\x90\x80\x80",
                                        "\xF0\x80\x80\x80",
                                        "\x80",
                                        "\xE2\x82",
                                        "\xF0\x9F\x98",
                                        std::string(1, '\0')};
  const std::vector<std::string> good = {"é", "€", "😀", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF", "\x7F"};
  for (size_t before = 0; before < 40; ++before) {
    for (const std::string& part : bad) {
      const std::string text = std::string(before, 'a') + part + "aaaaaaaaaaaaaaaaaaaa";
      EXPECT_EQ(find_bad_byte(text), before);
    }
    for (const std::string& part : good) {
      const std::string text = std::string(before, 'a') + part + part;
      EXPECT_EQ(find_bad_byte(text), std::string::npos);
      EXPECT_EQ(find_bad_byte(text + "\xFF"), text.size());
      EXPECT_EQ(count_characters(text), before + 2);
    }
  }
}

TEST(Utf8, QuotesAreCutAndFitATerminal) {
  EXPECT_EQ(quote_start("short"), "'short'");
  EXPECT_EQ(quote_start("a\tb\n\r\x1b\xFF"), "'a\\tb\\n\\r\\x1b\\xff'");
  EXPECT_EQ(quote_start(std::string(50, 'x')), "'" + std::string(40, 'x') + "…'");
  EXPECT_EQ(quote_start("éé€", 2), "'éé…'");
}

}  // namespace
}  // namespace heddle
