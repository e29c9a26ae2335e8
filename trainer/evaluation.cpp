#include "trainer/evaluation.h"

#include <algorithm>
#include <chrono>

#include "framework/device/profile.h"
#include "framework/io/json.h"
#include "trainer/sequence_logits.h"

namespace heddle {
namespace {

// A label as the report expects it: a name, names, or a number.
Json truth(const Example& example, const SequenceClassification& task, size_t column) {
  if (task.problem() == Problem::kMultiLabel) return label_names(example.row, column);
  if (task.problem() == Problem::kSingleLabel) {
    return task.labels().name(parse_label_index(example.row, column, task.labels()));
  }
  std::vector<float> values(static_cast<size_t>(task.outputs()));
  parse_numbers(example.row, column, values);
  if (values.size() == 1) return values[0];
  return values;
}

Json prediction(std::span<const float> logits, const SequenceClassification& task) {
  if (task.problem() == Problem::kSingleLabel) return task.labels().name(predicted_class(logits));
  if (task.problem() == Problem::kRegression) {
    if (logits.size() == 1) return logits[0];
    return std::vector<float>(logits.begin(), logits.end());
  }
  Json names = Json::array();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (predicted_on(logits[i])) names.push_back(task.labels().name(static_cast<int64_t>(i)));
  }
  return names;
}

}  // namespace

Evaluation evaluate_dataset(const Classifier& model, const SequenceClassification& task,
                            const TokenizedDataset& data, const Device& device, const Mesh& mesh) {
  const auto start = std::chrono::steady_clock::now();
  const SequenceSource source = {
      .count = data.size(),
      .length = [&](int64_t i) { return data.length(i); },
      .add_to = [&](PackedSequences& packed, int64_t i) { data.add_to(packed, i); }};
  Evaluation evaluation;
  const std::vector<float> outputs = sequence_logits(model, device, source, mesh);
  if (mesh.is_root()) {
    const ProfiledStage span("metrics");
    evaluation.logits = mean_by_row(data, outputs, task.outputs());
    evaluation.report = task.report(data, evaluation.logits);
  }
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  evaluation.seconds = spent.count();
  return evaluation;
}

void write_test_predictions(FileSystem& files, const std::string& path, const DataSource& source,
                            int64_t skip_bad, const SequenceClassification& task,
                            const std::vector<float>& logits) {
  BadRows bad(skip_bad);
  ExampleReader examples(source, bad);
  const auto width = static_cast<size_t>(task.outputs());
  std::string text;
  Example example;
  for (int64_t row = 0; examples.next(example);) {
    Json line = {{"row", row}, {"text", example.text}};
    if (examples.has_pair()) line["pair"] = example.pair;
    try {
      line["label"] = truth(example, task, *examples.label_column());
    } catch (const RowError& error) {
      bad.add(error);
      continue;
    }
    const auto of_row = std::span(logits).subspan(static_cast<size_t>(row) * width, width);
    line["predicted"] = prediction(of_row, task);
    if (task.problem() != Problem::kRegression) {
      line["score"] = std::ranges::max(probabilities(task.problem(), of_row));
    }
    text += dump_json(line) + "\n";
    ++row;
  }
  write_file_atomically(files, path, text);
}

}  // namespace heddle
