// A report of metrics as text for a terminal and as JSON for a file.
//
// The JSON, which `evaluate --json` prints and a run's test.json holds (null stands for NaN):
//   {"problem": "single_label", "rows": 872, "metrics": {"accuracy": 0.93, ...},
//    "labels": ["negative", "positive"],
//    "per_label": [{"label": "negative", "support": 428, "precision": 0.93, "recall": 0.92,
//                   "f1": 0.92, "auroc": 0.98}, ...],               classification
//    "confusion": [[395, 33], [27, 417]],                           single label; true by predicted
//    "calibration": [{"low": 0, "high": 0.0667, "rows": 0, "confidence": null, "accuracy": null},
//                    ...]}                                          single label
#pragma once

#include <string>

#include "framework/io/json.h"
#include "trainer/metrics/metrics.h"

namespace heddle {

// "0.9312", "1.234e-05", "n/a" for NaN.
std::string format_metric(double value);

// One line a metric; for classification a second table with one line a label.
std::string metrics_table(const MetricReport& report);

// Rows are true labels, columns predicted ones. "" if the report has no confusion matrix.
std::string confusion_table(const MetricReport& report);

Json to_json(const MetricReport& report);

// Reads what to_json wrote. Throws Error (input) that names what is missing or of the wrong kind.
MetricReport metric_report_from_json(const JsonView& json);

}  // namespace heddle
