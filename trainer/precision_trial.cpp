#include "trainer/precision_trial.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "framework/comm/collectives.h"
#include "trainer/metrics/metrics.h"
#include "trainer/row_truth.h"
#include "trainer/row_windows.h"

namespace heddle {
namespace {

constexpr int kTurns = 3;
constexpr double kTurnSeconds = 0.05;  // a turn of f32 takes at least so long, by repetition

using Clock = std::chrono::steady_clock;

// The rows of the sample, in one window.
struct Sample {
  Sample(const SampleOptions& options, const ServedModel& served)
      : bad(options.skip_bad),
        examples(open(options, bad)),
        windows(examples, row_tokenizers(served.tokenizer, served.text.encode_options())(), bad) {
    if (windows.next(options.rows)) return;
    throw Error(ExitCode::kInput,
                fmt::format("{}: has no row to measure with", options.input.paths.front()));
  }

  // Without the label's column where it is not there and was a guess.
  static ExampleReader open(const SampleOptions& options, BadRows& bad) {
    if (!options.label_is_a_guess) return {options.input, bad};
    try {
      return {options.input, bad};
    } catch (const Error&) {
      DataSource unlabelled = options.input;
      unlabelled.label = "";
      return {unlabelled, bad};
    }
  }

  int64_t tokens() const {
    const SequenceSource sequences = windows.sequences();
    int64_t sum = 0;
    for (int64_t i = 0; i < sequences.count; ++i) sum += sequences.length(i);
    return sum;
  }

  BadRows bad;
  ExampleReader examples;
  RowWindows windows;
};

bool same_answer(Problem problem, std::span<const float> a, std::span<const float> b) {
  if (problem == Problem::kSingleLabel) return predicted_class(a) == predicted_class(b);
  return problem == Problem::kRegression ||
         std::ranges::equal(a, b, {}, predicted_on, predicted_on);
}

// Fills in what `outputs` [rows, width] change of those of f32.
void compare(const std::vector<float>& f32, const std::vector<float>& outputs, size_t width,
             Problem problem, PrecisionMeasurement& of) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  for (size_t c = 0; c < width; ++c) {
    double largest = 0;
    float low = f32[c], high = f32[c];
    for (size_t i = c; i < f32.size(); i += width) {
      const double difference = std::abs(double{outputs[i]} - double{f32[i]});
      largest = std::max(largest, std::isfinite(difference) ? difference : kInfinite);
      low = std::min(low, f32[i]);
      high = std::max(high, f32[i]);
    }
    of.largest_difference = std::max(of.largest_difference, largest);
    if (largest == 0) continue;
    of.relative_difference = std::max(of.relative_difference, largest / (double{high} - low));
  }
  for (size_t i = 0; i < f32.size(); i += width) {
    of.flips += !same_answer(problem, std::span(f32).subspan(i, width),
                             std::span(outputs).subspan(i, width));
  }
}

// The truth of the sample's rows; nothing where it was a guess and is none.
std::optional<RowTruth> truth_of(Sample& sample, const ClassifierConfig& config,
                                 const SampleOptions& options, std::vector<std::string>& notes) {
  const std::optional<size_t> column = sample.examples.label_column();
  if (!column) return {};
  RowTruth truth(config);
  try {
    for (int64_t r = 0; r < sample.windows.rows(); ++r) truth.add(sample.windows.row(r), *column);
  } catch (const RowError& error) {
    if (!options.label_is_a_guess) throw;
    notes.push_back(fmt::format("no {}: {}", default_metric(config.problem).name, error.what()));
    return {};
  }
  return truth;
}

}  // namespace

std::unique_ptr<ServedModel> PrecisionCandidates::take(Precision precision) {
  std::unique_ptr<ServedModel> taken;
  for (std::unique_ptr<ServedModel>& model : models) {
    if (model->config.precision == precision) taken = std::move(model);
  }
  models.clear();
  return taken;
}

PrecisionCandidates load_candidates(FileSystem& files, const std::string& path,
                                    LoadOptions options) {
  PrecisionCandidates candidates;
  options.precision = Precision::kF32;
  candidates.models.push_back(load_served_model(files, path, options));
  for (const Precision precision : {Precision::kBF16, Precision::kInt8}) {
    options.precision = precision;
    std::unique_ptr<ServedModel> model;
    std::string reason = "not possible on another rank";
    try {
      model = load_served_model(files, path, options);
    } catch (const Error& error) {
      reason = error.what();
    }
    const int64_t mine = model != nullptr;
    if (!options.mesh ? mine == 1
                      : all_reduce(options.mesh->world(), mine, Reduction::kMin, "precision") == 1)
      candidates.models.push_back(std::move(model));
    else
      candidates.left_out.push_back(fmt::format("{}: {}", name_of(precision), reason));
  }
  return candidates;
}

MeasuredPrecisions measure_precisions(const PrecisionCandidates& candidates,
                                      const SampleOptions& options, const Device& device,
                                      const Mesh& mesh) {
  const ServedModel& first = *candidates.models.front();
  const auto width = static_cast<size_t>(first.config.outputs());
  Sample sample(options, first);
  const SequenceSource sequences = sample.windows.sequences();
  MeasuredPrecisions measured{.problem = first.config.problem,
                              .rows = sample.windows.rows(),
                              .tokens = sample.tokens(),
                              .metric = {},
                              .precisions = {},
                              .notes = {}};
  for (const std::string& left : candidates.left_out) measured.notes.push_back("left out: " + left);

  const auto logits_of = [&](const std::unique_ptr<ServedModel>& served) {
    return sequence_logits(served->model, device, sequences, mesh);
  };
  std::vector<std::vector<float>> outputs;  // [rows, width] each, on rank 0
  for (const auto& served : candidates.models) {
    const std::vector<float> logits = logits_of(served);
    outputs.push_back(mesh.is_root()
                          ? sample.windows.mean_by_row(logits, static_cast<int64_t>(width))
                          : std::vector<float>());
    measured.precisions.push_back({.precision = served->config.precision,
                                   .seconds = std::numeric_limits<double>::infinity(),
                                   .metric = {}});
  }
  int64_t passes = 1;
  const auto turn = [&](size_t p) {
    mesh.world().barrier("measurement");
    const Clock::time_point begun = Clock::now();
    for (int64_t pass = 0; pass < passes; ++pass) logits_of(candidates.models[p]);
    const std::chrono::duration<double> spent = Clock::now() - begun;
    return spent.count() / static_cast<double>(passes);
  };
  const double seconds = std::max(turn(0), 1e-6);
  passes =
      broadcast(mesh.world(), static_cast<int64_t>(std::ceil(kTurnSeconds / seconds)), 0, "passes");
  for (int i = 0; i < kTurns; ++i) {
    for (size_t p = 0; p < candidates.models.size(); ++p) {
      measured.precisions[p].seconds = std::min(measured.precisions[p].seconds, turn(p));
    }
  }
  if (!mesh.is_root()) return {};

  const auto truth = truth_of(sample, first.config, options, measured.notes);
  const Metric& metric = default_metric(measured.problem);
  if (truth) measured.metric = metric.name;
  for (size_t p = 0; p < outputs.size(); ++p) {
    compare(outputs[0], outputs[p], width, measured.problem, measured.precisions[p]);
    if (!truth) continue;
    measured.precisions[p].metric = evaluate(truth->predictions(outputs[p])).value(metric.name);
  }
  return measured;
}

}  // namespace heddle
