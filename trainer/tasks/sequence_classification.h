// What it means to classify sequences: which labels there are, what the loss of a batch is, and
// what predictions are compared with.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "datasets/tokenized_dataset.h"
#include "framework/ops/losses.h"
#include "models/config.h"
#include "trainer/config/schema.h"
#include "trainer/metrics/metrics.h"

namespace heddle {

class SequenceClassification {
 public:
  SequenceClassification(Problem problem, std::vector<std::string> labels, double label_smoothing);

  Problem problem() const { return problem_; }
  const LabelSet& labels() const { return labels_; }
  LabelKind label_kind() const;
  int64_t outputs() const { return labels_.size(); }

  // The summed loss of logits [S, outputs] against the labels of `samples` [S], and the number of
  // terms of a sample in the mean that is reported (1, or the outputs, as in Hugging Face).
  Loss loss(const Tensor& logits, const TokenizedDataset& data,
            std::span<const int64_t> samples) const;
  double terms_per_sample() const;

  // Metrics of one row of logits for each row of the data.
  MetricReport report(const TokenizedDataset& data, std::span<const float> logits) const;

 private:
  Problem problem_;
  LabelSet labels_;
  float label_smoothing_;
};

// The mean over each row's sequences: outputs [sequences, width] -> [rows, width].
std::vector<float> mean_by_row(const TokenizedDataset& data, std::span<const float> outputs,
                               int64_t width);

// Decides problem and labels: what the config says, else what the model brings, else what the
// training file holds.
struct LabelDecision {
  Problem problem;
  std::vector<std::string> labels;
};
// `model` is what config.json (or a checkpoint) says; null for a model from scratch.
LabelDecision decide_labels(const HeadConfig& head, const ClassifierConfig* model,
                            const DataSource& train, int64_t skip_bad);

}  // namespace heddle
