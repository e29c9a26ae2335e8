#include "trainer/tasks/sequence_classification.h"

#include <fmt/ranges.h>

#include <utility>

namespace heddle {

SequenceClassification::SequenceClassification(Problem problem, std::vector<std::string> labels,
                                               double label_smoothing)
    : problem_(problem),
      labels_(std::move(labels)),
      label_smoothing_(static_cast<float>(label_smoothing)) {}

LabelKind SequenceClassification::label_kind() const {
  switch (problem_) {
    case Problem::kSingleLabel:
      return LabelKind::kIndex;
    case Problem::kMultiLabel:
      return LabelKind::kMultiHot;
    case Problem::kRegression:
      return LabelKind::kNumbers;
  }
  return LabelKind::kNone;
}

Loss SequenceClassification::loss(const Tensor& logits, const TokenizedDataset& data,
                                  std::span<const int64_t> samples) const {
  if (problem_ == Problem::kSingleLabel) {
    std::vector<int32_t> classes;
    for (int64_t sample : samples) classes.push_back(data.label_index(sample));
    return cross_entropy_sum(
        logits, Tensor::from<int32_t>(classes, {logits.dim(0)}, logits.device()), label_smoothing_);
  }
  std::vector<float> targets;
  for (int64_t sample : samples) {
    const auto values = data.label_values(sample);
    targets.insert(targets.end(), values.begin(), values.end());
  }
  const Tensor target = Tensor::from<float>(targets, logits.shape(), logits.device());
  return problem_ == Problem::kMultiLabel ? binary_cross_entropy_with_logits_sum(logits, target)
                                          : squared_error_sum(logits, target);
}

double SequenceClassification::terms_per_sample() const {
  return problem_ == Problem::kSingleLabel ? 1 : static_cast<double>(outputs());
}

MetricReport SequenceClassification::report(const TokenizedDataset& data,
                                            std::span<const float> logits) const {
  std::vector<int64_t> classes;
  std::vector<float> targets;
  int64_t last_row = -1;
  for (int64_t i = 0; i < data.size(); ++i) {
    if (data.row(i) == last_row) continue;  // a further window of the same row
    last_row = data.row(i);
    if (problem_ == Problem::kSingleLabel) {
      classes.push_back(data.label_index(i));
    } else {
      const auto values = data.label_values(i);
      targets.insert(targets.end(), values.begin(), values.end());
    }
  }
  return evaluate({.problem = problem_,
                   .num_labels = outputs(),
                   .logits = logits,
                   .classes = classes,
                   .targets = targets,
                   .label_names = labels_.names()});
}

std::vector<float> mean_by_row(const TokenizedDataset& data, std::span<const float> outputs,
                               int64_t width) {
  std::vector<double> sums(static_cast<size_t>(data.rows() * width));
  std::vector<int64_t> counts(static_cast<size_t>(data.rows()));
  for (int64_t i = 0; i < data.size(); ++i) {
    const auto row = static_cast<size_t>(data.row(i));
    ++counts[row];
    for (size_t c = 0; c < static_cast<size_t>(width); ++c) {
      sums[row * static_cast<size_t>(width) + c] += outputs[static_cast<size_t>(i * width) + c];
    }
  }
  std::vector<float> means(sums.size());
  for (size_t i = 0; i < means.size(); ++i) {
    means[i] =
        static_cast<float>(sums[i] / static_cast<double>(counts[i / static_cast<size_t>(width)]));
  }
  return means;
}

LabelDecision decide_labels(const HeadConfig& head, const ClassifierConfig* model,
                            const DataSource& train, int64_t skip_bad) {
  const bool model_knows = model && !LabelSet(model->labels).generic();
  LabelDecision decision{Problem::kSingleLabel, {}};
  if (head.problem != "auto")
    decision.problem = problem_named(head.problem);
  else if (model)
    decision.problem = model->problem;

  if (head.labels) {
    decision.labels = *head.labels;
  } else if (model_knows) {
    decision.labels = model->labels;
  } else if (decision.problem == Problem::kRegression) {
    decision.labels = model && model->problem == Problem::kRegression
                          ? model->labels
                          : std::vector<std::string>{train.label};
  } else {
    BadRows bad(skip_bad);
    decision.labels = survey_labels(train, bad).names;
  }
  if (decision.labels.empty()) {
    throw Error(ExitCode::kInput, fmt::format("{}: has no row", fmt::join(train.paths, ", ")),
                "at least one row of data is needed");
  }
  if (decision.problem == Problem::kSingleLabel && decision.labels.size() < 2) {
    throw Error(ExitCode::kInput,
                fmt::format("{}: column '{}' holds only the label '{}'", train.paths.front(),
                            train.label, decision.labels.front()),
                "a classifier needs two labels or more; for numbers set model.head.problem: "
                "regression");
  }
  return decision;
}

}  // namespace heddle
