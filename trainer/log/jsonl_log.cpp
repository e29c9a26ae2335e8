#include "trainer/log/jsonl_log.h"

#include <cmath>
#include <limits>
#include <optional>
#include <span>

namespace heddle {
namespace {

std::string number_text(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "null";
}

std::string quoted(const std::string& text) {
  return dump_json(Json(text));
}

double number_or_nan(const JsonView& json, std::string_view key) {
  return json.has(key) ? json[key].number() : std::numeric_limits<double>::quiet_NaN();
}

int64_t step_of(const JsonView& json) {
  return json["step"].integer(0);
}

// The step of a line, or nothing if it is no line of a log.
std::optional<int64_t> step_of_line(std::string_view line) {
  try {
    return std::visit([](const auto& record) { return record.step; }, parse_log_line(line, "line"));
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Lines of `path` that cannot be read, and the first of them.
std::string damage_text(const std::string& path, int64_t first, int64_t lines) {
  return lines == 1 ? fmt::format("{}:{}: a line that cannot be read is left out", path, first)
                    : fmt::format(
                          "{}:{}: the first of {} lines that cannot be read; they are "
                          "left out",
                          path, first, lines);
}

}  // namespace

JsonlLog::JsonlLog(FileSystem& files, const std::string& path, int64_t resumed_step) {
  if (!files.exists(path)) {
    file_ = files.open(path, OpenMode::kCreate);
    files.sync_directory(parent_path(path));
    return;
  }
  const std::string text = read_file(files, path);
  std::string kept;
  int64_t number = 0, first_damaged = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t newline = text.find('\n', begin);
    const bool torn = newline == std::string::npos;
    const size_t end = torn ? text.size() : newline + 1;
    const std::string_view line(text.data() + begin, end - begin);
    ++number;
    const std::optional<int64_t> step = torn ? std::nullopt : step_of_line(line);
    if (!step) {
      if (++damaged_lines_ == 1) first_damaged = number;
    } else if (*step <= resumed_step) {
      kept += line;
    }
    begin = end;
  }
  if (damaged_lines_ > 0) damage_ = damage_text(path, first_damaged, damaged_lines_);
  if (kept.size() < text.size()) {
    write_file_atomically(files, path, kept);
  }
  file_ = files.open(path, OpenMode::kUpdate);
  end_ = kept.size();
}

void JsonlLog::add(const StepRecord& record) {
  append(fmt::format(R"({{"step":{},"epoch":{},"loss":{},"lr":{},"grad_norm":{},"tokens":{},)"
                     R"("tokens_per_s":{},"loss_hex":"{:a}"}})",
                     record.step, number_text(record.epoch), number_text(record.loss),
                     number_text(record.lr), number_text(record.grad_norm), record.tokens,
                     number_text(std::round(record.tokens_per_second * 10) / 10), record.loss));
}

void JsonlLog::add(const EvaluationRecord& record) {
  std::string metrics;
  for (const MetricValue& of : record.metrics) {
    metrics +=
        fmt::format("{}{}:{}", metrics.empty() ? "" : ",", quoted(of.name), number_text(of.value));
  }
  append(fmt::format(
      R"({{"step":{},"epoch":{},"evaluation":{},"rows":{},"seconds":{},"metrics":{{{}}}}})",
      record.step, number_text(record.epoch), quoted(record.split), record.rows,
      number_text(std::round(record.seconds * 1000) / 1000), metrics));
}

void JsonlLog::add(const EventRecord& record) {
  std::string line = fmt::format(R"({{"step":{},"event":{})", record.step, quoted(record.event));
  for (const auto& [key, value] : record.details.items()) {
    line += fmt::format(",{}:{}", quoted(key), dump_json(value));
  }
  append(line + "}");
}

void JsonlLog::append(std::string line) {
  line += '\n';
  file_->write_at(end_, std::as_bytes(std::span(line)));
  end_ += line.size();
}

void JsonlLog::sync() {
  file_->sync();
}

Json parse_json_line(std::string_view line, const std::string& name) {
  try {
    return parse_json(line, name);
  } catch (const Error& error) {
    const std::string_view what = error.what();
    const std::string first_line = name + ":1:";
    if (!what.starts_with(first_line)) {
      throw;
    }
    throw Error(error.code(), fmt::format("{}:{}", name, what.substr(first_line.size())),
                error.hint());
  }
}

std::vector<LogRecord> parse_log(std::string_view text, const std::string& path,
                                 std::vector<std::string>& warnings) {
  std::vector<LogRecord> records;
  int64_t number = 0, first_damaged = 0, damaged = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.empty()) continue;
    try {
      records.push_back(parse_log_line(line, fmt::format("{}:{}", path, number)));
    } catch (const Error&) {
      if (++damaged == 1) first_damaged = number;
    }
  }
  if (damaged > 0) warnings.push_back(damage_text(path, first_damaged, damaged));
  return records;
}

LogRecord parse_log_line(std::string_view line, const std::string& name) {
  const Json json = parse_json_line(line, name);
  const JsonView view(json, name);
  if (view.has("event")) {
    EventRecord record{.step = step_of(view), .event = view["event"].string(), .details = json};
    record.details.erase("step");
    record.details.erase("event");
    return record;
  }
  if (view.has("evaluation")) {
    EvaluationRecord record{.step = step_of(view),
                            .epoch = number_or_nan(view, "epoch"),
                            .split = view["evaluation"].string(),
                            .rows = view.get_or("rows", int64_t{0}),
                            .seconds = view.get_or("seconds", 0.0)};
    const JsonView metrics = view["metrics"];
    for (const std::string& key : metrics.keys()) {
      record.metrics.push_back({key, number_or_nan(metrics, key)});
    }
    return record;
  }
  return StepRecord{.step = step_of(view),
                    .epoch = number_or_nan(view, "epoch"),
                    .loss = number_or_nan(view, "loss"),
                    .lr = number_or_nan(view, "lr"),
                    .grad_norm = number_or_nan(view, "grad_norm"),
                    .tokens = view.get_or("tokens", int64_t{0}),
                    .tokens_per_second = number_or_nan(view, "tokens_per_s")};
}

}  // namespace heddle
