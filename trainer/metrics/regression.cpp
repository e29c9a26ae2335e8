#include <array>
#include <cmath>
#include <limits>

#include "trainer/metrics/ranking.h"
#include "trainer/metrics/tables.h"

namespace heddle {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

// Several outputs: the mean of the correlation of each; undefined as soon as one is.
template <auto correlation>
double mean_correlation(const Counts& counts) {
  double sum = 0;
  for (int64_t output = 0; output < counts.labels(); ++output) {
    sum += correlation(counts.outputs(output), counts.targets(output));
  }
  return sum / static_cast<double>(counts.labels());
}

// The mean of cost(error) over all rows and outputs.
template <auto cost>
double mean_error(const Counts& counts) {
  const Predictions& predictions = counts.predictions();
  if (predictions.logits.empty()) {
    return kUndefined;
  }
  double sum = 0;
  for (size_t i = 0; i < predictions.logits.size(); ++i) {
    sum += cost(static_cast<double>(predictions.logits[i]) -
                static_cast<double>(predictions.targets[i]));
  }
  return sum / static_cast<double>(predictions.logits.size());
}

double square(double x) {
  return x * x;
}

double magnitude(double x) {
  return std::abs(x);
}

constexpr std::array kRegression{
    Metric{"pearson", "Pearson's correlation", true, mean_correlation<pearson_correlation>},
    Metric{"spearman", "Spearman's rank correlation", true, mean_correlation<spearman_correlation>},
    Metric{"mse", "mean squared error", false, mean_error<square>},
    Metric{"mae", "mean absolute error", false, mean_error<magnitude>},
};

}  // namespace

std::span<const Metric> regression_metrics() {
  return kRegression;
}

}  // namespace heddle
