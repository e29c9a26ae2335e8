// Values that are good alone and do not go together.
#include <gtest/gtest.h>

#include "framework/optim/schedule.h"
#include "tests/trainer/config/config_test_support.h"

namespace heddle {
namespace {

std::string message_for_model(const std::string& model, const std::string& lines = "") {
  return message_for("output: a\nmodel: " + model + "\ndata: {train: a.tsv}\n" + lines);
}

TEST(ConfigTogether, AModelHasOneOrigin) {
  EXPECT_SAYS(message_for_model("{from: m, architecture: {layers: 1}, tokenizer: t}"),
              "a.yaml:2: 'model.from' and 'model.architecture' exclude each other");
  EXPECT_SAYS(message_for_model("{train: head}"), "a.yaml:2: 'model' needs 'from'");
  EXPECT_SAYS(message_for("output: a\ndata: {train: a.tsv}\n"), "a.yaml: 'model' needs 'from'");
  EXPECT_SAYS(message_for_model("{architecture: {layers: 1}}"),
              "'model.architecture' needs 'model.tokenizer'");
  EXPECT_SAYS(message_for_model("{from: m, tokenizer: t}"), "'model.from' brings its own");
}

TEST(ConfigTogether, AnArchitectureFits) {
  EXPECT_SAYS(message_for_model("{tokenizer: t, architecture: {hidden_size: 100, heads: 3}}"),
              "'hidden_size' is 100, no multiple of 3 'heads'");
  EXPECT_SAYS(message_for_model("{tokenizer: t, architecture: {embedding_size: 64}}"),
              "'embedding_size' is a key of electra; the family is bert");
  EXPECT_SAYS(
      message_for_model("{tokenizer: t, architecture: {family: distilbert, type_vocab: 2}}"),
      "distilbert has no token types");
  EXPECT_SAYS(message_for_model("{tokenizer: t, architecture: {max_positions: 64}}"),
              "'data.max_length' is 128, but the model has 64 positions");
  EXPECT_SAYS(message_for_model("{tokenizer: t, architecture: {layers: 2}, train: {layers: 3}}"),
              "'model.train' asks for the last 3 of 2 layers");
}

TEST(ConfigTogether, LabelsAndProblemFit) {
  EXPECT_SAYS(message_for_model("{from: m, head: {labels: [a, b, a]}}"), "names a label twice");
  EXPECT_SAYS(message_for_model("{from: m, head: {labels: [a]}}"),
              "'model.head.labels' has 1. Expected at least 2");
  EXPECT_EQ(message_for_model("{from: m, head: {labels: [a], problem: multi_label}}"), "");
  EXPECT_SAYS(message_for_model("{from: m, head: {problem: regression}}",
                                "training: {label_smoothing: 0.1}\n"),
              "a.yaml:4: 'training.label_smoothing' goes with single_label");
}

TEST(ConfigTogether, DataFit) {
  EXPECT_SAYS(
      message_for("output: a\nmodel: {from: m}\n"
                  "data: {train: a.tsv, max_length: 32, stride: 30}\n"),
      "'data.stride' is 30. Expected less than 'data.max_length' without special tokens, 30");
  EXPECT_SAYS(message_for("output: a\nmodel: {from: m}\n"
                          "data: {train: a.tsv, truncation: only_second}\n"),
              "'data.train.pair' names no second text");
  EXPECT_SAYS(message_for("output: a\nmodel: {from: m}\n"
                          "data: {train: {path: a.tsv, text: x, label: x}}\n"),
              "'data.train' uses one column for two of text, pair and label");
  EXPECT_SAYS(message_for("output: a\nmodel: {from: m}\n"
                          "data: {train: {path: a.tsv, header: false}}\n"),
              "'data.train.header' is false: columns have numbers, not names");
}

TEST(ConfigTogether, OneMeasureOfABatchAndOfARun) {
  EXPECT_SAYS(message_for_lines("batch: {size: 8, tokens: 4096}\n"),
              "a.yaml:4: 'batch.size' and 'batch.tokens' exclude each other");
  EXPECT_SAYS(message_for_lines("training: {epochs: 8, steps: 4096}\n"),
              "'training.epochs' and 'training.steps' exclude each other");
  EXPECT_SAYS(message_for_lines("batch: {tokens: 100}\n"),
              "'batch.tokens' is 100, less than one text of 'data.max_length', 128");
  EXPECT_SAYS(message_for_lines("batch: {micro_tokens: 100}\n"),
              "'batch.micro_tokens' is 100, less");
}

TEST(ConfigTogether, KeysOfAnotherOptimizerOrScheduleAreNotIgnored) {
  EXPECT_SAYS(message_for_lines("optimizer: {momentum: 0.9}\n"), "'momentum' is a key of sgd");
  EXPECT_SAYS(message_for_lines("optimizer: {name: sgd, betas: [0.5, 0.5]}\n"),
              "'betas' is a key of adamw");
  EXPECT_SAYS(message_for_lines("optimizer: {name: sgd, eps: 1e-6}\n"), "'eps' is a key of adamw");
  EXPECT_SAYS(message_for_lines("schedule: {decay: 5%}\n"), "'decay' is a key of wsd");
  EXPECT_SAYS(message_for_lines("schedule: {name: constant, end: 0.5}\n"),
              "'end' is a key of linear, cosine and wsd; the schedule is constant");
}

TEST(ConfigTogether, SchedulesAreThoseOfTheOptimizers) {
  for (const std::string& name : schedule_names()) {
    EXPECT_EQ(config_of_lines("schedule: {name: " + name + "}\n").schedule.name, name);
  }
}

TEST(ConfigTogether, MetricsHaveRowsAndFitTheProblem) {
  EXPECT_SAYS(message_for_lines("checkpoint: {best: accuracy}\n"),
              "'checkpoint.best' is accuracy, but there are no rows in 'data.validation'");
  EXPECT_SAYS(message_for_lines("training: {early_stop: {}}\n"),
              "'training.early_stop' needs rows in 'data.validation'");
  const std::string regression =
      "output: a\nmodel: {from: m, head: {problem: regression}}\n"
      "data: {train: a.tsv, validation: b.tsv}\n";
  EXPECT_SAYS(message_for(regression + "checkpoint: {best: accuracy}\n"),
              "a.yaml:4: 'checkpoint.best' is accuracy, which regression does not have; known: ");
  EXPECT_SAYS(message_for(regression + "training: {early_stop: {metric: macro_f1}}\n"),
              "'training.early_stop.metric' is macro_f1, which regression does not have");
  EXPECT_EQ(message_for(regression + "checkpoint: {best: pearson}\n"), "");
  EXPECT_SAYS(message_for(regression + "training: {evaluate_every: never, early_stop: {}}\n"),
              "'training.evaluate_every' is never, but 'training.early_stop' waits");
}

TEST(ConfigTogether, RanksFitTheCanonicalMesh) {
  EXPECT_SAYS(message_for_lines("numerics: {data: 6}\n"),
              "'numerics.data' is 6. Expected a power of two");
  EXPECT_SAYS(message_for_lines("parallel: {data: 3}\n"),
              "'parallel.data' is 3. Expected a divisor of 'numerics.data', 8");
  EXPECT_EQ(message_for_lines("parallel: {data: 3}\nnumerics: {mode: fast}\n"), "");
}

}  // namespace
}  // namespace heddle
