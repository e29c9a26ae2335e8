// What a run shows: on a terminal one line that is written over and over, elsewhere a line now and
// then and no escape codes.
//
//   Console console(std::cerr, {.terminal = is_terminal(2), .columns = [] { return 80; }});
//   console.start({.title = "heddle 0.1.0", .facts = {{"model", "minilm (bert)"}}});
//   console.progress({.step = 10, .steps = 5683, .loss = 0.69});
//   console.evaluation(record, {.metric = "accuracy", .value = 0.93, .step = 10});
//   console.finish();
//
// Only one rank has a console that is not silent.
#pragma once

#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "trainer/log/records.h"

namespace heddle {

// Whether the file descriptor is a terminal that understands escape codes (TERM is not "dumb").
bool is_terminal(int file_descriptor);

// The width of that terminal, 80 where it does not say.
int terminal_columns(int file_descriptor);

struct ConsoleOptions {
  bool terminal = false;
  bool quiet = false;                    // warnings and results only
  bool silent = false;                   // nothing: on ranks whose words another one says
  int64_t log_every = 10;                // steps between lines where it is not a terminal
  std::function<int()> columns = {};     // of the terminal, asked anew for each line; 80 if empty
  std::function<double()> seconds = {};  // a clock, to draw at most ten times a second
};

// The first lines: a title and facts such as {"device", "cpu, 2 threads"}, one a line.
struct RunFacts {
  std::string title = {};
  std::vector<std::pair<std::string, std::string>> facts = {};
};

struct Progress {
  int64_t step = 0;
  int64_t steps = 0;  // of the whole run
  double epoch = 0;
  double loss = 0;
  double lr = 0;
  double steps_per_second = 0;
  double tokens_per_second = 0;
  double seconds_left = 0;
};

// The best value of the metric that picks the best checkpoint.
struct BestSoFar {
  std::string metric = {};
  double value = 0;
  int64_t step = 0;
};

class Console {
 public:
  // The stream must outlive it.
  Console(std::ostream& out, ConsoleOptions options);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  void start(const RunFacts& facts);
  // To be called after every step.
  void progress(const Progress& progress);
  // A table of metrics, then whether it is the best so far.
  void evaluation(const EvaluationRecord& record, const std::optional<BestSoFar>& best = {});
  void note(const std::string& text);
  // "warning: text", even when quiet.
  void warning(const std::string& text);
  // How the run ended, even when quiet.
  void result(const std::string& text);
  // Leaves the last progress line standing. Called by the destructor too.
  void finish();

 private:
  void print_above_progress(const std::string& lines);
  void draw(const std::string& line);

  std::ostream& out_;
  ConsoleOptions options_;
  std::string drawn_;  // the progress line that stands on the terminal
  double drawn_at_;
};

// The line itself, without parts that do not fit into `columns` (0: all of them).
std::string progress_line(const Progress& progress, int columns = 0);

}  // namespace heddle
