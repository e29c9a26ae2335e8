#include "trainer/log/report_input.h"

#include <algorithm>
#include <cmath>

#include "trainer/log/format.h"
#include "trainer/log/jsonl_log.h"
#include "trainer/metrics/metric_report.h"

namespace heddle {
namespace {

// Calls f(line, "path:number") for each line.
template <typename F>
void for_each_line(const std::string& text, const std::string& path, F f) {
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t newline = text.find('\n', begin);
    const size_t end = std::min(newline, text.size());
    ++number;
    if (end > begin) {
      f(std::string_view(text.data() + begin, end - begin), fmt::format("{}:{}", path, number));
    }
    begin = end + 1;
  }
}

void read_log(const std::string& text, const std::string& path, ReportInput& input) {
  for (LogRecord& record : parse_log(text, path, input.warnings)) {
    if (auto* step = std::get_if<StepRecord>(&record)) {
      input.steps.push_back(*step);
    } else if (auto* evaluation = std::get_if<EvaluationRecord>(&record)) {
      input.evaluations.push_back(std::move(*evaluation));
    } else {
      input.events.push_back(std::move(std::get<EventRecord>(record)));
    }
  }
}

std::string answer_text(const JsonView& answer) {
  if (answer.is_array()) {
    return fmt::format("{}", fmt::join(answer.strings(), " | "));
  }
  return answer.is_number() ? format_number(answer.number()) : answer.string();
}

// Whether the line is a wrong prediction, and which.
std::optional<WrongRow> wrong_row(const JsonView& json) {
  WrongRow row{.row = json["row"].integer(0),
               .text = json["text"].string(),
               .pair = json.get_or("pair", "")};
  const JsonView label = json["label"];
  const JsonView predicted = json["predicted"];
  row.label = answer_text(label);
  row.predicted = answer_text(predicted);
  if (label.is_number() && predicted.is_number()) {
    row.severity = std::abs(label.number() - predicted.number());
    return row.severity == 0 ? std::nullopt : std::optional(std::move(row));
  }
  row.severity = json["score"].number();
  return row.label == row.predicted ? std::nullopt : std::optional(std::move(row));
}

void read_predictions(const std::string& text, const std::string& path, ReportInput& input) {
  const auto worse = [](const WrongRow& a, const WrongRow& b) {
    return a.severity != b.severity ? a.severity > b.severity : a.row < b.row;
  };
  std::vector<WrongRow>& worst = input.most_wrong;  // a heap with the least bad on top
  for_each_line(text, path, [&](std::string_view line, const std::string& name) {
    const Json json = parse_json_line(line, name);
    std::optional<WrongRow> row = wrong_row(JsonView(json, name));
    if (!row) {
      return;
    }
    ++input.wrong_rows;
    worst.push_back(std::move(*row));
    std::push_heap(worst.begin(), worst.end(), worse);
    if (worst.size() > kMostWrong) {
      std::pop_heap(worst.begin(), worst.end(), worse);
      worst.pop_back();
    }
  });
  std::sort(worst.begin(), worst.end(), worse);
}

}  // namespace

ReportInput read_report_input(FileSystem& files, const std::string& folder) {
  const auto path_of = [&](std::string_view name) { return join_path(folder, name); };
  if (!files.exists(path_of("run.json"))) {
    throw Error(ExitCode::kInput, fmt::format("{}: not a run folder: it has no run.json", folder),
                "give the folder that 'output' of the configuration names");
  }
  std::string name = base_name(folder);
  ReportInput input{.name = name.empty() || name == "." ? "run" : std::move(name)};
  input.state = read_run_state(files, path_of("run.json"));
  input.config = read_file(files, path_of("config.yaml"));
  read_log(read_file(files, path_of("log.jsonl")), path_of("log.jsonl"), input);
  if (files.exists(path_of("test.json"))) {
    const Json test = read_json(files, path_of("test.json"));
    input.test = metric_report_from_json(JsonView(test, path_of("test.json")));
  }
  const std::string predictions = path_of("test_predictions.jsonl");
  if (files.exists(predictions)) {
    read_predictions(read_file(files, predictions), predictions, input);
  }
  return input;
}

}  // namespace heddle
