#include "trainer/metrics/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "framework/core/error.h"

namespace heddle {
namespace {

const std::vector<std::string> kTwo{"negative", "positive"};
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

MetricReport binary(const std::vector<float>& logits, const std::vector<int64_t>& classes) {
  return evaluate({.problem = Problem::kSingleLabel,
                   .num_labels = 2,
                   .logits = logits,
                   .classes = classes,
                   .label_names = kTwo});
}

TEST(Metrics, TruthOfOneClassHasNoAurocAndNoMatthews) {
  const MetricReport report = binary({0, 1, 2, 0}, {1, 1});
  EXPECT_DOUBLE_EQ(report.value("accuracy"), 0.5);
  EXPECT_TRUE(std::isnan(report.value("auroc")));
  EXPECT_TRUE(std::isnan(report.value("matthews")));
  EXPECT_TRUE(std::isnan(report.per_label[0].auroc));
}

TEST(Metrics, ConstantPredictionHasMatthewsZero) {
  EXPECT_EQ(binary({0, 1, 0, 2}, {0, 1}).value("matthews"), 0);
}

TEST(Metrics, LabelThatOccursNowhereIsLeftOutOfTheMacroAverage) {
  const MetricReport report = binary({0, 1, 0, 2}, {1, 1});
  EXPECT_EQ(report.value("macro_f1"), 1);
  EXPECT_TRUE(std::isnan(report.per_label[0].f1));
  EXPECT_EQ(report.per_label[1].f1, 1);
}

TEST(Metrics, LabelNeverPredictedCountsZeroInTheMacroAverage) {
  const MetricReport report = binary({0, 1, 0, 2}, {0, 1});
  EXPECT_DOUBLE_EQ(report.value("macro_recall"), 0.5);
  EXPECT_DOUBLE_EQ(report.value("macro_precision"), 0.25);
}

TEST(Metrics, NoRowsHaveNoValueAtAll) {
  for (Problem problem : {Problem::kSingleLabel, Problem::kMultiLabel, Problem::kRegression}) {
    const MetricReport report =
        evaluate({.problem = problem, .num_labels = 2, .label_names = kTwo});
    EXPECT_EQ(report.rows, 0);
    for (const MetricValue& of : report.values) {
      EXPECT_TRUE(std::isnan(of.value)) << name_of(problem) << " " << of.name << " " << of.value;
    }
  }
}

TEST(Metrics, AurocTellsScoresApartWhereTheSoftmaxSaturates) {
  EXPECT_EQ(binary({0, 100, 0, 90}, {1, 0}).value("auroc"), 1);
}

TEST(Metrics, LogLossOfAVeryWrongRowIsFinite) {
  EXPECT_NEAR(binary({0, 1000}, {0}).value("log_loss"), 1000, 1e-9);
}

TEST(Metrics, ConstantRegressionHasErrorsAndNoCorrelation) {
  const std::vector<float> outputs{0.1f, 0.1f, 0.1f};
  const std::vector<float> targets{1, 2, 3};
  const std::vector<std::string> names{"score"};
  const MetricReport report = evaluate({.problem = Problem::kRegression,
                                        .num_labels = 1,
                                        .logits = outputs,
                                        .targets = targets,
                                        .label_names = names});
  EXPECT_TRUE(std::isnan(report.value("pearson")));
  EXPECT_TRUE(std::isnan(report.value("spearman")));
  EXPECT_NEAR(report.value("mae"), 1.9, 1e-7);
}

TEST(Metrics, CalibrationBinsHoldEveryRowOnce) {
  const MetricReport report = binary({0, 0, 0, 1, 0, 100}, {0, 1, 0});
  ASSERT_EQ(report.calibration.size(), 15u);
  int64_t rows = 0;
  for (const CalibrationBin& bin : report.calibration) {
    rows += bin.rows;
  }
  EXPECT_EQ(rows, 3);
  EXPECT_EQ(report.calibration[7].rows, 1);  // one half lies in (7/15, 8/15]
  EXPECT_EQ(report.calibration[14].rows, 1);
  EXPECT_EQ(report.calibration[14].accuracy, 0);
  EXPECT_TRUE(std::isnan(report.calibration[0].confidence));
}

TEST(Metrics, UnknownNameIsRefusedWithTheNearest) {
  try {
    find_metric("acuracy", Problem::kSingleLabel, "sst2.yaml:14: ");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    EXPECT_STREQ(error.what(), "sst2.yaml:14: no metric 'acuracy' for a single_label problem");
    EXPECT_EQ(error.hint(), "did you mean 'accuracy'?");
  }
}

TEST(Metrics, NameOfAnotherProblemIsRefusedWithTheKnownOnes) {
  try {
    find_metric("accuracy", Problem::kRegression);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "no metric 'accuracy' for a regression problem");
    EXPECT_EQ(error.hint(), "known: pearson, spearman, mse, mae");
  }
}

TEST(Metrics, ReportWithoutTheMetricSaysSo) {
  try {
    binary({0, 1}, {1}).value("mse");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("the report has no metric 'mse'"), std::string::npos);
  }
}

TEST(Metrics, DefaultMetricOfEachProblem) {
  EXPECT_EQ(default_metric(Problem::kSingleLabel).name, "accuracy");
  EXPECT_EQ(default_metric(Problem::kMultiLabel).name, "micro_f1");
  EXPECT_EQ(default_metric(Problem::kRegression).name, "mse");
}

TEST(Improves, FollowsTheDirectionAndIgnoresNaN) {
  const Metric& accuracy = find_metric("accuracy", Problem::kSingleLabel);
  const Metric& loss = find_metric("log_loss", Problem::kSingleLabel);
  EXPECT_TRUE(improves(accuracy, 0.9, 0.8));
  EXPECT_FALSE(improves(accuracy, 0.8, 0.8));
  EXPECT_TRUE(improves(loss, 0.3, 0.4));
  EXPECT_FALSE(improves(loss, 0.4, 0.3));
  EXPECT_FALSE(improves(accuracy, kNaN, 0.1));
  EXPECT_FALSE(improves(accuracy, kNaN, kNaN));
  EXPECT_TRUE(improves(accuracy, 0.0, kNaN));
}

}  // namespace
}  // namespace heddle
