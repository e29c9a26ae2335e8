#include "trainer/metrics/counts.h"

#include <algorithm>
#include <cmath>

namespace heddle {
namespace {

double log_of_sum_of_exponentials(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) {
    sum += std::exp(logit - largest);
  }
  return largest + std::log(sum);
}

}  // namespace

double ratio(int64_t part, int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

double LabelCounts::precision() const {
  return ratio(both, predicted);
}

double LabelCounts::recall() const {
  return ratio(both, support);
}

double LabelCounts::f1() const {
  return ratio(2 * both, predicted + support);
}

Counts::Counts(const Predictions& predictions) : predictions_(predictions) {
  check_predictions(predictions);
  if (predictions.problem == Problem::kSingleLabel) {
    count_single_label();
  } else if (predictions.problem == Problem::kMultiLabel) {
    count_multi_label();
  }
}

void Counts::count_single_label() {
  by_label_.resize(labels());
  confusion_.resize(labels() * labels());
  log_sum_exp_.resize(rows());
  for (int64_t i = 0; i < rows(); ++i) {
    const int64_t predicted = predicted_class(row(i));
    const int64_t actual = predictions_.classes[i];
    log_sum_exp_[i] = log_of_sum_of_exponentials(row(i));
    ++confusion_[actual * labels() + predicted];
    ++by_label_[predicted].predicted;
    ++by_label_[actual].support;
    if (predicted == actual) {
      ++by_label_[actual].both;
      ++right_;
    }
  }
}

void Counts::count_multi_label() {
  by_label_.resize(labels());
  for (int64_t i = 0; i < rows(); ++i) {
    bool all_right = true;
    for (int64_t label = 0; label < labels(); ++label) {
      const bool predicted = predicted_on(row(i)[label]);
      const bool actual = predictions_.targets[i * labels() + label] != 0;
      LabelCounts& counts = by_label_[label];
      counts.predicted += predicted;
      counts.support += actual;
      counts.both += predicted && actual;
      all_right = all_right && predicted == actual;
    }
    right_ += all_right;
  }
}

std::vector<double> Counts::scores(int64_t label) const {
  std::vector<double> result(rows());
  for (int64_t i = 0; i < rows(); ++i) {
    if (predictions_.problem != Problem::kSingleLabel) {
      result[i] = row(i)[label];
    } else if (labels() == 2) {
      // The difference ranks as the softmax does, and does not run into 1.0 where that saturates.
      result[i] = static_cast<double>(row(i)[label]) - static_cast<double>(row(i)[1 - label]);
    } else {
      result[i] = row(i)[label] - log_sum_exp_[i];
    }
  }
  return result;
}

std::vector<bool> Counts::truth(int64_t label) const {
  std::vector<bool> result(rows());
  for (int64_t i = 0; i < rows(); ++i) {
    result[i] = predictions_.problem == Problem::kSingleLabel
                    ? predictions_.classes[i] == label
                    : predictions_.targets[i * labels() + label] != 0;
  }
  return result;
}

std::vector<double> Counts::outputs(int64_t output) const {
  std::vector<double> result(rows());
  for (int64_t i = 0; i < rows(); ++i) {
    result[i] = row(i)[output];
  }
  return result;
}

std::vector<double> Counts::targets(int64_t output) const {
  std::vector<double> result(rows());
  for (int64_t i = 0; i < rows(); ++i) {
    result[i] = predictions_.targets[i * labels() + output];
  }
  return result;
}

}  // namespace heddle
