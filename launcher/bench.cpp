// heddle bench MODEL DATA: how fast a model is in each precision on this machine, and what it
// changes. heddle bench: what the machine can do.
#include <unistd.h>

#include <memory>

#include "launcher/input_options.h"
#include "launcher/model_options.h"
#include "launcher/program.h"
#include "trainer/planner/limits.h"
#include "trainer/planner/measure.h"
#include "trainer/precision_trial.h"

namespace heddle {
namespace {

struct Options {
  ModelOptions model;
  InputOptions input;
  int64_t rows = kSampleRows;
  double max_flips = kMostFlips;
  std::string json;
};

// Before the measurement: nothing that was measured is lost for want of a folder.
void require_json(Session& session, const Options& options) {
  if (options.json.empty()) return;
  require_output(options.json, options.input.paths);
  if (session.root()) require_writable(session.files(), options.json);
}

// Why a plan for this node could not go by what these ranks reach; "" if it can.
std::string why_not_kept(Session& session) {
  Communicator& world = session.world();
  if (world.split_by_node()->size() < world.size()) return "the ranks are on several nodes";
  const int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
  return world.size() * session.pool().threads() > cores ? "there are more threads than cores" : "";
}

ExitCode bench_machine(Session& session, const std::string& json) {
  const std::string why_not = why_not_kept(session);
  const MachineLimits limits = measure_limits(session.world(), session.device());
  if (!session.root()) return ExitCode::kDone;
  session.print(limits_table(limits));
  if (!json.empty()) {
    write_file_atomically(session.files(), json, dump_json(to_json(limits), 2) + "\n");
  }
  if (!why_not.empty()) {
    session.note(fmt::format("not kept: {}", why_not));
    return ExitCode::kDone;
  }
  const std::string kept = default_cache_file();
  if (kept.empty()) {
    session.warn("neither XDG_CACHE_HOME nor HOME is set: the figures are not kept");
    return ExitCode::kDone;
  }
  keep_limits(session.files(), kept, processor_name(), limits);
  session.note(fmt::format("kept in {}", kept));
  return ExitCode::kDone;
}

ExitCode bench_verb(Session& session, const Options& options) {
  if (options.model.path.empty()) {
    require_json(session, options);
    return bench_machine(session, options.json);
  }
  if (options.input.paths.empty()) {
    throw Error(ExitCode::kInput, "bench: a MODEL without DATA",
                "heddle bench MODEL DATA measures a model; heddle bench, alone, the machine");
  }
  refuse_standard_input(options.input.paths, "bench");
  require_json(session, options);
  const Mesh mesh = options.model.mesh(session);
  const PrecisionCandidates candidates =
      load_candidates(session.files(), options.model.path, {.mesh = &mesh});
  // Without a header no column can be guessed to be the label.
  const bool labelled = !options.input.no_header || !options.input.label.empty();
  const SampleOptions sample = {
      .input = options.input.source(candidates.models.front()->text, labelled),
      .rows = options.rows,
      .label_is_a_guess = options.input.label.empty(),
      .skip_bad = options.input.skip_bad};
  const MeasuredPrecisions measured =
      measure_precisions(candidates, sample, session.device(), mesh);
  if (!session.root()) return ExitCode::kDone;
  session.print(precision_table(measured, options.max_flips));
  if (!options.json.empty()) {
    write_file_atomically(session.files(), options.json,
                          dump_json(to_json(measured, options.max_flips), 2) + "\n");
  }
  return ExitCode::kDone;
}

}  // namespace

void add_bench(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.verb(
      "bench",
      "Speed of a model in each precision on this machine, and what it changes; without MODEL, the "
      "limits of the machine: products, memory, sums over ranks.",
      "heddle bench runs/sst2 dev.tsv --rows 512\n  mpirun -n 2 heddle bench");
  options->model.add_model_to(*verb);
  options->input.add_to(*verb, "DATA", true);
  for (const char* name : {"MODEL", "DATA"}) verb->get_option(name)->required(false);
  verb->add_option("--rows", options->rows, "of DATA, from its beginning")
      ->check(whole_number(1, kMostSampleRows))
      ->capture_default_str();
  verb->add_option("--max-flips", options->max_flips,
                   "for the recommendation: the share of rows whose label may differ from that of "
                   "f32; of a regression, how far a number may be off, relative to the spread of "
                   "the answers; default: 0.1%")
      ->transform(as_share());
  for (const char* name : {"--rows", "--max-flips"}) {
    verb->get_option(name)->needs(verb->get_option("MODEL"));
  }
  verb->add_option("--json", options->json, "write the figures into this file, too");
  program.on_run(verb, [options](Session& session) { return bench_verb(session, *options); });
}

}  // namespace heddle
