// heddle evaluate MODEL DATA: metrics on labelled rows.
#include <memory>

#include "framework/io/json.h"
#include "launcher/input_options.h"
#include "launcher/model_options.h"
#include "launcher/program.h"
#include "trainer/evaluate_rows.h"
#include "trainer/metrics/metric_report.h"

namespace heddle {
namespace {

struct Options {
  ModelOptions model;
  InputOptions input;
  bool json = false;
};

ExitCode evaluate_verb(Session& session, const Options& options) {
  const Mesh mesh = options.model.mesh(session);
  const auto served = options.model.load_model(session, options.model.load(mesh));
  const MetricReport report = evaluate_rows(*served, options.input.source(served->text, true),
                                            options.input.skip_bad, session.device(), mesh);
  if (!session.root()) return ExitCode::kDone;
  if (options.json) {
    session.print(dump_json(to_json(report), 2) + "\n");
  } else {
    session.print(metrics_table(report) + "\n" + confusion_table(report));
  }
  return ExitCode::kDone;
}

}  // namespace

void add_evaluate(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.verb("evaluate", "Metrics of a model on labelled rows.",
                                "heddle evaluate runs/sst2 test.tsv --json");
  options->model.add_to(*verb);
  options->input.add_to(*verb, "DATA", true);
  verb->add_flag("--json", options->json, "print the metrics as JSON");
  program.on_run(verb, [options](Session& session) { return evaluate_verb(session, *options); });
}

}  // namespace heddle
