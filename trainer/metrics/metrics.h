// The metrics of classification and regression, by name.
//
//   const Metric& best = find_metric("macro_f1", Problem::kSingleLabel);
//   MetricReport report = evaluate(predictions);
//   if (improves(best, report.value("macro_f1"), best_so_far)) { ... }
//
// Conventions, those of scikit-learn unless said otherwise:
// - A macro average is taken over the labels that occur in the truth or among the predictions.
// - Precision, recall and F1 whose denominator is zero count 0.
// - `auroc` of more than two classes is one against the rest, averaged over the classes that occur
//   but do not fill the data; of several labels, over the labels that have both values.
// - `calibration_error` is the expected calibration error over 15 bins of equal width (Guo et al.
//   2017).
// - What the data cannot answer is NaN, shown as n/a and written as null:
//   any metric of no rows;
//   `auroc` and `matthews` when the truth has one class;
//   correlations with a constant side.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/metrics/predictions.h"

namespace heddle {

class Counts;

struct Metric {
  std::string_view name;
  std::string_view meaning;
  bool higher_is_better;
  double (*function)(const Counts& counts);
};

// The metrics that a problem has, in the order in which they are shown.
std::span<const Metric> metrics_of(Problem problem);

// Throws Error (input) that names the nearest metric if the problem has none of that name; `where`
// opens the message, such as "sst2.yaml:14: ".
const Metric& find_metric(std::string_view name, Problem problem, std::string_view where = "");

// What tells the best checkpoint when nobody says otherwise: accuracy, micro_f1, mse.
const Metric& default_metric(Problem problem);

// Whether `value` is strictly better than `best`. NaN never improves; any number improves on NaN.
bool improves(const Metric& metric, double value, double best);

struct MetricValue {
  std::string name = {};
  double value = 0;
};

struct LabelMetrics {
  std::string label = {};
  int64_t support = 0;  // rows whose truth has the label
  double precision = 0;
  double recall = 0;
  double f1 = 0;
  double auroc = 0;  // this label against the rest
};

// The predictions whose confidence lies in (low, high].
struct CalibrationBin {
  double low = 0;
  double high = 0;
  int64_t rows = 0;
  double confidence = 0;  // mean; NaN without rows
  double accuracy = 0;
};

struct MetricReport {
  Problem problem = Problem::kSingleLabel;
  int64_t rows = 0;
  std::vector<std::string> label_names = {};
  std::vector<MetricValue> values = {};          // in the order of metrics_of(problem)
  std::vector<LabelMetrics> per_label = {};      // classification only
  std::vector<int64_t> confusion = {};           // [L, L], true by predicted; single label only
  std::vector<CalibrationBin> calibration = {};  // single label only

  // The metric's value. Throws std::invalid_argument if the report does not have it.
  double value(std::string_view name) const;
};

// Every metric of the problem. Throws as check_predictions does.
MetricReport evaluate(const Predictions& predictions);

}  // namespace heddle
