// heddle predict MODEL INPUT -o OUTPUT: answers for rows, in input order.
#include "trainer/predict.h"

#include <memory>

#include "launcher/input_options.h"
#include "launcher/model_options.h"
#include "launcher/program.h"

namespace heddle {
namespace {

struct Options {
  ModelOptions model;
  InputOptions input;
  PredictOptions predict;
};

ExitCode predict_verb(Session& session, Options& options) {
  options.predict.input.paths = options.input.paths;
  require_paths(options.predict);
  const Mesh mesh = options.model.mesh(session);
  const auto served = options.model.load_model(session, options.model.load(mesh));
  options.predict.input = options.input.source(served->text, false);
  options.predict.skip_bad = options.input.skip_bad;
  options.predict.progress = [&](const PredictProgress& progress) {
    session.note(fmt::format("{} rows, {:.0f} rows/s", progress.rows,
                             static_cast<double>(progress.rows) / progress.seconds));
  };
  const PredictResult result =
      predict(session.files(), *served, options.predict, session.device(), mesh);
  warn_of_skipped(session, result.skipped);
  return ExitCode::kDone;
}

}  // namespace

void add_predict(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.verb("predict", "Answers for rows of text, in input order.",
                                "mpirun -n 2 heddle predict runs/sst2 rows.tsv -o answers.tsv");
  options->model.add_to(*verb);
  options->input.add_to(*verb, "INPUT", false);
  verb->add_option("-o,--output", options->predict.output,
                   "ends in .tsv, .csv or .jsonl; - is standard output")
      ->required();
  verb->add_flag("--all-scores", options->predict.all_scores, "one column a label, its score");
  verb->add_flag("--logits", options->predict.logits, "one column a label, the raw output");
  verb->add_flag("--resume", options->predict.resume,
                 "go on behind the rows that the same job, interrupted, has written");
  program.on_run(verb, [options](Session& session) { return predict_verb(session, *options); });
}

}  // namespace heddle
