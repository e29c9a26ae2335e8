#include "trainer/config/describe.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "tests/trainer/config/config_test_support.h"
#include "trainer/config/known_keys.h"

namespace heddle {
namespace {

std::string file_text(const std::string& path) {
  PosixFileSystem files;
  return read_file(files, std::string(HEDDLE_SOURCE_DIR) + "/" + path);
}

TEST(Describe, IsWhatTheReferenceHolds) {
  EXPECT_EQ(file_text("configs/reference.yaml"), describe())
      << "write it again: heddle config --describe > configs/reference.yaml";
}

TEST(Describe, IsAConfigOfDefaults) {
  const Config config = parse_config(describe(), "reference.yaml");
  Config expected = config_of_lines("");
  expected.output = config.output;
  expected.model.from = config.model.from;
  expected.data.train.path = config.data.train.path;
  EXPECT_EQ(config, expected);
}

TEST(Describe, NamesEveryKey) {
  const std::string text = describe();
  for (const KnownKey& known : all_known_keys()) {
    const std::string last = known.key.substr(known.key.rfind('.') + 1);
    EXPECT_TRUE(has(text, " " + last + ":") || has(text, "\n" + last + ":")) << known.key;
  }
}

// Taking "# " from the lines of a sketch, comment by comment, gives keys that are known.
TEST(Describe, SectionsThatAreCommentedOutAreValid) {
  std::istringstream lines(describe());
  std::string text;
  bool sketch = false;
  for (std::string line; std::getline(lines, line);) {
    const size_t hash = line.find("# ");
    const std::string body = hash == std::string::npos ? "" : line.substr(hash + 2);
    const bool opens = body == "validation:" || body == "early_stop:" || body == "groups:";
    const bool goes_on = sketch && body.starts_with("  ");
    sketch = opens || goes_on;
    text += (sketch ? line.substr(0, hash) + body : line) + "\n";
  }
  const Config config = parse_config(text, "opened.yaml");
  EXPECT_TRUE(config.data.validation);
  EXPECT_TRUE(config.training.early_stop);
  ASSERT_EQ(config.optimizer.groups.size(), 1u);
  EXPECT_EQ(config.optimizer.groups[0].match, "head.*");
}

TEST(Describe, SaysRangeUnitAndWhatIsNotYetThere) {
  const std::string text = describe();
  EXPECT_SAYS(text, "peak learning rate (a number above 0 and at most 100)\n  lr: 5e-5\n");
  EXPECT_SAYS(text, "in tokens");
  EXPECT_SAYS(text, "not yet: f16");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 104u) << line;
}

TEST(Configs, EveryFileIsValidAndFindsItsSamples) {
  int count = 0;
  const std::filesystem::path source = HEDDLE_SOURCE_DIR;
  for (const auto& entry : std::filesystem::directory_iterator(source / "configs")) {
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path().string());
    ++count;
    PosixFileSystem files;
    const Config config = read_config(files, entry.path().string());
    EXPECT_EQ(parse_config(to_yaml(config), "again.yaml"), config);
    const auto expect_sample = [&](const std::string& path) {
      if (!path.starts_with("datasets/")) return;
      EXPECT_TRUE(std::filesystem::exists(source / path)) << path;
    };
    for (const std::string& path : config.data.train.path) expect_sample(path);
    if (config.data.validation) expect_sample(config.data.validation->path[0]);
    if (config.data.test) expect_sample(config.data.test->path[0]);
    if (config.model.tokenizer) expect_sample(*config.model.tokenizer);
  }
  EXPECT_EQ(count, 6);
}

}  // namespace
}  // namespace heddle
