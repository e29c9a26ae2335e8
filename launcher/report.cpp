// heddle report RUN: one self-contained HTML page.
#include "trainer/log/report.h"

#include <memory>

#include "launcher/program.h"

namespace heddle {

void add_report(Program& program) {
  struct Options {
    std::string run;
    std::string output = "report.html";
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.verb(
      "report", "One self-contained HTML page: curves, metrics, the examples most wrong.",
      "heddle report runs/sst2 -o report.html");
  verb->add_option("RUN", options->run, "a run folder")->required();
  verb->add_option("-o,--output", options->output, "the page")->capture_default_str();
  program.on_run(verb, [options](Session& session) {
    if (!session.root()) return ExitCode::kDone;
    const ReportInput input = read_report_input(session.files(), options->run);
    for (const std::string& warning : input.warnings) session.warn(warning);
    write_file_atomically(session.files(), options->output, make_report(input));
    session.note(options->output);
    return ExitCode::kDone;
  });
}

}  // namespace heddle
