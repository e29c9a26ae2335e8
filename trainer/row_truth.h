// What the labels of rows say, as metrics take it.
//
//   RowTruth truth(served.config);
//   truth.add(row, column);                          // once a row
//   MetricReport report = evaluate(truth.predictions(logits));
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "datasets/labels.h"
#include "models/config.h"
#include "trainer/metrics/predictions.h"

namespace heddle {

class RowTruth {
 public:
  // `config` outlives this.
  explicit RowTruth(const ClassifierConfig& config);

  // The label in that column of the row. Throws RowError, and adds nothing, if the model does not
  // know it.
  void add(const Row& row, size_t column);
  // With the logits [rows, outputs] of the rows that were added, which outlive the result, as this
  // does.
  Predictions predictions(std::span<const float> logits) const;

 private:
  const ClassifierConfig& config_;
  LabelSet labels_;
  std::vector<int64_t> classes_;
  std::vector<float> targets_;
};

}  // namespace heddle
