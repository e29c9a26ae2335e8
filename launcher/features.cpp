// heddle features MODEL INPUT -o OUT.h5: hidden states of rows.
#include "trainer/features.h"

#include <memory>

#include "launcher/input_options.h"
#include "launcher/model_options.h"
#include "launcher/program.h"

namespace heddle {
namespace {

struct Options {
  ModelOptions model;
  InputOptions input;
  FeatureOptions features;
  std::string pooling = "cls";
};

ExitCode features_verb(Session& session, Options& options) {
  options.features.pooling = feature_pooling(options.pooling);
  require_output(options.features.output, options.input.paths);
  const Mesh mesh = options.model.mesh(session);
  LoadOptions load = options.model.load(mesh);
  load.fresh_head_allowed = true;
  const auto served = options.model.load_model(session, load);
  options.features.input = options.input.source(served->text, false);
  options.features.skip_bad = options.input.skip_bad;
  const int64_t rows =
      extract_features(session.files(), *served, options.features, session.device(), mesh);
  session.note(fmt::format("{} vectors in {}", rows, options.features.output));
  return ExitCode::kDone;
}

}  // namespace

void add_features(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.verb("features", "Hidden states of rows, for use elsewhere.",
                   "heddle features models/pretrained/minilm rows.tsv -o rows.h5 --pooling mean");
  options->model.add_to(*verb);
  options->input.add_to(*verb, "INPUT", false);
  verb->add_option("-o,--output", options->features.output, "ends in .h5 or .jsonl")->required();
  verb->add_option("--pooling", options->pooling,
                   "cls, mean or last: one vector a row; none: one a token")
      ->capture_default_str();
  verb->add_option("--layer", options->features.layer,
                   "0: what enters the first layer; -1: the last layer's output")
      ->capture_default_str();
  program.on_run(verb, [options](Session& session) { return features_verb(session, *options); });
}

}  // namespace heddle
