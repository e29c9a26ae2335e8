// The library example of README.md: that it is the file beside this one, and that it answers what
// the program answers.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr const char* kCat = "a large wild cat that hunts alone at night";
constexpr const char* kCake = "a sweet cake baked with honey and nuts";

std::string content(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Answer {
  int status = 0;
  std::string output;  // standard output and standard error
};

Answer run(const std::string& command) {
  Answer answer;
  FILE* pipe = popen(("cd '" HEDDLE_SOURCE_DIR "' && " + command + " 2>&1").c_str(), "r");
  std::vector<char> buffer(4096);
  while (size_t bytes = fread(buffer.data(), 1, buffer.size(), pipe)) {
    answer.output.append(buffer.data(), bytes);
  }
  answer.status = WEXITSTATUS(pclose(pipe));
  return answer;
}

std::string quoted(const std::string& text) {
  return "'" + text + "'";
}

// A run of two steps of a tiny encoder.
std::string tiny_run() {
  const std::string folder = testing::TempDir() + "example_run";
  std::filesystem::remove_all(folder);
  const Answer trained = run(
      HEDDLE_PROGRAM
      " train configs/quickstart.yaml --threads 1 --quiet --set model.architecture.hidden_size=16 "
      "--set model.architecture.heads=2 --set model.architecture.layers=1 "
      "--set model.architecture.intermediate_size=32 --set training.epochs=~ "
      "--set training.steps=2 --set training.evaluate_every=never --set data.test=~ --set output=" +
      folder);
  EXPECT_EQ(trained.status, 0) << trained.output;
  return folder;
}

// The label and score of each row that `predict` answers, as the example writes them.
std::vector<std::string> predicted_labels(const std::string& model) {
  const std::string rows = testing::TempDir() + "example_rows.tsv";
  std::ofstream(rows) << "definition\n" << kCat << "\n" << kCake << "\n";
  const Answer answer =
      run(HEDDLE_PROGRAM " predict --quiet " + quoted(model) + " " + quoted(rows) + " -o -");
  EXPECT_EQ(answer.status, 0) << answer.output;
  std::vector<std::string> labels;
  std::istringstream lines(answer.output);
  std::string line, text, label, score;
  std::getline(lines, line);  // the header
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::getline(fields, text, '\t');
    std::getline(fields, label, '\t');
    std::getline(fields, score, '\t');
    char rounded[32];
    std::snprintf(rounded, sizeof rounded, "%.4f", std::stod(score));
    labels.push_back("  label  " + label + " " + rounded + "\n");
  }
  return labels;
}

TEST(Example, StandsInTheReadmeAsItIs) {
  const std::string readme = content(HEDDLE_SOURCE_DIR "/README.md");
  const std::string code = content(HEDDLE_SOURCE_DIR "/tests/example/example.cpp");
  ASSERT_FALSE(code.empty());
  EXPECT_NE(readme.find("```cpp\n" + code + "```\n"), std::string::npos)
      << "README.md's C++ example differs from tests/example/example.cpp";
}

TEST(Example, AnswersWhatPredictAnswers) {
  const std::string model = tiny_run();
  const Answer answer =
      run(HEDDLE_EXAMPLE " " + quoted(model) + " " + quoted(kCat) + " " + quoted(kCake));
  ASSERT_EQ(answer.status, 0) << answer.output;
  const std::vector<std::string> labels = predicted_labels(model);
  ASSERT_EQ(labels.size(), 2u);
  for (const std::string& label : labels) {
    EXPECT_NE(answer.output.find(label), std::string::npos) << label << answer.output;
  }
}

TEST(Example, SaysWhatIsWrongWithAModel) {
  const Answer answer = run(HEDDLE_EXAMPLE " no/such/folder text");
  EXPECT_EQ(answer.status, 1);
  EXPECT_NE(answer.output.find("no/such/folder: no model is there"), std::string::npos);
}

}  // namespace
