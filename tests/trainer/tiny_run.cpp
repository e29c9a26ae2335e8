#include "tests/trainer/tiny_run.h"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "framework/nn/arena.h"
#include "models/classifier.h"
#include "models/hf/export.h"
#include "models/tokenizers/tokenizer.h"
#include "trainer/config/yaml.h"
#include "trainer/run_differences.h"

namespace heddle {

Scratch::Scratch() {
  static std::atomic<int> count{0};
  path_ = fmt::format("{}heddle-trainer-{}-{}", testing::TempDir(), ::getpid(), count++);
  std::filesystem::create_directories(path_);
}

Scratch::~Scratch() {
  std::filesystem::remove_all(path_);
}

std::string Scratch::write(const std::string& name, const std::string& content) const {
  const std::string to = path(name);
  std::filesystem::create_directories(std::filesystem::path(to).parent_path());
  std::ofstream(to, std::ios::binary) << content;
  return to;
}

std::string tokenizer_path() {
  return std::string(HEDDLE_SOURCE_DIR) + "/datasets/samples/definitions/tokenizer.json";
}

std::string labelled_rows(int rows, int first) {
  std::string text = "text\tlabel\n";
  for (int i = first; i < first + rows; ++i) {
    const bool a = i * 7 % 5 < 2;
    text += a ? "a city" : "a small animal";
    for (int w = 0; w < i * 5 % 9; ++w) text += fmt::format(" of the {}", w % 2 ? "sea" : "land");
    text += a ? "\ta\n" : "\tb\n";
  }
  return text;
}

std::string tiny_yaml(const Scratch& scratch, const std::string& output) {
  if (!std::filesystem::exists(scratch.path("train.tsv"))) {
    scratch.write("train.tsv", labelled_rows(45));
    scratch.write("dev.tsv", labelled_rows(13, 100));
  }
  return fmt::format(R"(output: {0}/{1}
seed: 5
model:
  architecture:
    {{family: bert, hidden_size: 32, layers: 2, heads: 2, intermediate_size: 48, max_positions: 32}}
  tokenizer: {2}
data:
  train: {{path: {0}/train.tsv, text: text, label: label}}
  validation: {0}/dev.tsv
  max_length: 16
batch: {{size: 7, micro_tokens: 32}}
optimizer: {{lr: 1e-3, weight_decay: 0.01, clip: 1.0}}
schedule: {{name: linear, warmup: 10%}}
training: {{steps: 12, log_every: 1, evaluate_every: 5}}
checkpoint: {{every: 4, keep: 3}}
log: {{tensorboard: false, hash_every: 1}}
)",
                     scratch.path(), output, tokenizer_path());
}

Config tiny_config(const Scratch& scratch, const std::string& output,
                   const std::vector<std::string>& assignments) {
  return parse_config(tiny_yaml(scratch, output), "tiny.yaml", assignments);
}

std::string starting_folder(const Scratch& scratch, const std::string& name,
                            const std::string& poisoned) {
  const auto tokenizer = load_tokenizer(tokenizer_path());
  ClassifierConfig config;
  config.vocabulary = tokenizer->id_bound();
  config.hidden_size = 32;
  config.layers = 2;
  config.heads = 2;
  config.intermediate_size = 48;
  config.max_positions = 32;
  config.labels = {"a", "b"};
  Classifier model(config);
  const ParameterArena arena(model, Device::cpu());
  initialize(arena, 17);
  for (const auto& [of, parameter] : named_parameters(model)) {
    if (of == poisoned) parameter->value.fill(std::numeric_limits<float>::max());
  }
  PosixFileSystem files;
  export_folder(files, scratch.path(name), config, parts_of(named_parameters(model)),
                tokenizer->files());
  return scratch.path(name);
}

Trained train_on(int ranks, const Config& config, const TrainOptions& options) {
  PosixFileSystem posix;
  std::ostringstream out;
  std::vector<TrainOutcome> outcomes(static_cast<size_t>(ranks));
  run_threads(ranks, [&](Communicator& world) {
    std::ostringstream unseen;
    const bool root = world.rank() == 0;
    Console console(root ? out : unseen, {.silent = !root, .log_every = 1});
    ThreadPool pool(options.threads);
    const bool asks = world.rank() == world.size() - 1 && options.stop_after > 0;
    const TrainerEnvironment environment = {
        .files = options.files ? *options.files : posix,
        .world = world,
        .pool = pool,
        .console = console,
        .watchdog = nullptr,
        .stop_asked = [&, steps = 0]() mutable { return asks && ++steps == options.stop_after; },
        .facts = {}};
    outcomes[static_cast<size_t>(world.rank())] = train(config, {options.resume}, environment);
  });
  for (const TrainOutcome outcome : outcomes) EXPECT_EQ(outcome, outcomes[0]);
  return {outcomes[0], out.str()};
}

void expect_equal_runs(const std::string& a, const std::string& b, int64_t steps) {
  PosixFileSystem files;
  const RunComparison comparison = compare_runs(files, a, b);
  EXPECT_EQ(comparison.losses, steps) << b;
  EXPECT_GE(comparison.hashes, steps) << b;
  if (comparison.first) {
    ADD_FAILURE() << b << ": step " << comparison.first->step << ": " << comparison.first->what;
  }
}

Caught caught(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return {error.what(), error.hint(), error.code()};
  } catch (const std::exception& error) {
    return {error.what(), "", ExitCode::kInternal};
  }
  return {};
}

testing::AssertionResult has(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "'" << text << "'\n  does not contain '" << part << "'";
}

}  // namespace heddle
