#include "trainer/metrics/metric_report.h"

#include <cmath>
#include <limits>

#include "trainer/metrics/text_table.h"

namespace heddle {
namespace {

Json number_or_null(double value) {
  return std::isnan(value) ? Json(nullptr) : Json(value);
}

double number_or_nan(const JsonView& json, std::string_view key) {
  return json.has(key) ? json[key].number() : std::numeric_limits<double>::quiet_NaN();
}

LabelMetrics label_metrics_from_json(const JsonView& json) {
  return {.label = json["label"].string(),
          .support = json["support"].integer(0),
          .precision = number_or_nan(json, "precision"),
          .recall = number_or_nan(json, "recall"),
          .f1 = number_or_nan(json, "f1"),
          .auroc = number_or_nan(json, "auroc")};
}

CalibrationBin calibration_bin_from_json(const JsonView& json) {
  return {.low = json["low"].number(),
          .high = json["high"].number(),
          .rows = json["rows"].integer(0),
          .confidence = number_or_nan(json, "confidence"),
          .accuracy = number_or_nan(json, "accuracy")};
}

std::vector<int64_t> confusion_from_json(const JsonView& json, size_t labels) {
  std::vector<int64_t> result;
  if (json.size() != labels) {
    throw json.error(fmt::format("has {} rows for {} labels", json.size(), labels));
  }
  for (size_t i = 0; i < labels; ++i) {
    const std::vector<int64_t> row = json.at(i).integers(0);
    if (row.size() != labels) {
      throw json.at(i).error(fmt::format("has {} counts for {} labels", row.size(), labels));
    }
    result.insert(result.end(), row.begin(), row.end());
  }
  return result;
}

}  // namespace

std::string format_metric(double value) {
  if (std::isnan(value)) {
    return "n/a";
  }
  const double size = std::abs(value);
  return value != 0 && (size < 0.001 || size >= 1e6) ? fmt::format("{:.3e}", value)
                                                     : fmt::format("{:.4f}", value);
}

std::string metrics_table(const MetricReport& report) {
  TextTable metrics({{"metric", Align::kLeft}, {"value", Align::kRight}});
  for (const MetricValue& of : report.values) {
    metrics.add({of.name, format_metric(of.value)});
  }
  metrics.add({"rows", std::to_string(report.rows)});
  std::string text = metrics.text();
  if (!report.per_label.empty()) {
    TextTable labels({{"label", Align::kLeft},
                      {"support", Align::kRight},
                      {"precision", Align::kRight},
                      {"recall", Align::kRight},
                      {"f1", Align::kRight},
                      {"auroc", Align::kRight}});
    for (const LabelMetrics& of : report.per_label) {
      labels.add({of.label, std::to_string(of.support), format_metric(of.precision),
                  format_metric(of.recall), format_metric(of.f1), format_metric(of.auroc)});
    }
    text += '\n' + labels.text();
  }
  return text;
}

std::string confusion_table(const MetricReport& report) {
  if (report.confusion.empty()) {
    return "";
  }
  std::vector<TextTable::Column> columns{{"true \\ predicted", Align::kLeft}};
  for (const std::string& label : report.label_names) {
    columns.push_back({label, Align::kRight});
  }
  TextTable table(std::move(columns));
  const size_t labels = report.label_names.size();
  for (size_t actual = 0; actual < labels; ++actual) {
    std::vector<std::string> cells{report.label_names[actual]};
    for (size_t predicted = 0; predicted < labels; ++predicted) {
      cells.push_back(std::to_string(report.confusion[actual * labels + predicted]));
    }
    table.add(std::move(cells));
  }
  return table.text();
}

Json to_json(const MetricReport& report) {
  Json json{{"problem", std::string(name_of(report.problem))},
            {"rows", report.rows},
            {"labels", report.label_names},
            {"metrics", Json::object()}};
  for (const MetricValue& of : report.values) {
    json["metrics"][of.name] = number_or_null(of.value);
  }
  for (const LabelMetrics& of : report.per_label) {
    json["per_label"].push_back({{"label", of.label},
                                 {"support", of.support},
                                 {"precision", number_or_null(of.precision)},
                                 {"recall", number_or_null(of.recall)},
                                 {"f1", number_or_null(of.f1)},
                                 {"auroc", number_or_null(of.auroc)}});
  }
  const size_t labels = report.label_names.size();
  for (size_t row = 0; row * labels < report.confusion.size(); ++row) {
    const auto begin = report.confusion.begin() + static_cast<std::ptrdiff_t>(row * labels);
    json["confusion"].push_back(
        std::vector<int64_t>(begin, begin + static_cast<std::ptrdiff_t>(labels)));
  }
  for (const CalibrationBin& of : report.calibration) {
    json["calibration"].push_back({{"low", of.low},
                                   {"high", of.high},
                                   {"rows", of.rows},
                                   {"confidence", number_or_null(of.confidence)},
                                   {"accuracy", number_or_null(of.accuracy)}});
  }
  return json;
}

MetricReport metric_report_from_json(const JsonView& json) {
  MetricReport report;
  report.problem = problem_named(json["problem"].string(), json.name() + ": ");
  report.rows = json["rows"].integer(0);
  report.label_names = json["labels"].strings();
  const JsonView values = json["metrics"];
  for (const Metric& metric : metrics_of(report.problem)) {
    if (values.raw().contains(metric.name)) {
      report.values.push_back({std::string(metric.name), number_or_nan(values, metric.name)});
    }
  }
  if (json.has("per_label")) {
    for (size_t i = 0; i < json["per_label"].size(); ++i) {
      report.per_label.push_back(label_metrics_from_json(json["per_label"].at(i)));
    }
  }
  if (json.has("confusion")) {
    report.confusion = confusion_from_json(json["confusion"], report.label_names.size());
  }
  if (json.has("calibration")) {
    for (size_t i = 0; i < json["calibration"].size(); ++i) {
      report.calibration.push_back(calibration_bin_from_json(json["calibration"].at(i)));
    }
  }
  return report;
}

}  // namespace heddle
