#include "trainer/row_truth.h"

namespace heddle {

RowTruth::RowTruth(const ClassifierConfig& config) : config_(config), labels_(config.labels) {}

void RowTruth::add(const Row& row, size_t column) {
  if (config_.problem == Problem::kSingleLabel) {
    classes_.push_back(parse_label_index(row, column, labels_));
    return;
  }
  std::vector<float> values(static_cast<size_t>(config_.outputs()));
  if (config_.problem == Problem::kMultiLabel)
    parse_multi_hot(row, column, labels_, values);
  else
    parse_numbers(row, column, values);
  targets_.insert(targets_.end(), values.begin(), values.end());
}

Predictions RowTruth::predictions(std::span<const float> logits) const {
  return {.problem = config_.problem,
          .num_labels = config_.outputs(),
          .logits = logits,
          .classes = classes_,
          .targets = targets_,
          .label_names = config_.labels};
}

}  // namespace heddle
