#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "trainer/log/format.h"
#include "trainer/log/html.h"
#include "trainer/log/plot.h"
#include "trainer/log/report_parts.h"

namespace heddle {
namespace {

constexpr size_t kMostEpochLines = 40;
constexpr std::array kProblems{Problem::kSingleLabel, Problem::kMultiLabel, Problem::kRegression};

template <auto member>
std::vector<Point> curve(const std::vector<StepRecord>& steps) {
  std::vector<Point> points;
  for (const StepRecord& record : steps) {
    points.push_back({static_cast<double>(record.step), record.*member});
  }
  return points;
}

// Where epochs end: the first step whose epoch count reaches the next whole number.
std::vector<Point> epoch_ends(const std::vector<StepRecord>& steps) {
  std::vector<Point> ends;
  for (size_t i = 1; i < steps.size(); ++i) {
    const double whole = std::floor(steps[i].epoch + 1e-9);
    if (whole > std::floor(steps[i - 1].epoch + 1e-9)) {
      ends.push_back({static_cast<double>(steps[i].step), whole});
    }
  }
  return ends.size() <= kMostEpochLines ? ends : std::vector<Point>();
}

double metric_of(const EvaluationRecord& record, const std::string& metric) {
  for (const MetricValue& of : record.metrics) {
    if (of.name == metric) {
      return of.value;
    }
  }
  return std::numeric_limits<double>::quiet_NaN();
}

std::vector<Point> curve(const std::vector<EvaluationRecord>& evaluations,
                         const std::string& metric) {
  std::vector<Point> points;
  for (const EvaluationRecord& record : evaluations) {
    if (record.split == "validation") {
      points.push_back({static_cast<double>(record.step), metric_of(record, metric)});
    }
  }
  return points;
}

bool any_finite(const std::vector<Point>& points) {
  return std::any_of(points.begin(), points.end(), [](Point p) { return std::isfinite(p.y); });
}

// The first of the best.
std::optional<Point> best_of(const std::vector<Point>& points, bool higher) {
  std::optional<Point> best;
  for (Point point : points) {
    if (std::isfinite(point.y) && (!best || (higher ? point.y > best->y : point.y < best->y))) {
      best = point;
    }
  }
  return best;
}

// In the order in which the metrics are listed everywhere; then those that nothing here knows.
std::vector<std::string> metric_names(const std::vector<EvaluationRecord>& evaluations) {
  std::set<std::string> found;
  for (const EvaluationRecord& record : evaluations) {
    for (const MetricValue& of : record.metrics) {
      if (record.split == "validation") {
        found.insert(of.name);
      }
    }
  }
  std::vector<std::string> names;
  for (Problem problem : kProblems) {
    for (const Metric& metric : metrics_of(problem)) {
      if (found.erase(std::string(metric.name)) > 0) {
        names.emplace_back(metric.name);
      }
    }
  }
  names.insert(names.end(), found.begin(), found.end());
  return names;
}

std::string in_card(const Plot& plot) {
  return "<div class=\"card\">\n" + plot_svg(plot) + "</div>\n";
}

Plot loss_plot(const ReportInput& input, const std::vector<Point>& epochs) {
  const std::vector<Point> loss = curve<&StepRecord::loss>(input.steps);
  Plot plot{.title = "Loss", .width = 1060, .height = 300, .epochs = epochs};
  const int reach = static_cast<int>(loss.size() / 60);
  const bool smooth = reach > 0;
  plot.series.push_back({.label = "train",
                         .style = smooth ? SeriesStyle::kFaintLine : SeriesStyle::kLine,
                         .hover = !smooth,
                         .points = loss});
  if (smooth) {
    plot.series.push_back({.label = "train, smoothed", .points = smoothed(loss, reach)});
  }
  for (const char* metric : {"log_loss", "mse"}) {
    std::vector<Point> points = curve(input.evaluations, metric);
    if (any_finite(points)) {
      plot.series.push_back({.label = fmt::format("validation ({})", metric),
                             .color = 2,
                             .dots = true,
                             .points = std::move(points)});
    }
  }
  return plot;
}

std::string evaluations_table(const std::vector<EvaluationRecord>& evaluations,
                              const std::vector<std::string>& names) {
  HtmlTable table{.headings = {"split", "step", "epoch", "rows"}, .rows = {}, .first_number = 1};
  table.headings.insert(table.headings.end(), names.begin(), names.end());
  for (const EvaluationRecord& record : evaluations) {
    std::vector<std::string> row{record.split, format_count(record.step),
                                 fmt::format("{:.2f}", record.epoch), format_count(record.rows)};
    for (const std::string& name : names) {
      row.push_back(format_number(metric_of(record, name)));
    }
    table.rows.push_back(std::move(row));
  }
  return "<details class=\"card\"><summary>All evaluations</summary>\n" + html_table(table) +
         "</details>\n";
}

}  // namespace

bool higher_is_better(const std::string& metric) {
  for (Problem problem : kProblems) {
    for (const Metric& of : metrics_of(problem)) {
      if (of.name == metric) {
        return of.higher_is_better;
      }
    }
  }
  return true;
}

std::string training_section(const ReportInput& input) {
  if (input.steps.empty()) {
    return "";
  }
  const std::vector<Point> epochs = epoch_ends(input.steps);
  std::string body = in_card(loss_plot(input, epochs)) + "<div class=\"grid three\">\n";
  const auto small = [&](const char* title, std::vector<Point> points) {
    if (any_finite(points)) {
      body += in_card({.title = title,
                       .width = 360,
                       .height = 200,
                       .series = {{.points = std::move(points)}},
                       .epochs = epochs});
    }
  };
  small("Learning rate", curve<&StepRecord::lr>(input.steps));
  small("Gradient norm", curve<&StepRecord::grad_norm>(input.steps));
  small("Tokens per second", curve<&StepRecord::tokens_per_second>(input.steps));
  body += "</div>\n";
  return html_section("training", "Training", body);
}

std::string evaluation_section(const ReportInput& input) {
  const std::vector<std::string> names = metric_names(input.evaluations);
  if (names.empty()) {
    return "";
  }
  const std::vector<Point> epochs = epoch_ends(input.steps);
  std::string body = "<div class=\"grid three\">\n";
  for (const std::string& name : names) {
    std::vector<Point> points = curve(input.evaluations, name);
    if (any_finite(points)) {
      const std::optional<Point> best = best_of(points, higher_is_better(name));
      body += in_card({.title = name,
                       .width = 360,
                       .height = 200,
                       .series = {{.dots = true, .points = std::move(points)}},
                       .epochs = epochs,
                       .best = best});
    }
  }
  body += "</div>\n" + evaluations_table(input.evaluations, names);
  return html_section("evaluation", "Evaluation", body);
}

}  // namespace heddle
