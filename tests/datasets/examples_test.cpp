#include "datasets/examples.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/framework/io/scratch.h"

namespace heddle {
namespace {

std::vector<std::string> texts(const DataSource& source, int64_t skip_bad = 0) {
  BadRows bad(skip_bad);
  ExampleReader examples(source, bad);
  std::vector<std::string> found;
  for (Example example; examples.next(example);) {
    found.push_back(examples.has_pair() ? fmt::format("{} + {}", example.text, example.pair)
                                        : std::string(example.text));
  }
  return found;
}

using Texts = std::vector<std::string>;

TEST(ExampleReader, TakesColumnsByNameOrNumber) {
  Scratch scratch;
  const std::string path = scratch.write("a.tsv", "label\tone\ttwo\n1\ta\tb\n");
  EXPECT_EQ(texts({.paths = {path}, .text = "one", .pair = "two"}), (Texts{"a + b"}));
  EXPECT_EQ(texts({.paths = {path}, .text = "2"}), (Texts{"b"}));
  const std::string bare = scratch.write("b.csv", "a,b\nc,d\n");
  EXPECT_EQ(texts({.paths = {bare}, .text = "1", .header = false}), (Texts{"b", "d"}));
  BadRows bad;
  const ExampleReader examples({.paths = {path}, .text = "one", .label = "label"}, bad);
  EXPECT_EQ(examples.label_column(), 0u);
}

TEST(ExampleReader, TextColumnMayGoWithoutSayingWhereThereIsNoDoubt) {
  Scratch scratch;
  EXPECT_EQ(texts({.paths = {scratch.write("a.tsv", "id\ttext\n1\ta\n")}}), (Texts{"a"}));
  EXPECT_EQ(texts({.paths = {scratch.write("b.tsv", "sentence\na\n")}}), (Texts{"a"}));
  EXPECT_EQ(texts({.paths = {scratch.write("c.txt", "a\nb\n")}}), (Texts{"a", "b"}));
  const std::string path = scratch.write("d.tsv", "id\tsentence\n1\ta\n");
  EXPECT_TRUE(has(error_text([&] { texts({.paths = {path}}); }), "which column is the text?"));
  EXPECT_TRUE(has(error_hint([&] { texts({.paths = {path}}); }), "columns: id, sentence"));
}

TEST(ExampleReader, EmptyTextIsAnErrorOrSkipped) {
  Scratch scratch;
  const std::string path = scratch.write("a.tsv", "text\tpair\na\tb\n \t\xC3\xA9\nc\t\n");
  const DataSource source{.paths = {path}, .text = "text", .pair = "pair"};
  EXPECT_EQ(error_text([&] { texts(source); }), path + ":3: empty text in 'text': ' \\té'");
  EXPECT_TRUE(has(error_text([&] { texts(source, 1); }), ":4: empty text in 'pair'"));
  EXPECT_EQ(texts(source, 2), (Texts{"a + b"}));
}

TEST(ExampleReader, JsonValuesThatAreNoTextAreErrors) {
  Scratch scratch;
  const auto read = [&](const std::string& value) {
    const std::string path = scratch.write("a.jsonl", "{\"text\": " + value + "}\n");
    return error_text([&] { texts({.paths = {path}}); });
  };
  EXPECT_TRUE(has(read("[1]"), "a.jsonl:1: 'text' is not a string"));
  EXPECT_TRUE(has(read("null"), "empty text in 'text'"));
  EXPECT_TRUE(has(read("\"\""), "empty text in 'text'"));
  EXPECT_EQ(read("12"), "no error");
}

// Runs `body` with these bytes as standard input.
template <typename Body>
void with_standard_input(const std::string& path, Body&& body) {
  const int saved = ::dup(STDIN_FILENO);
  FILE* file = std::fopen(path.c_str(), "r");
  ::dup2(::fileno(file), STDIN_FILENO);
  body();
  ::dup2(saved, STDIN_FILENO);
  ::close(saved);
  std::fclose(file);
}

TEST(ExampleReader, StandardInputIsTextOrTsvWhereAColumnIsNamed) {
  Scratch scratch;
  with_standard_input(scratch.write("a", "one\ttwo\nthree\tfour\n"), [] {
    EXPECT_EQ(texts({.paths = {"-"}, .format = Format::kText}), (Texts{"one\ttwo", "three\tfour"}));
  });
  with_standard_input(scratch.write("d", "one\ntwo\n"), [] {
    EXPECT_EQ(texts({.paths = {"-"}}), (Texts{"one", "two"}));
  });
  // What looks like columns is no text unless that is said.
  with_standard_input(scratch.write("e", "one\ttwo\n"), [] {
    EXPECT_TRUE(has(error_text([] { texts({.paths = {"-"}}); }), "but looks like tsv"));
  });
  with_standard_input(scratch.write("b", "one\ttwo\nthree\tfour\n"),
                      [] { EXPECT_EQ(texts({.paths = {"-"}, .text = "two"}), (Texts{"four"})); });
  with_standard_input(scratch.write("c", "caf\xE9\n"), [] {
    EXPECT_TRUE(has(error_text([] { texts({.paths = {"-"}}); }), "standard input:1:4: invalid"));
  });
}

}  // namespace
}  // namespace heddle
