// Models to serve, rows to serve them, and the jobs on any number of ranks: what the tests of
// predict, evaluate and features share.
//
//   const Scratch scratch;
//   const auto served = served_model(scratch, {Problem::kMultiLabel, {"x", "y", "z"}});
//   const std::string answers = predicted(*served, {.input = …, .output = …}, 4);
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/trainer/tiny_run.h"
#include "trainer/features.h"
#include "trainer/predict.h"
#include "trainer/served_model.h"

namespace heddle {

struct Head {
  Problem problem = Problem::kSingleLabel;
  std::vector<std::string> labels = {"a", "b"};
};

// A Hugging Face folder of a BERT of 2 layers of 16 with random weights, large enough for answers
// that differ.
std::string model_folder(const Scratch& scratch, const std::string& name, const Head& head = {});
std::unique_ptr<ServedModel> served_model(const Scratch& scratch, const Head& head = {});

// Lines "text\tlabel" behind a header, of 1 to 40 words.
std::string rows_of_all_lengths(int rows);

// The output file of predict on so many ranks.
std::string predicted(const ServedModel& served, const PredictOptions& options, int ranks);
// The output file of extract_features.
std::string extracted(const ServedModel& served, const FeatureOptions& options, int ranks);
// What evaluate_rows reports.
MetricReport evaluated(const ServedModel& served, const DataSource& input, int ranks);

}  // namespace heddle
