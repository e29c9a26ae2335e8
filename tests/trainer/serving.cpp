#include "tests/trainer/serving.h"

#include "framework/comm/threads.h"
#include "framework/nn/arena.h"
#include "models/hf/export.h"
#include "models/tokenizers/tokenizer.h"
#include "trainer/evaluate_rows.h"

namespace heddle {

std::string model_folder(const Scratch& scratch, const std::string& name, const Head& head) {
  const auto tokenizer = load_tokenizer(tokenizer_path());
  ClassifierConfig config;
  config.vocabulary = tokenizer->id_bound();
  config.hidden_size = 16;
  config.layers = 2;
  config.heads = 2;
  config.intermediate_size = 24;
  config.max_positions = 32;
  config.deviation = 0.3f;
  config.problem = head.problem;
  config.labels = head.labels;
  Classifier model(config);
  const ParameterArena arena(model, Device::cpu());
  initialize(arena, 17);
  PosixFileSystem files;
  export_folder(files, scratch.path(name), config, parts_of(named_parameters(model)),
                tokenizer->files());
  return scratch.path(name);
}

std::unique_ptr<ServedModel> served_model(const Scratch& scratch, const Head& head) {
  PosixFileSystem files;
  return load_served_model(files, model_folder(scratch, "model", head));
}

std::string rows_of_all_lengths(int rows) {
  const std::vector<std::string> words = {"cat", "sea", "town", "of", "the", "large", "sweet"};
  std::string text = "text\tlabel\n";
  for (int i = 0; i < rows; ++i) {
    const int count = 1 + i * 23 % 40;
    for (int w = 0; w < count; ++w) {
      text += (w > 0 ? " " : "") + words[static_cast<size_t>((i * 5 + w * w) % 7)];
    }
    text += i % 3 == 0 ? "\ta\n" : "\tb\n";
  }
  return text;
}

std::string predicted(const ServedModel& served, const PredictOptions& options, int ranks) {
  PosixFileSystem files;
  run_threads(ranks, [&](Communicator& world) {
    PosixFileSystem own;
    predict(own, served, options, Device::cpu(), world);
  });
  return read_file(files, options.output);
}

std::string extracted(const ServedModel& served, const FeatureOptions& options, int ranks) {
  PosixFileSystem files;
  run_threads(ranks, [&](Communicator& world) {
    PosixFileSystem own;
    extract_features(own, served, options, Device::cpu(), world);
  });
  return read_file(files, options.output);
}

MetricReport evaluated(const ServedModel& served, const DataSource& input, int ranks) {
  MetricReport report;
  run_threads(ranks, [&](Communicator& world) {
    MetricReport of_rank = evaluate_rows(served, input, 0, Device::cpu(), world);
    if (world.rank() == 0) report = std::move(of_rank);
  });
  return report;
}

}  // namespace heddle
