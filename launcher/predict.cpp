// heddle predict MODEL INPUT -o OUTPUT: answers for rows, in input order.
#include "trainer/predict.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "framework/comm/collectives.h"
#include "launcher/input_options.h"
#include "launcher/model_options.h"
#include "launcher/program.h"
#include "trainer/precision_trial.h"
#include "trainer/predict_job.h"

namespace heddle {
namespace {

struct Options {
  ModelOptions model;
  InputOptions input;
  PredictOptions predict;
  std::optional<int64_t> sample;
  std::optional<double> max_flips;

  bool sampled() const { return sample || max_flips; }
};

void require_sample(const Options& options) {
  if (!options.sampled()) return;
  if (options.model.precision != "auto") {
    throw Error(ExitCode::kInput, "--sample and --max-flips choose for --precision auto",
                "add --precision auto, or leave them out");
  }
  refuse_standard_input(options.input.paths, "--sample");
}

// Whether the input is files, and so small that a table's copy takes longer than it saves.
bool is_little(const std::vector<std::string>& paths) {
  constexpr uintmax_t kLittle = 16 << 10;
  uintmax_t bytes = 0;
  for (const std::string& path : paths) {
    std::error_code error;
    bytes += std::filesystem::file_size(path, error);
    if (error) return false;
  }
  return !paths.empty() && bytes <= kLittle;
}

// What the interrupted job that is to go on computes in.
std::optional<Precision> precision_to_resume(Session& session, const Options& options) {
  if (options.model.precision != "auto" || !options.predict.resume) return {};
  std::optional<Precision> recorded;
  if (session.root()) recorded = recorded_precision(session.files(), options.predict.output);
  return broadcast(session.world(), recorded, 0, "precision");
}

// Rank 0 measures and decides.
std::unique_ptr<ServedModel> choose_on_sample(Session& session, const Options& options,
                                              const Mesh& mesh) {
  PrecisionCandidates candidates =
      load_candidates(session.files(), options.model.path, {.mesh = &mesh});
  const SampleOptions sample = {
      .input = options.input.source(candidates.models.front()->text, false),
      .rows = options.sample.value_or(kSampleRows),
      .skip_bad = options.input.skip_bad};
  const double limit = options.max_flips.value_or(kMostFlips);
  const MeasuredPrecisions measured =
      measure_precisions(candidates, sample, session.device(), mesh);
  Precision taken = Precision::kF32;
  if (session.root()) {
    taken = choose_precision(measured, limit);
    for (const std::string& note : measured.notes) session.note(note);
    session.note("precision auto: " + explain_choice(measured, limit));
  }
  return candidates.take(broadcast(session.world(), taken, 0, "precision"));
}

std::unique_ptr<ServedModel> load_model(Session& session, const Options& options,
                                        const Mesh& mesh) {
  if (const auto recorded = precision_to_resume(session, options)) {
    session.note(fmt::format("precision auto: {}, as the job was begun", name_of(*recorded)));
    return load_served_model(session.files(), options.model.path,
                             {.mesh = &mesh, .precision = recorded});
  }
  if (options.sampled()) return choose_on_sample(session, options, mesh);
  LoadOptions load = options.model.load(mesh);
  load.few_rows = is_little(options.input.paths);
  return options.model.load_model(session, load);
}

ExitCode predict_verb(Session& session, Options& options) {
  options.predict.input.paths = options.input.paths;
  require_paths(options.predict);
  require_sample(options);
  const Mesh mesh = options.model.mesh(session);
  const auto served = load_model(session, options, mesh);
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
  verb->add_option("--sample", options->sample,
                   "with --precision auto: try each on so many rows of the input, and take the "
                   "fastest within --max-flips; default: 512")
      ->check(whole_number(1, kMostSampleRows));
  verb->add_option("--max-flips", options->max_flips,
                   "with --precision auto: the share of the sample's rows whose label may differ "
                   "from that of f32; of a regression, how far a number may be off, relative to "
                   "the spread of the answers; default: 0.1%")
      ->transform(as_share());
  program.on_run(verb, [options](Session& session) { return predict_verb(session, *options); });
}

}  // namespace heddle
