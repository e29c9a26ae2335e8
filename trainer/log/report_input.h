// What a report shows, as plain data, and how it is read from a run folder:
//
//   run.json                the state (run_state.h); what makes a folder a run folder
//   config.yaml             the resolved configuration, shown as it is
//   log.jsonl               steps, evaluations and events (jsonl_log.h)
//   test.json               metrics of the test split (metric_report.h); may be missing
//   test_predictions.jsonl  one test row a line; may be missing:
//     {"row": 17, "text": "a gem", "pair": "optional second text", "label": "positive",
//      "predicted": "negative", "score": 0.98}
//     `label` and `predicted` are names, arrays of names (multi label) or numbers (regression);
//     `score` is the probability of what was predicted and is not needed for regression.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/io/file_system.h"
#include "trainer/log/records.h"
#include "trainer/log/run_state.h"
#include "trainer/metrics/metrics.h"

namespace heddle {

// A row of the test split that was predicted wrong.
struct WrongRow {
  int64_t row = 0;
  std::string text = {};
  std::string pair = {};
  std::string label = {};
  std::string predicted = {};
  // How wrong: the probability of the wrong answer, or the distance for regression.
  double severity = 0;
};

struct ReportInput {
  std::string name = {};  // of the run: its folder's
  RunState state = {};
  std::string config = {};
  std::vector<StepRecord> steps = {};
  std::vector<EvaluationRecord> evaluations = {};
  std::vector<EventRecord> events = {};
  std::optional<MetricReport> test = {};
  std::vector<WrongRow> most_wrong = {};   // the worst first, kMostWrong at most
  int64_t wrong_rows = 0;                  // how many there are
  std::vector<std::string> warnings = {};  // lines of the log that cannot be read
};

inline constexpr size_t kMostWrong = 50;

// Throws Error (input) if `folder` is no run folder, and with file and line if a file of it is
// damaged. Lines of log.jsonl that cannot be read are left out, and so is a last one without its
// end: the run may be writing it.
ReportInput read_report_input(FileSystem& files, const std::string& folder);

}  // namespace heddle
