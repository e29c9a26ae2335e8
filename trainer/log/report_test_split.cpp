#include <algorithm>
#include <cmath>

#include "trainer/log/format.h"
#include "trainer/log/html.h"
#include "trainer/log/report_parts.h"
#include "trainer/metrics/metric_report.h"

namespace heddle {
namespace {

constexpr size_t kFewLabels = 4;  // their matrix leaves room beside it
constexpr size_t kMostMatrixLabels = 30;
constexpr size_t kMostPairs = 30;
constexpr size_t kMostTextBytes = 1200;

std::string in_card(const std::string& heading, const std::string& body) {
  return fmt::format("<div class=\"card\">\n<h3>{}</h3>\n{}</div>\n", html_escape(heading), body);
}

std::string metrics_card(const MetricReport& report) {
  HtmlTable table{.headings = {"metric", "meaning", "value"}, .rows = {}, .first_number = 2};
  for (const Metric& metric : metrics_of(report.problem)) {
    for (const MetricValue& of : report.values) {
      if (of.name == metric.name) {
        table.rows.push_back({of.name, std::string(metric.meaning), format_metric(of.value)});
      }
    }
  }
  return in_card(format_count(report.rows) + " rows", html_table(table));
}

std::string labels_card(const MetricReport& report) {
  HtmlTable table{.headings = {"label", "support", "precision", "recall", "F1", "AUROC"},
                  .rows = {}};
  for (const LabelMetrics& of : report.per_label) {
    table.rows.push_back({of.label, format_count(of.support), format_metric(of.precision),
                          format_metric(of.recall), format_metric(of.f1), format_metric(of.auroc)});
  }
  return in_card("Label by label", html_table(table));
}

// A cell is as dark as its share of the row: what became of the rows that have this label.
std::string confusion_matrix(const MetricReport& report) {
  const size_t labels = report.label_names.size();
  std::string html =
      "<div class=\"scroll\"><table class=\"heat\">\n<thead><tr><th>true \\ predicted</th>";
  for (const std::string& label : report.label_names) {
    html += "<th>" + html_escape(label) + "</th>";
  }
  html += "</tr></thead>\n<tbody>\n";
  for (size_t actual = 0; actual < labels; ++actual) {
    const int64_t* row = report.confusion.data() + actual * labels;
    int64_t support = 0;
    for (size_t predicted = 0; predicted < labels; ++predicted) {
      support += row[predicted];
    }
    html += "<tr><th class=\"n\">" + html_escape(report.label_names[actual]) + "</th>";
    for (size_t predicted = 0; predicted < labels; ++predicted) {
      const double share =
          support == 0 ? 0 : static_cast<double>(row[predicted]) / static_cast<double>(support);
      html += fmt::format(
          "<td{} style=\"background: rgba(var(--heat), {:.3f})\">{}<small>{:.1f} %</small></td>",
          share > 0.55 ? " class=\"strong\"" : "", 0.04 + 0.96 * share,
          format_count(row[predicted]), share * 100);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string frequent_confusions(const MetricReport& report) {
  const size_t labels = report.label_names.size();
  std::vector<size_t> cells;
  for (size_t cell = 0; cell < report.confusion.size(); ++cell) {
    if (cell / labels != cell % labels && report.confusion[cell] > 0) {
      cells.push_back(cell);
    }
  }
  std::stable_sort(cells.begin(), cells.end(),
                   [&](size_t a, size_t b) { return report.confusion[a] > report.confusion[b]; });
  cells.resize(std::min(cells.size(), kMostPairs));
  HtmlTable table{.headings = {"true", "predicted", "rows"}, .rows = {}, .first_number = 2};
  for (size_t cell : cells) {
    table.rows.push_back({report.label_names[cell / labels], report.label_names[cell % labels],
                          format_count(report.confusion[cell])});
  }
  return html_table(table);
}

std::string confusion_card(const MetricReport& report) {
  if (report.label_names.size() > kMostMatrixLabels) {
    return in_card("Most frequent confusions", frequent_confusions(report));
  }
  return in_card(
      "Confusion matrix",
      confusion_matrix(report) + "<p class=\"note\">Counts, and their share of the row.</p>\n");
}

// Accuracy against confidence, a bar a bin; on the dashed line both are equal.
std::string reliability_card(const MetricReport& report) {
  constexpr int kSize = 300;
  constexpr int kLeft = 40;
  constexpr int kTop = 12;
  constexpr int kBottom = 34;
  constexpr double kPlot = kSize - kTop - kBottom;
  constexpr double kWide = 420 - kLeft - 12;
  const auto x = [](double share) { return kLeft + share * kWide; };
  const auto y = [](double share) { return kTop + (1 - share) * kPlot; };
  std::string svg = fmt::format(
      "<svg class=\"plot reliability\" viewBox=\"0 0 420 {}\" role=\"img\" "
      "aria-label=\"Reliability\">\n",
      kSize);
  for (double tick : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
        "<text x=\"{3:.1f}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>"
        "<text x=\"{6:.1f}\" y=\"{7:.1f}\" text-anchor=\"middle\">{5}</text>\n",
        x(0), x(1), y(tick), x(0) - 7, y(tick) + 4, tick, x(tick), y(0) + 16);
  }
  for (const CalibrationBin& bin : report.calibration) {
    if (bin.rows > 0) {
      svg += fmt::format(
          "<rect class=\"bar\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
          "rx=\"2\">"
          "<title>confidence {:.3f}, accuracy {:.3f}, {} rows</title></rect>\n",
          x(bin.low) + 1, y(bin.accuracy), x(bin.high) - x(bin.low) - 2,
          std::max(y(0) - y(bin.accuracy), 1.0), bin.confidence, bin.accuracy,
          format_count(bin.rows));
    }
  }
  svg += fmt::format(
      "<line class=\"ideal\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n"
      "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"end\">confidence</text>\n</svg>\n",
      x(0), y(0), x(1), y(1), x(1), kSize - 3);
  return in_card("Reliability: accuracy by confidence",
                 svg + "<p class=\"note\">Bars below the dashed line: too sure of itself.</p>\n");
}

// At most so many bytes, cut between characters.
std::string shortened(const std::string& text) {
  if (text.size() <= kMostTextBytes) {
    return text;
  }
  size_t end = kMostTextBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
    --end;
  }
  return text.substr(0, end) + " …";
}

}  // namespace

std::string test_section(const MetricReport& report) {
  std::string body;
  if (report.calibration.empty()) {
    body = metrics_card(report);
  } else {
    body =
        "<div class=\"grid two\">\n" + metrics_card(report) + reliability_card(report) + "</div>\n";
  }
  std::string by_label = report.confusion.empty() ? "" : confusion_card(report);
  by_label += report.per_label.empty() ? "" : labels_card(report);
  const bool side_by_side = !report.confusion.empty() && report.label_names.size() <= kFewLabels;
  body += side_by_side ? "<div class=\"grid two\">\n" + by_label + "</div>\n" : by_label;
  return html_section("test", "Test split", body);
}

std::string most_wrong_section(const ReportInput& input) {
  if (input.most_wrong.empty()) {
    return "";
  }
  const bool regression = input.test && input.test->problem == Problem::kRegression;
  std::string body = fmt::format(
      "<div class=\"card\">\n<div class=\"scroll\"><table>\n<thead><tr><th>row</th><th>text</th>"
      "<th>true</th><th>predicted</th><th class=\"n\">{}</th></tr></thead>\n<tbody>\n",
      regression ? "distance" : "confidence");
  for (const WrongRow& row : input.most_wrong) {
    std::string text = html_escape(shortened(row.text));
    if (!row.pair.empty()) {
      text += "<br>" + html_escape(shortened(row.pair));
    }
    body += fmt::format(
        "<tr><td>{}</td><td class=\"text\">{}</td><td class=\"right\">{}</td>"
        "<td class=\"wrong\">{}</td><td class=\"n\">{}</td></tr>\n",
        row.row, text, html_escape(row.label), html_escape(row.predicted),
        format_metric(row.severity));
  }
  body += fmt::format(
      "</tbody></table></div>\n<p class=\"note\">{} of {} wrong rows, the {} first.</p>\n</div>\n",
      input.most_wrong.size(), format_count(input.wrong_rows), regression ? "farthest" : "surest");
  return html_section("wrong", "Most wrong", body);
}

}  // namespace heddle
