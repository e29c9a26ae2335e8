#include "trainer/metrics/metric_report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace heddle {
namespace {

const std::vector<std::string> kNames{"negative", "positive"};
const std::vector<float> kLogits{2, 1, 0, 3, 1, 0, 0, 1};
const std::vector<int64_t> kClasses{0, 1, 1, 1};

MetricReport small_report() {
  return evaluate({.problem = Problem::kSingleLabel,
                   .num_labels = 2,
                   .logits = kLogits,
                   .classes = kClasses,
                   .label_names = kNames});
}

TEST(FormatMetric, KeepsFourDigitsOfSmallAndLargeNumbers) {
  EXPECT_EQ(format_metric(0.93123), "0.9312");
  EXPECT_EQ(format_metric(0), "0.0000");
  EXPECT_EQ(format_metric(0.0000123456), "1.235e-05");
  EXPECT_EQ(format_metric(-12345678), "-1.235e+07");
  EXPECT_EQ(format_metric(std::numeric_limits<double>::quiet_NaN()), "n/a");
}

TEST(MetricsTable, ShowsEveryMetricAndEveryLabel) {
  const std::string table = metrics_table(small_report());
  EXPECT_EQ(table.substr(0, table.find("macro_f1")),
            "metric              value\n"
            "accuracy           0.7500\n");
  EXPECT_NE(table.find("\nrows                    4\n"), std::string::npos) << table;
  EXPECT_NE(table.find("\nlabel     support  precision  recall      f1   auroc\n"
                       "negative        1     0.5000  1.0000  0.6667  0.8333\n"
                       "positive        3     1.0000  0.6667  0.8000  0.8333\n"),
            std::string::npos)
      << table;
}

TEST(ConfusionTable, HasTrueLabelsAsRows) {
  EXPECT_EQ(confusion_table(small_report()),
            "true \\ predicted  negative  positive\n"
            "negative                 1         0\n"
            "positive                 1         2\n");
  EXPECT_EQ(confusion_table(MetricReport{}), "");
}

TEST(MetricReportJson, RoundTripKeepsEverything) {
  const std::vector<float> targets{0, 1, 0, 1, 0, 0, 0, 1};  // "negative" never occurs
  for (Problem problem : {Problem::kSingleLabel, Problem::kMultiLabel, Problem::kRegression}) {
    const bool single = problem == Problem::kSingleLabel;
    const MetricReport report = evaluate(
        {.problem = problem,
         .num_labels = 2,
         .logits = kLogits,
         .classes = single ? std::span<const int64_t>(kClasses) : std::span<const int64_t>(),
         .targets = single ? std::span<const float>() : std::span<const float>(targets),
         .label_names = kNames});
    const Json json = parse_json(dump_json(to_json(report)), "test.json");
    const MetricReport again = metric_report_from_json(JsonView(json, "test.json"));
    EXPECT_EQ(dump_json(to_json(again)), dump_json(to_json(report)));
    EXPECT_EQ(metrics_table(again), metrics_table(report));
    EXPECT_EQ(confusion_table(again), confusion_table(report));
    EXPECT_EQ(again.calibration.size(), report.calibration.size());
  }
}

TEST(MetricReportJson, UndefinedIsNull) {
  MetricReport report{.problem = Problem::kRegression, .rows = 1, .label_names = {"score"}};
  report.values = {{"pearson", std::numeric_limits<double>::quiet_NaN()}, {"mse", 0.5}};
  const Json json = to_json(report);
  EXPECT_EQ(dump_json(json["metrics"]), R"({"mse":0.5,"pearson":null})");
  const MetricReport again = metric_report_from_json(JsonView(json, "test.json"));
  EXPECT_TRUE(std::isnan(again.value("pearson")));
  EXPECT_EQ(again.value("mse"), 0.5);
}

void expect_unreadable(const std::string& text, const std::string& fragment) {
  const Json json = parse_json(text, "test.json");
  try {
    metric_report_from_json(JsonView(json, "test.json"));
    ADD_FAILURE() << "read; expected: " << fragment;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    EXPECT_NE(std::string(error.what()).find(fragment), std::string::npos) << error.what();
  }
}

TEST(MetricReportJson, DamageIsNamed) {
  expect_unreadable(R"({"problem": "single", "rows": 1, "labels": [], "metrics": {}})",
                    "test.json: unknown problem 'single'");
  expect_unreadable(R"({"problem": "regression", "labels": [], "metrics": {}})", "rows");
  expect_unreadable(R"({"problem": "single_label", "rows": 1, "labels": ["a", "b"], "metrics": {},
                        "confusion": [[1, 2]]})",
                    "'confusion' has 1 rows for 2 labels");
  expect_unreadable(R"({"problem": "single_label", "rows": 1, "labels": ["a", "b"], "metrics": {},
                        "confusion": [[1, 2], [3]]})",
                    "'confusion[1]' has 1 counts for 2 labels");
}

}  // namespace
}  // namespace heddle
