#include "trainer/log/report.h"

#include <cmath>

#include "trainer/log/format.h"
#include "trainer/log/html.h"
#include "trainer/log/report_parts.h"
#include "trainer/log/report_style.h"
#include "trainer/metrics/metric_report.h"

namespace heddle {
namespace {

// Threads of a warp, parted by a heddle.
constexpr std::string_view kMark =
    "<svg viewBox=\"0 0 20 20\" aria-hidden=\"true\"><path d=\"M4 3v14M10 3v3M10 14v3M16 3v14\"/>"
    "<path d=\"M10 6c-2.6 2.2-2.6 5.8 0 8c2.6-2.2 2.6-5.8 0-8z\"/></svg>";

struct Status {
  std::string text;
  bool good;
};

Status status_of(const RunState& state) {
  if (state.ended == "finished") {
    return {"finished", true};
  }
  if (state.ended == "early_stop") {
    return {"stopped early: no more improvement", true};
  }
  if (state.ended == "signal") {
    return {"saved on a signal, to be continued", false};
  }
  return {state.ended.empty() ? "not ended: running, or killed" : state.ended, false};
}

std::string figure(const std::string& name, const std::string& value) {
  return fmt::format(
      "<div class=\"card figure\"><div class=\"value\">{}</div><div "
      "class=\"name\">{}</div></div>\n",
      html_escape(value), html_escape(name));
}

std::string figures(const ReportInput& input) {
  const RunState& state = input.state;
  std::string html = "<div class=\"grid cards\">\n" + figure("steps", format_count(state.step)) +
                     figure("epochs", fmt::format("{:.4g}", state.epoch));
  if (!input.steps.empty()) {
    html += figure("last training loss", format_number(input.steps.back().loss));
  }
  if (state.best) {
    html += figure(fmt::format("best {} on validation, step {}", state.best->metric,
                               format_count(state.best->step)),
                   format_metric(state.best->value));
  }
  if (input.test) {
    const std::string_view metric = default_metric(input.test->problem).name;
    for (const MetricValue& of : input.test->values) {
      if (of.name == metric) {
        html += figure(fmt::format("{} on test", of.name), format_metric(of.value));
      }
    }
  }
  return html + "</div>\n";
}

std::string events_table(const std::vector<EventRecord>& events) {
  HtmlTable table{.headings = {"step", "event", "details"}, .rows = {}, .first_number = 3};
  for (const EventRecord& record : events) {
    std::string details;
    for (const auto& [key, value] : record.details.items()) {
      details += fmt::format("{}{}: {}", details.empty() ? "" : ", ", key,
                             value.is_string() ? value.get<std::string>() : dump_json(value));
    }
    table.rows.push_back({format_count(record.step), record.event, details});
  }
  return "<details class=\"card\"><summary>Events</summary>\n" + html_table(table) + "</details>\n";
}

std::string run_section(const ReportInput& input) {
  HtmlTable table{.headings = {"", ""}, .rows = {}, .first_number = 2};
  table.rows.push_back({"heddle", input.state.version});
  table.rows.push_back({"ended", status_of(input.state).text});
  if (input.state.last) {
    table.rows.push_back({"last checkpoint", "step " + format_count(*input.state.last)});
  }
  for (const auto& [name, value] : input.state.environment) {
    table.rows.push_back({name, value});
  }
  for (const auto& [name, value] : input.state.hashes) {
    table.rows.push_back({"hash of " + name, value});
  }
  std::string body = "<div class=\"grid two\">\n<div class=\"card\">\n<h3>Environment</h3>\n" +
                     html_table(table) +
                     "</div>\n<div class=\"card\">\n<h3>config.yaml</h3>\n<pre>" +
                     html_escape(input.config) + "</pre>\n</div>\n</div>\n";
  if (!input.events.empty()) {
    body += events_table(input.events);
  }
  return html_section("run", "Run", body);
}

std::string link_to(std::string_view id, std::string_view text, const std::string& section) {
  return section.empty() ? "" : fmt::format("<a href=\"#{}\">{}</a>", id, text);
}

}  // namespace

std::string make_report(const ReportInput& input) {
  const std::string training = training_section(input);
  const std::string evaluation = evaluation_section(input);
  const std::string test = input.test ? test_section(*input.test) : "";
  const std::string wrong = most_wrong_section(input);
  const std::string run = run_section(input);
  const Status status = status_of(input.state);

  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
      "<title>" +
      html_escape(input.name) + " · heddle report</title>\n<style>" + std::string(kReportStyle) +
      "</style>\n</head>\n<body>\n";
  page += fmt::format(
      "<header><div>\n<div class=\"brand\">{}heddle report</div>\n"
      "<h1>{}<span class=\"badge{}\">{}</span></h1>\n<nav>{}{}{}{}{}</nav>\n</div></header>\n",
      kMark, html_escape(input.name), status.good ? "" : " warn", html_escape(status.text),
      link_to("training", "Training", training), link_to("evaluation", "Evaluation", evaluation),
      link_to("test", "Test split", test), link_to("wrong", "Most wrong", wrong),
      link_to("run", "Run", run));
  page += "<main>\n" + figures(input) + training + evaluation + test + wrong + run + "</main>\n";
  return page + fmt::format("<footer>heddle {}</footer>\n</body>\n</html>\n",
                            html_escape(input.state.version));
}

}  // namespace heddle
