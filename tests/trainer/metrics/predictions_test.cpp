#include "trainer/metrics/predictions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "framework/core/error.h"

namespace heddle {
namespace {

const std::vector<std::string> kTwo{"no", "yes"};

void expect_refused(const Predictions& predictions, const std::string& fragment) {
  try {
    check_predictions(predictions);
    ADD_FAILURE() << "accepted; expected: " << fragment;
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find(fragment), std::string::npos) << error.what();
  }
}

TEST(Predictions, WrongSizesAreRefused) {
  const std::vector<float> logits{1, 2, 3, 4};
  const std::vector<int64_t> classes{0, 1};
  const std::vector<float> targets{0, 1, 2, 0};
  const Predictions good{.problem = Problem::kSingleLabel,
                         .num_labels = 2,
                         .logits = logits,
                         .classes = classes,
                         .label_names = kTwo};
  check_predictions(good);

  Predictions bad = good;
  bad.num_labels = 1;
  expect_refused(bad, "1 labels for a single_label problem. Expected at least 2");
  bad = good;
  bad.logits = bad.logits.subspan(1);
  expect_refused(bad, "3 logits for 2 labels. Expected [N, 2]");
  bad = good;
  bad.label_names = {};
  expect_refused(bad, "0 label names for 2 labels");
  bad = good;
  bad.classes = bad.classes.subspan(1);
  expect_refused(bad, "1 classes for 2 rows of logits");
  const std::vector<int64_t> outside{0, 2};
  bad = good;
  bad.classes = outside;
  expect_refused(bad, "class 2 is outside [0, 2)");
  bad = good;
  bad.problem = Problem::kMultiLabel;
  expect_refused(bad, "0 targets for 4 logits");
  bad.targets = targets;
  expect_refused(bad, "multi-label target 2. Expected 0 or 1");
}

TEST(Predictions, LogitThatIsNotFiniteIsNamedByItsRow) {
  const std::vector<float> logits{1, 2, 3, std::numeric_limits<float>::quiet_NaN()};
  const std::vector<int64_t> classes{0, 1};
  try {
    check_predictions({.problem = Problem::kSingleLabel,
                       .num_labels = 2,
                       .logits = logits,
                       .classes = classes,
                       .label_names = kTwo});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("a logit of row 1 is nan"), std::string::npos)
        << error.what();
    EXPECT_NE(error.hint().find("optimizer.lr"), std::string::npos);
  }
}

TEST(Predictions, TargetThatIsNotFiniteIsNamedByItsRow) {
  const std::vector<float> logits{1, 2};
  const std::vector<float> targets{1, std::numeric_limits<float>::infinity()};
  const std::vector<std::string> names{"score"};
  try {
    check_predictions({.problem = Problem::kRegression,
                       .num_labels = 1,
                       .logits = logits,
                       .targets = targets,
                       .label_names = names});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("the target of row 1 is inf"), std::string::npos)
        << error.what();
  }
}

TEST(Problem, NamesGoBothWays) {
  for (Problem problem : {Problem::kSingleLabel, Problem::kMultiLabel, Problem::kRegression}) {
    EXPECT_EQ(problem_named(name_of(problem)), problem);
  }
  try {
    problem_named("multilabel", "config.json: ");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "config.json: unknown problem 'multilabel'");
    EXPECT_EQ(error.hint(), "did you mean 'multi_label'?");
  }
}

TEST(Probabilities, SoftmaxSumsToOneAndDoesNotOverflow) {
  const std::vector<float> logits{1000, 1001, 999};
  const std::vector<double> p = probabilities(Problem::kSingleLabel, logits);
  EXPECT_NEAR(p[0] + p[1] + p[2], 1, 1e-15);
  EXPECT_NEAR(p[1] / p[0], std::exp(1.0), 1e-12);
}

TEST(Probabilities, SigmoidOfEachForSeveralLabelsAndNothingForRegression) {
  const std::vector<float> logits{0, -2};
  EXPECT_EQ(probabilities(Problem::kMultiLabel, logits)[0], 0.5);
  EXPECT_NEAR(probabilities(Problem::kMultiLabel, logits)[1], 0.11920292202211755, 1e-15);
  EXPECT_EQ(probabilities(Problem::kRegression, logits)[1], -2);
}

TEST(PredictedClass, TakesTheFirstOfEquals) {
  EXPECT_EQ(predicted_class(std::vector<float>{1, 3, 3}), 1);
  EXPECT_FALSE(predicted_on(0));
  EXPECT_TRUE(predicted_on(1e-6f));
}

}  // namespace
}  // namespace heddle
