#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "trainer/metrics/ranking.h"
#include "trainer/metrics/tables.h"

namespace heddle {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
constexpr int kBins = 15;

double share_right(const Counts& counts) {
  return counts.rows() == 0 ? kUndefined : ratio(counts.right(), counts.rows());
}

// The mean of value(label) over the labels for which it is defined.
template <typename Value>
double macro(const Counts& counts, Value value) {
  double sum = 0;
  int64_t labels = 0;
  for (int64_t label = 0; label < counts.labels(); ++label) {
    const double v = value(label);
    if (!std::isnan(v)) {
      sum += v;
      ++labels;
    }
  }
  return labels == 0 ? kUndefined : sum / static_cast<double>(labels);
}

template <auto member>
double macro_over_occurring(const Counts& counts) {
  return macro(counts, [&](int64_t label) {
    const LabelCounts& of = counts.by_label()[label];
    return of.occurs() ? (of.*member)() : kUndefined;
  });
}

template <auto member>
double micro(const Counts& counts) {
  if (counts.rows() == 0) {
    return kUndefined;
  }
  LabelCounts all;
  for (const LabelCounts& of : counts.by_label()) {
    all.both += of.both;
    all.predicted += of.predicted;
    all.support += of.support;
  }
  return (all.*member)();
}

double auroc(const Counts& counts) {
  if (counts.predictions().problem == Problem::kSingleLabel && counts.labels() == 2) {
    return area_under_roc(counts.scores(1), counts.truth(1));
  }
  return macro(counts, [&](int64_t label) {
    return area_under_roc(counts.scores(label), counts.truth(label));
  });
}

// Gorodkin's R_K, which for two classes is Matthews' correlation.
double matthews(const Counts& counts) {
  const double rows = static_cast<double>(counts.rows());
  double truth_by_prediction = 0;
  double truth_squared = 0;
  double prediction_squared = 0;
  for (const LabelCounts& of : counts.by_label()) {
    const double support = static_cast<double>(of.support);
    const double predicted = static_cast<double>(of.predicted);
    truth_by_prediction += support * predicted;
    truth_squared += support * support;
    prediction_squared += predicted * predicted;
  }
  const double truth_variance = rows * rows - truth_squared;
  const double prediction_variance = rows * rows - prediction_squared;
  if (truth_variance == 0) {
    return kUndefined;
  }
  if (prediction_variance == 0) {
    return 0;  // a constant prediction knows nothing
  }
  return (static_cast<double>(counts.right()) * rows - truth_by_prediction) /
         (std::sqrt(truth_variance) * std::sqrt(prediction_variance));
}

double log_loss(const Counts& counts) {
  if (counts.rows() == 0) {
    return kUndefined;
  }
  double sum = 0;
  for (int64_t i = 0; i < counts.rows(); ++i) {
    sum += counts.log_sum_exp()[i] - counts.row(i)[counts.predictions().classes[i]];
  }
  return sum / static_cast<double>(counts.rows());
}

// The mean over rows and labels of the binary cross-entropy of each.
double binary_log_loss(const Counts& counts) {
  const Predictions& predictions = counts.predictions();
  if (predictions.logits.empty()) {
    return kUndefined;
  }
  double sum = 0;
  for (size_t i = 0; i < predictions.logits.size(); ++i) {
    const double logit = predictions.logits[i];
    sum += std::max(logit, 0.0) - logit * predictions.targets[i] +
           std::log1p(std::exp(-std::abs(logit)));
  }
  return sum / static_cast<double>(predictions.logits.size());
}

double calibration_error(const Counts& counts) {
  if (counts.rows() == 0) {
    return kUndefined;
  }
  double sum = 0;
  for (const CalibrationBin& bin : calibration_bins(counts)) {
    if (bin.rows > 0) {
      sum += static_cast<double>(bin.rows) * std::abs(bin.accuracy - bin.confidence);
    }
  }
  return sum / static_cast<double>(counts.rows());
}

constexpr std::array kSingleLabel{
    Metric{"accuracy", "share of rows predicted right", true, share_right},
    Metric{"macro_f1", "F1, mean over labels", true, macro_over_occurring<&LabelCounts::f1>},
    Metric{"micro_f1", "F1 of all decisions; equals accuracy", true, micro<&LabelCounts::f1>},
    Metric{"macro_precision", "precision, mean over labels", true,
           macro_over_occurring<&LabelCounts::precision>},
    Metric{"macro_recall", "recall, mean over labels", true,
           macro_over_occurring<&LabelCounts::recall>},
    Metric{"matthews", "Matthews' correlation coefficient", true, matthews},
    Metric{"auroc", "area under the ROC curve", true, auroc},
    Metric{"log_loss", "mean of -log p(true label), in nats", false, log_loss},
    Metric{"calibration_error", "expected calibration error, 15 bins", false, calibration_error},
};

constexpr std::array kMultiLabel{
    Metric{"subset_accuracy", "share of rows with every label right", true, share_right},
    Metric{"macro_f1", "F1, mean over labels", true, macro_over_occurring<&LabelCounts::f1>},
    Metric{"micro_f1", "F1 of all decisions", true, micro<&LabelCounts::f1>},
    Metric{"macro_precision", "precision, mean over labels", true,
           macro_over_occurring<&LabelCounts::precision>},
    Metric{"micro_precision", "precision of all decisions", true, micro<&LabelCounts::precision>},
    Metric{"macro_recall", "recall, mean over labels", true,
           macro_over_occurring<&LabelCounts::recall>},
    Metric{"micro_recall", "recall of all decisions", true, micro<&LabelCounts::recall>},
    Metric{"auroc", "area under the ROC curve, mean over labels", true, auroc},
    Metric{"log_loss", "mean binary cross-entropy over rows and labels, in nats", false,
           binary_log_loss},
};

}  // namespace

std::span<const Metric> single_label_metrics() {
  return kSingleLabel;
}

std::span<const Metric> multi_label_metrics() {
  return kMultiLabel;
}

std::vector<CalibrationBin> calibration_bins(const Counts& counts) {
  std::vector<CalibrationBin> bins(kBins);
  for (int64_t i = 0; i < counts.rows(); ++i) {
    const int64_t predicted = predicted_class(counts.row(i));
    const double confidence = std::exp(counts.row(i)[predicted] - counts.log_sum_exp()[i]);
    const int bin = std::clamp(static_cast<int>(std::ceil(confidence * kBins)) - 1, 0, kBins - 1);
    ++bins[bin].rows;
    bins[bin].confidence += confidence;
    bins[bin].accuracy += predicted == counts.predictions().classes[i];
  }
  for (int bin = 0; bin < kBins; ++bin) {
    CalibrationBin& of = bins[bin];
    of.low = static_cast<double>(bin) / kBins;
    of.high = static_cast<double>(bin + 1) / kBins;
    const double rows = of.rows == 0 ? kUndefined : static_cast<double>(of.rows);
    of.confidence /= rows;
    of.accuracy /= rows;
  }
  return bins;
}

}  // namespace heddle
