// What metrics share: counted once for a set of predictions, then read by every metric.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trainer/metrics/predictions.h"

namespace heddle {

// One label against the rest.
struct LabelCounts {
  int64_t both = 0;       // true positives
  int64_t predicted = 0;  // rows for which it is predicted
  int64_t support = 0;    // rows that have it

  bool occurs() const { return predicted > 0 || support > 0; }
  double precision() const;
  double recall() const;
  double f1() const;
};

class Counts {
 public:
  // Checks the predictions (check_predictions) and keeps a reference to their data.
  explicit Counts(const Predictions& predictions);

  const Predictions& predictions() const { return predictions_; }
  int64_t rows() const { return predictions_.rows(); }
  int64_t labels() const { return predictions_.num_labels; }
  std::span<const float> row(int64_t row) const {
    return predictions_.logits.subspan(row * labels(), labels());
  }

  // By label; empty for regression.
  const std::vector<LabelCounts>& by_label() const { return by_label_; }
  // [L, L], true by predicted; empty unless single label.
  const std::vector<int64_t>& confusion() const { return confusion_; }
  // The log of the sum of exponentials of each row's logits; empty unless single label.
  const std::vector<double>& log_sum_exp() const { return log_sum_exp_; }
  // Rows whose label, or whose every label, is predicted right; 0 for regression.
  int64_t right() const { return right_; }

  // How strongly each row speaks for the label, in an order that ranks as the probability does.
  std::vector<double> scores(int64_t label) const;
  // Which rows have the label.
  std::vector<bool> truth(int64_t label) const;
  // Column `output` of the logits and of the targets.
  std::vector<double> outputs(int64_t output) const;
  std::vector<double> targets(int64_t output) const;

 private:
  void count_single_label();
  void count_multi_label();

  Predictions predictions_;
  std::vector<LabelCounts> by_label_;
  std::vector<int64_t> confusion_;
  std::vector<double> log_sum_exp_;
  int64_t right_ = 0;
};

// part / whole, or 0 if whole is 0.
double ratio(int64_t part, int64_t whole);

}  // namespace heddle
