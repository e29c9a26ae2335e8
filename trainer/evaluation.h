// Metrics of a model on a data set, in training and after it.
#pragma once

#include <string>
#include <vector>

#include "datasets/tokenized_dataset.h"
#include "framework/io/file_system.h"
#include "framework/parallel/mesh.h"
#include "models/classifier.h"
#include "trainer/tasks/sequence_classification.h"

namespace heddle {

struct Evaluation {
  MetricReport report;        // on rank 0
  std::vector<float> logits;  // [rows, outputs], on rank 0
  double seconds = 0;
};

// Collective: every rank predicts a part, no row twice.
Evaluation evaluate_dataset(const Classifier& model, const SequenceClassification& task,
                            const TokenizedDataset& data, const Device& device, const Mesh& mesh);

// The rows of the test split and what was predicted, for the report (log/report_input.h).
void write_test_predictions(FileSystem& files, const std::string& path, const DataSource& source,
                            int64_t skip_bad, const SequenceClassification& task,
                            const std::vector<float>& logits);

}  // namespace heddle
