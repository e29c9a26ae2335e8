#include "trainer/metrics/metrics.h"

#include <cmath>
#include <limits>

#include "framework/core/error.h"
#include "framework/core/nearest_name.h"
#include "trainer/metrics/counts.h"
#include "trainer/metrics/ranking.h"
#include "trainer/metrics/tables.h"

namespace heddle {
namespace {

LabelMetrics label_metrics(const Counts& counts, int64_t label) {
  const LabelCounts& of = counts.by_label()[label];
  const double undefined = std::numeric_limits<double>::quiet_NaN();
  return {.label = counts.predictions().label_names[label],
          .support = of.support,
          .precision = of.occurs() ? of.precision() : undefined,
          .recall = of.occurs() ? of.recall() : undefined,
          .f1 = of.occurs() ? of.f1() : undefined,
          .auroc = area_under_roc(counts.scores(label), counts.truth(label))};
}

}  // namespace

std::span<const Metric> metrics_of(Problem problem) {
  switch (problem) {
    case Problem::kSingleLabel:
      return single_label_metrics();
    case Problem::kMultiLabel:
      return multi_label_metrics();
    case Problem::kRegression:
      return regression_metrics();
  }
  return {};
}

const Metric& find_metric(std::string_view name, Problem problem, std::string_view where) {
  std::vector<std::string> known;
  for (const Metric& metric : metrics_of(problem)) {
    if (metric.name == name) {
      return metric;
    }
    known.emplace_back(metric.name);
  }
  throw Error(ExitCode::kInput,
              fmt::format("{}no metric '{}' for a {} problem", where, name, name_of(problem)),
              did_you_mean(name, known));
}

const Metric& default_metric(Problem problem) {
  switch (problem) {
    case Problem::kSingleLabel:
      return find_metric("accuracy", problem);
    case Problem::kMultiLabel:
      return find_metric("micro_f1", problem);
    case Problem::kRegression:
      break;
  }
  return find_metric("mse", Problem::kRegression);
}

bool improves(const Metric& metric, double value, double best) {
  if (std::isnan(value)) {
    return false;
  }
  return std::isnan(best) || (metric.higher_is_better ? value > best : value < best);
}

double MetricReport::value(std::string_view name) const {
  for (const MetricValue& of : values) {
    if (of.name == name) {
      return of.value;
    }
  }
  throw std::invalid_argument(fmt::format("[metrics] the report has no metric '{}'.", name));
}

MetricReport evaluate(const Predictions& predictions) {
  const Counts counts(predictions);
  MetricReport report{
      .problem = predictions.problem,
      .rows = counts.rows(),
      .label_names = {predictions.label_names.begin(), predictions.label_names.end()},
      .confusion = counts.confusion()};
  for (const Metric& metric : metrics_of(predictions.problem)) {
    report.values.push_back({std::string(metric.name), metric.function(counts)});
  }
  if (predictions.problem != Problem::kRegression) {
    for (int64_t label = 0; label < counts.labels(); ++label) {
      report.per_label.push_back(label_metrics(counts, label));
    }
  }
  if (predictions.problem == Problem::kSingleLabel) {
    report.calibration = calibration_bins(counts);
  }
  return report;
}

}  // namespace heddle
