// Every metric against scikit-learn; fixture.json and how it was made: make_fixture.py.
#include <gtest/gtest.h>

#include <cmath>

#include "framework/io/json.h"
#include "trainer/metrics/metrics.h"

namespace heddle {
namespace {

constexpr double kTolerance = 1e-12;

void expect_same(double ours, const JsonView& expected, std::string_view key,
                 const std::string& what) {
  if (!expected.has(key)) {
    EXPECT_TRUE(std::isnan(ours)) << what << ": " << ours;
  } else {
    EXPECT_NEAR(ours, expected[key].number(), kTolerance) << what;
  }
}

template <typename T>
std::vector<T> numbers(const JsonView& json) {
  std::vector<T> result;
  for (size_t i = 0; i < json.size(); ++i) {
    result.push_back(static_cast<T>(json.at(i).number()));
  }
  return result;
}

void check_case(const JsonView& expected) {
  const std::string name = expected["name"].string();
  const auto labels = expected["labels"].integer();
  std::vector<std::string> names;
  for (int64_t i = 0; i < labels; ++i) {
    names.push_back("label " + std::to_string(i));
  }
  const auto logits = numbers<float>(expected["logits"]);
  std::vector<int64_t> classes;
  std::vector<float> targets;
  if (expected.has("classes")) {
    classes = numbers<int64_t>(expected["classes"]);
  } else {
    targets = numbers<float>(expected["targets"]);
  }
  const MetricReport report = evaluate({.problem = problem_named(expected["problem"].string()),
                                        .num_labels = labels,
                                        .logits = logits,
                                        .classes = classes,
                                        .targets = targets,
                                        .label_names = names});
  EXPECT_EQ(report.values.size(), expected["metrics"].size()) << name;
  for (const MetricValue& of : report.values) {
    EXPECT_TRUE(expected["metrics"].has(of.name)) << name << ": " << of.name;
    expect_same(of.value, expected["metrics"], of.name, name + ": " + of.name);
  }
  if (expected.has("per_label")) {
    ASSERT_EQ(report.per_label.size(), expected["per_label"].size()) << name;
    for (size_t i = 0; i < report.per_label.size(); ++i) {
      const JsonView label = expected["per_label"].at(i);
      const LabelMetrics& ours = report.per_label[i];
      EXPECT_EQ(ours.support, label["support"].integer()) << name;
      expect_same(ours.precision, label, "precision", name + ": precision of " + ours.label);
      expect_same(ours.recall, label, "recall", name + ": recall of " + ours.label);
      expect_same(ours.f1, label, "f1", name + ": F1 of " + ours.label);
      expect_same(ours.auroc, label, "auroc", name + ": AUROC of " + ours.label);
    }
  }
  if (expected.has("confusion")) {
    for (int64_t i = 0; i < labels * labels; ++i) {
      EXPECT_EQ(report.confusion[i], expected["confusion"].at(i / labels).at(i % labels).integer())
          << name;
    }
  }
}

TEST(Metrics, EqualThoseOfScikitLearn) {
  PosixFileSystem files;
  const std::string path = HEDDLE_SOURCE_DIR "/tests/trainer/metrics/fixture.json";
  const Json fixture = read_json(files, path);
  const JsonView cases = JsonView(fixture, path)["cases"];
  ASSERT_EQ(cases.size(), 6u);
  for (size_t i = 0; i < cases.size(); ++i) {
    check_case(cases.at(i));
  }
}

}  // namespace
}  // namespace heddle
