#include "tests/trainer/log/sample_run.h"

#include <cmath>
#include <random>

#include "trainer/log/jsonl_log.h"
#include "trainer/log/run_state.h"
#include "trainer/metrics/metric_report.h"

namespace heddle {
namespace {

constexpr const char* kConfig = R"(output: runs/reviews
seed: 42
model:
  from: models/minilm
  head: {task: sequence_classification, labels: auto, problem: auto}
data:
  train: {path: train.tsv, text: sentence, label: label}
  validation: dev.tsv
  test: test.tsv
  max_length: 128
batch: {size: 32}
optimizer: {name: adamw, lr: 5e-5, weight_decay: 0.01, clip: 1.0}
schedule: {name: linear, warmup: 6%}
training: {epochs: 3, evaluate_every: 100}
# <b>not bold</b>
)";

const std::vector<std::string> kLabels{"negative", "neutral", "positive"};

// Logits that favour the true class the more, the larger `skill`.
MetricReport report_with_skill(double skill, std::mt19937& random) {
  std::normal_distribution<float> noise(0, 1);
  std::vector<float> logits;
  std::vector<int64_t> classes;
  for (int64_t row = 0; row < 872; ++row) {
    classes.push_back(row % 7 < 3 ? 0 : row % 7 < 5 ? 2 : 1);
    for (int64_t label = 0; label < 3; ++label) {
      logits.push_back(1.4f * noise(random) +
                       (label == classes.back() ? static_cast<float>(skill) : 0));
    }
  }
  return evaluate({.problem = Problem::kSingleLabel,
                   .num_labels = 3,
                   .logits = logits,
                   .classes = classes,
                   .label_names = kLabels});
}

void write_log(FileSystem& files, const std::string& path, std::mt19937& random) {
  std::normal_distribution<double> noise(0, 1);
  JsonlLog log(files, path);
  log.add(EventRecord{.step = 0, .event = "start", .details = {{"ranks", 2}, {"threads", 1}}});
  for (int64_t step = 1; step <= kSampleSteps; ++step) {
    const double done = static_cast<double>(step) / kSampleSteps;
    const double warm = std::min(done / 0.06, (1 - done) / 0.94);
    log.add(StepRecord{.step = step,
                       .epoch = 3 * done,
                       .loss = 0.18 + 0.9 * std::exp(-5 * done) + 0.08 * std::abs(noise(random)),
                       .lr = 5e-5 * warm,
                       .grad_norm = 1.1 + 4 * std::exp(-6 * done) + 0.4 * std::abs(noise(random)),
                       .tokens_per_second = 9100 + 300 * noise(random)});
    if (step % 100 == 0) {
      const double skill = 2.8 - 2.4 * std::exp(-4 * done) - (done > 0.8 ? done - 0.8 : 0) * 2;
      log.add(EvaluationRecord{.step = step,
                               .epoch = 3 * done,
                               .split = "validation",
                               .rows = 872,
                               .seconds = 1.3,
                               .metrics = report_with_skill(skill, random).values});
      log.add(EventRecord{.step = step,
                          .event = "checkpoint",
                          .details = {{"path", fmt::format("checkpoints/step-{:09}", step)}}});
    }
  }
  log.add(EventRecord{.step = kSampleSteps, .event = "end"});
}

std::string predictions_text() {
  const std::vector<std::string> texts{
      "an hour and a half of wishing for the credits <script>alert(1)</script>",
      "so clever that it forgets to be funny & \"deep\"", "größer als das Leben, und doch zu kurz",
      "too slow, too long and too happy with itself",
      "the kind of film that you would gladly see twice, once for the faces and once for the rain"};
  std::string text;
  for (int64_t row = 0; row < 90; ++row) {
    const Json line{{"row", row},
                    {"text", texts[row % texts.size()]},
                    {"label", kLabels[row % 3]},
                    {"predicted", kLabels[row % 4 == 0 ? row % 3 : (row + 1) % 3]},
                    {"score", 0.999 - 0.006 * static_cast<double>(row)}};
    text += dump_json(line) + '\n';
  }
  return text;
}

}  // namespace

void write_sample_run(FileSystem& files, const std::string& folder) {
  std::mt19937 random(3);
  make_directories(files, folder);
  write_new_file(files, join_path(folder, "config.yaml"), kConfig);
  write_log(files, join_path(folder, "log.jsonl"), random);
  const RunState state{
      .version = "0.1.0",
      .step = kSampleSteps,
      .epoch = 3,
      .last = kSampleSteps,
      .best = BestCheckpoint{.step = 900, .metric = "accuracy", .value = 0.8417},
      .ended = "finished",
      .hashes = {{"config", "9f0c1b7a55d2e0c4"}, {"train", "51d2aa03be7f1290"}},
      .environment = {
          {"processor", "AMD EPYC 9354P"}, {"ranks", "2"}, {"threads", "1"}, {"device", "cpu"}}};
  write_new_file(files, join_path(folder, "run.json"), dump_json(to_json(state), 2));
  write_new_file(files, join_path(folder, "test.json"),
                 dump_json(to_json(report_with_skill(2.6, random)), 2));
  write_new_file(files, join_path(folder, "test_predictions.jsonl"), predictions_text());
}

}  // namespace heddle
