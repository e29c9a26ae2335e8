#include "trainer/log/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "trainer/log/format.h"
#include "trainer/metrics/metric_report.h"
#include "trainer/metrics/text_table.h"

namespace heddle {
namespace {

constexpr double kSecondsBetweenDraws = 0.1;
constexpr int kDefaultColumns = 80;
constexpr std::string_view kClearLine = "\r\033[2K";

double steady_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

// A part of the progress line; of two that do not both fit, the larger `rank` goes first.
struct Part {
  std::string text;
  int rank;
};

size_t width_of(const std::vector<Part>& parts) {
  size_t width = 0;
  for (const Part& part : parts) {
    width += text_width(part.text) + 2;
  }
  return width - 2;
}

}  // namespace

bool is_terminal(int file_descriptor) {
  const char* kind = std::getenv("TERM");
  return isatty(file_descriptor) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

int terminal_columns(int file_descriptor) {
  winsize size{};
  const bool known = ioctl(file_descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : kDefaultColumns;
}

std::string progress_line(const Progress& progress, int columns) {
  const double share =
      progress.steps > 0 ? static_cast<double>(progress.step) / static_cast<double>(progress.steps)
                         : 0;
  const std::string steps = std::to_string(progress.steps);
  std::vector<Part> parts{
      {fmt::format("step {:>{}}/{}", progress.step, steps.size(), steps), 0},
      {fmt::format("{:>3.0f} %", std::floor(share * 100)), 4},
      {fmt::format("epoch {:.2f}", progress.epoch), 6},
      {fmt::format("loss {:.4f}", progress.loss), 1},
      {fmt::format("lr {:.2e}", progress.lr), 5},
      {fmt::format("{:.3g} steps/s", progress.steps_per_second), 7},
      {fmt::format("{} tokens/s", std::isfinite(progress.tokens_per_second)
                                      ? format_count(std::llround(progress.tokens_per_second))
                                      : "?"),
       3},
      {format_duration(progress.seconds_left) + " left", 2}};
  while (columns > 0 && parts.size() > 1 && width_of(parts) > static_cast<size_t>(columns)) {
    parts.erase(std::max_element(parts.begin(), parts.end(),
                                 [](const Part& a, const Part& b) { return a.rank < b.rank; }));
  }
  std::string line;
  for (const Part& part : parts) {
    line += (line.empty() ? "" : "  ") + part.text;
  }
  return columns > 0 ? cut_to_width(line, static_cast<size_t>(columns)) : line;
}

Console::Console(std::ostream& out, ConsoleOptions options)
    : out_(out), options_(std::move(options)), drawn_at_(-std::numeric_limits<double>::infinity()) {
  if (!options_.columns) {
    options_.columns = [] { return kDefaultColumns; };
  }
  if (options_.silent) options_.quiet = true;
  if (!options_.seconds) {
    options_.seconds = steady_seconds;
  }
}

Console::~Console() {
  finish();
}

void Console::start(const RunFacts& facts) {
  size_t width = 0;
  for (const auto& [name, value] : facts.facts) {
    width = std::max(width, text_width(name));
  }
  std::string lines = facts.title + '\n';
  for (const auto& [name, value] : facts.facts) {
    lines += "  " + name + std::string(width - text_width(name) + 2, ' ') + value + '\n';
  }
  if (!options_.quiet) {
    print_above_progress(lines);
  }
}

void Console::progress(const Progress& progress) {
  if (options_.quiet) {
    return;
  }
  const bool last = progress.step == progress.steps;
  if (!options_.terminal) {
    if (last || progress.step % std::max<int64_t>(options_.log_every, 1) == 0) {
      print_above_progress(progress_line(progress) + '\n');
    }
    return;
  }
  const double now = options_.seconds();
  if (last || now - drawn_at_ >= kSecondsBetweenDraws) {
    drawn_at_ = now;
    // The last column stays empty: some terminals wrap as soon as it is filled.
    draw(progress_line(progress, std::max(options_.columns() - 1, 1)));
  }
}

void Console::evaluation(const EvaluationRecord& record, const std::optional<BestSoFar>& best) {
  if (options_.quiet) {
    return;
  }
  TextTable table({{"metric", Align::kLeft}, {"value", Align::kRight}});
  for (const MetricValue& of : record.metrics) {
    table.add({of.name, format_metric(of.value)});
  }
  std::string lines =
      fmt::format("{} at step {} (epoch {:.2f}): {} rows in {}\n", record.split, record.step,
                  record.epoch, format_count(record.rows), format_duration(record.seconds));
  const std::string text = table.text();
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin) + 1;
    lines += "  " + text.substr(begin, end - begin);
    begin = end;
  }
  if (best) {
    lines +=
        best->step == record.step
            ? fmt::format("  {} {} is the best so far\n", best->metric, format_metric(best->value))
            : fmt::format("  best {} so far: {} at step {}\n", best->metric,
                          format_metric(best->value), best->step);
  }
  print_above_progress(lines);
}

void Console::note(const std::string& text) {
  if (!options_.quiet) {
    print_above_progress(text + '\n');
  }
}

void Console::result(const std::string& text) {
  print_above_progress(text + '\n');
}

void Console::warning(const std::string& text) {
  print_above_progress("warning: " + text + '\n');
}

void Console::finish() {
  if (!drawn_.empty()) {
    drawn_.clear();
    out_ << '\n' << std::flush;
  }
}

void Console::print_above_progress(const std::string& lines) {
  if (options_.silent) return;
  if (drawn_.empty()) {
    out_ << lines << std::flush;
  } else {
    out_ << kClearLine << lines << drawn_ << std::flush;
  }
}

void Console::draw(const std::string& line) {
  out_ << kClearLine << line << std::flush;
  drawn_ = line;
}

}  // namespace heddle
