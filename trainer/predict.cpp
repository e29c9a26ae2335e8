#include "trainer/predict.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include "framework/comm/collectives.h"
#include "trainer/metrics/predictions.h"
#include "trainer/predict_job.h"
#include "trainer/row_windows.h"
#include "trainer/shared_input.h"

namespace heddle {
namespace {

std::vector<std::string> added_columns(const ServedModel& served, const PredictOptions& options) {
  const std::vector<std::string>& labels = served.config.labels;
  std::vector<std::string> added;
  if (served.config.problem == Problem::kRegression) {
    // One number is the score; several have the names of the outputs.
    if (labels.size() == 1)
      added = {"score"};
    else
      added = labels;
    return added;
  }
  added = {"label", "score"};
  if (options.all_scores) {
    for (const std::string& label : labels) added.push_back("score_" + label);
  }
  if (options.logits) {
    for (const std::string& label : labels) added.push_back("logit_" + label);
  }
  return added;
}

// Writes what the model says of one row.
class Answer {
 public:
  Answer(const ServedModel& served, const PredictOptions& options)
      : served_(served), options_(options) {}

  void write(std::span<const float> logits, RowWriter& out) const {
    if (served_.config.problem == Problem::kRegression) {
      for (float value : logits) out.number(value);
      return;
    }
    const std::vector<double> scores = probabilities(served_.config.problem, logits);
    if (served_.config.problem == Problem::kSingleLabel)
      write_best(logits, scores, out);
    else
      write_all_that_are_on(logits, scores, out);
    if (options_.all_scores) {
      for (double score : scores) out.number(static_cast<float>(score));
    }
    if (options_.logits) {
      for (float logit : logits) out.number(logit);
    }
  }

 private:
  void write_best(std::span<const float> logits, std::span<const double> scores,
                  RowWriter& out) const {
    const auto best = static_cast<size_t>(predicted_class(logits));
    out.text(served_.config.labels[best]);
    out.number(static_cast<float>(scores[best]));
  }

  // The labels joined by |; the score is that of the most likely label.
  void write_all_that_are_on(std::span<const float> logits, std::span<const double> scores,
                             RowWriter& out) const {
    std::string names;
    for (size_t i = 0; i < logits.size(); ++i) {
      if (!predicted_on(logits[i])) continue;
      if (!names.empty()) names += '|';
      names += served_.config.labels[i];
    }
    out.text(names);
    out.number(static_cast<float>(std::ranges::max(scores)));
  }

  const ServedModel& served_;
  const PredictOptions& options_;
};

}  // namespace

void require_paths(const PredictOptions& options) {
  require_output(options.output, options.input.paths);
  if (options.resume && options.output == "-") {
    throw Error(ExitCode::kInput, "--resume: standard output keeps no rows to go on behind",
                "name a file: -o answers.tsv");
  }
}

PredictResult predict(FileSystem& files, const ServedModel& served, const PredictOptions& options,
                      const Device& device, const Mesh& mesh) {
  const auto start = std::chrono::steady_clock::now();
  const bool root = mesh.is_root();
  require_paths(options);
  BadRows bad(options.skip_bad);
  ExampleReader examples(with_shared_input(options.input, mesh), bad);
  std::optional<RowWriter> out;
  PredictResult result;
  if (root) {
    out.emplace(
        files, options.output, output_columns(examples.columns(), added_columns(served, options)),
        RowWriterOptions{
            .resume = options.resume,
            .job = options.output == "-" ? OutputJob() : predict_job(files, served, options)});
    result.resumed = out->rows();
  }
  result.resumed = broadcast(mesh.world(), result.resumed, 0, "rows written");
  if (broadcast(mesh.world(), root && out->was_finished(), 0, "finished")) return result;
  const Answer answer(served, options);
  RowWindows windows(examples, row_tokenizers(served.tokenizer, served.text.encode_options())(),
                     bad);
  windows.skip(result.resumed);
  const RowLogits rows = {.model = served.model,
                          .device = device,
                          .mesh = mesh,
                          .on_row =
                              [&](const Row& row, std::span<const float> logits) {
                                out->fields(row);
                                answer.write(logits, *out);
                                out->end_row();
                              },
                          .on_window =
                              [&] {
                                out->flush();
                                if (!options.progress) return;
                                const std::chrono::duration<double> spent =
                                    std::chrono::steady_clock::now() - start;
                                options.progress({out->rows(), spent.count()});
                              }};
  rows.run(windows);
  if (root) {
    out->finish();
    result.rows = out->rows();
  }
  result.skipped.assign(bad.list().begin(), bad.list().end());
  return result;
}

}  // namespace heddle
