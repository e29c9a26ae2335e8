// Every YAML of configs/ trains two steps.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace heddle {
namespace {

// What a config needs that is not in the tree: a pretrained folder, downloaded data.
std::string in_place_of_downloads(const std::string& name) {
  const TinyModel& tiny = tiny_model();
  const std::string model = " --set model.from=" + tiny.exported + " --set data.max_length=16";
  if (name != "head_only" && name != "sst2") return "";
  const std::string column = name == "sst2" ? "sentence" : "definition";
  const std::string label = name == "sst2" ? "label" : "kind";
  const std::string rows =
      tiny_file(name + ".tsv", column + "\t" + label + "\na moving film\ta\na dull film\tb\n");
  return model + " --set data.train.path=" + rows + " --set data.validation=" + rows +
         " --set data.test=" + rows;
}

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(HEDDLE_SOURCE_DIR "/configs")) {
    const std::string name = entry.path().stem();
    if (entry.path().extension() == ".yaml" && name != "reference") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ConfigsTest : public testing::TestWithParam<std::string> {};

TEST_P(ConfigsTest, TrainsTwoSteps) {
  const std::string run = tiny_model() / GetParam();
  // The paths in the files are those of the tree's root.
  const Outcome outcome = run_shell(fmt::format(
      "cd {}; {}", HEDDLE_SOURCE_DIR,
      heddle_command(fmt::format("train configs/{}.yaml --set output={} --set training.steps=2 {}",
                                 GetParam(), run, in_place_of_downloads(GetParam())))));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("step 2/2"), std::string::npos) << outcome.err;
  EXPECT_EQ(run_heddle("verify " + run).code, 0);
}

INSTANTIATE_TEST_SUITE_P(Configs, ConfigsTest, testing::ValuesIn(names()),
                         [](const auto& info) { return info.param; });

TEST(Configs, AllFiveAreThere) {
  EXPECT_EQ(names(), (std::vector<std::string>{"head_only", "multi_label", "quickstart",
                                               "regression", "sst2"}));
}

TEST(Configs, ReferenceIsWhatTheProgramDescribes) {
  const Outcome outcome = run_heddle("config --describe");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, read_text(HEDDLE_SOURCE_DIR "/configs/reference.yaml"));
}

}  // namespace
}  // namespace heddle
