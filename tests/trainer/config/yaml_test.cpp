#include "trainer/config/yaml.h"

#include <fstream>

#include "tests/trainer/config/config_test_support.h"

namespace heddle {
namespace {

// The example of the documentation, with every key set to something else than its default.
constexpr const char* kFull = R"(output: runs/sst2
seed: 7
model:
  architecture: {family: electra, hidden_size: 96, layers: 3, heads: 6, intermediate_size: 200,
                 max_positions: 256, embedding_size: 64, type_vocab: 3, layer_norm_eps: 1e-6,
                 initializer_range: 0.01}
  tokenizer: "my tokenizer.json"
  head: {task: sequence_classification, labels: [no, "010", "a \"b\"\n"], problem: single_label}
  dropout: {hidden: 0.2, attention: 0, head: 0.3}
  train: {layers: 2}
data:
  train: {path: [part-*.tsv, more.csv.gz], text: sentence, pair: 3, label: label, header: true}
  validation: {path: dev.tsv, text: s}
  test: test.tsv
  max_length: 200
  truncation: only_second
  stride: 16
  skip_bad: 3
batch: {tokens: 4096, micro_tokens: 1024}
optimizer: {name: adamw, lr: 3e-5, betas: [0.8, 0.99], eps: 1e-6, weight_decay: 0.1, clip: 0,
            groups: [{match: "head.*", lr: 5e-4}, {match: "*.bias", weight_decay: 0}]}
schedule: {name: wsd, warmup: 200, end: 0.1, decay: 20%}
training: {steps: 1000, log_every: 5, evaluate_every: 100,
           early_stop: {metric: macro_f1, patience: 4}, label_smoothing: 0.1,
           group_by_length: true, max_skipped_steps: 1}
checkpoint: {every: 0.5 epochs, keep: 4, best: log_loss, async: false}
parallel: {data: 4, tensor: 1, zero: 0, sequence: true}
numerics: {mode: canonical, data: 16, tensor: 1}
precision: f32
memory: {recompute: none}
watchdog: {start: 5 min, step: 90 s}
log: {console: lines, tensorboard: false, hash_every: 1}
threads: 2
)";

TEST(Config, EveryKeyIsRead) {
  const Config c = parse_config(kFull, "full.yaml");
  EXPECT_EQ(c.output, "runs/sst2");
  EXPECT_EQ(c.seed, 7);
  ASSERT_TRUE(c.model.architecture);
  EXPECT_EQ(c.model.architecture->family, "electra");
  EXPECT_EQ(c.model.architecture->embedding_size, 64);
  EXPECT_EQ(c.model.tokenizer, "my tokenizer.json");
  EXPECT_EQ(c.model.head.labels, (std::vector<std::string>{"no", "010", "a \"b\"\n"}));
  EXPECT_EQ(c.model.dropout.attention, 0);
  EXPECT_EQ(c.model.train.kind, TrainedPart::Kind::kLayers);
  EXPECT_EQ(c.model.train.layers, 2);
  EXPECT_EQ(c.data.train.path, (std::vector<std::string>{"part-*.tsv", "more.csv.gz"}));
  EXPECT_EQ(c.data.train.pair, "3");
  EXPECT_EQ(c.batch.tokens, 4096);
  EXPECT_FALSE(c.batch.size);
  EXPECT_EQ(c.optimizer.lr, 3e-5);
  EXPECT_EQ(c.optimizer.betas, (std::vector<double>{0.8, 0.99}));
  ASSERT_EQ(c.optimizer.groups.size(), 2u);
  EXPECT_EQ(c.optimizer.groups[0].lr, 5e-4);
  EXPECT_FALSE(c.optimizer.groups[0].weight_decay);
  EXPECT_EQ(c.schedule.warmup.steps, 200);
  EXPECT_EQ(c.schedule.decay.percent, 20);
  EXPECT_EQ(c.training.steps, 1000);
  EXPECT_FALSE(c.training.epochs);
  ASSERT_TRUE(c.training.early_stop);
  EXPECT_EQ(c.training.early_stop->metric, "macro_f1");
  EXPECT_EQ(c.checkpoint.every.epochs, 0.5);
  EXPECT_EQ(c.parallel.data, 4);
  EXPECT_EQ(c.watchdog.start.seconds, 300);
  EXPECT_EQ(c.watchdog.step->seconds, 90);
  EXPECT_EQ(c.log.hash_every, 1);
  EXPECT_EQ(c.threads, 2);
}

TEST(Config, WhatIsNotSaidHasItsDefault) {
  const Config c = config_of_lines("");
  EXPECT_EQ(c.seed, 42);
  EXPECT_EQ(c.batch.size, 32);
  EXPECT_EQ(c.training.epochs, 3);
  EXPECT_EQ(c.optimizer.lr, 5e-5);
  EXPECT_EQ(c.schedule.warmup.percent, 6);
  EXPECT_EQ(c.data.train.text, "text");
  EXPECT_EQ(c.data.train.label, "label");
  EXPECT_EQ(c.data.train.header, true);
  EXPECT_FALSE(c.data.validation);
  EXPECT_FALSE(c.model.dropout.hidden);
  EXPECT_EQ(c.numerics.data, 8);
  EXPECT_FALSE(c.watchdog.step);
}

TEST(Config, OtherFilesTakeTheColumnsOfTraining) {
  const Config c = parse_config(kFull, "full.yaml");
  ASSERT_TRUE(c.data.validation);
  EXPECT_EQ(c.data.validation->text, "s");
  EXPECT_EQ(c.data.validation->pair, "3");
  ASSERT_TRUE(c.data.test);
  EXPECT_EQ(c.data.test->path, std::vector<std::string>{"test.tsv"});
  EXPECT_EQ(c.data.test->text, "sentence");
  EXPECT_EQ(c.data.test->label, "label");
}

TEST(Config, ColumnsThatAreAllNumbersMeanNoHeader) {
  const Config numbers = parse_config(
      "output: o\nmodel: {from: m}\ndata: {train: {path: a.tsv, text: 0, label: 1}}\n", "a.yaml");
  EXPECT_EQ(numbers.data.train.text, "0");
  EXPECT_EQ(numbers.data.train.header, false);
}

TEST(Config, WrittenOutReadsBackEqual) {
  for (const char* text : {kFull, kNeeded}) {
    const Config config = parse_config(text, "a.yaml");
    const std::string written = to_yaml(config);
    EXPECT_EQ(parse_config(written, "b.yaml"), config) << written;
    EXPECT_EQ(to_yaml(parse_config(written, "b.yaml")), written);
  }
}

TEST(Config, TextThatYamlWouldReadOtherwiseIsQuoted) {
  for (const std::string text :
       {"~", "null", "auto", "a: b", "#x", "-", "- a", "a\tb", "\"", "\\n", " a ", "*.tsv", "{a}",
        "ü", "a\x7f", "---", "...", "true", "1e5"}) {
    Config config = config_of_lines("");
    config.output = text;
    config.model.from = text;
    config.model.head.labels = {text, "other"};
    const std::string written = to_yaml(config);
    EXPECT_EQ(parse_config(written, "b.yaml"), config) << written;
  }
}

TEST(Config, AnEmptySectionHasItsDefaults) {
  EXPECT_EQ(config_of_lines("log:\n  # console: lines\n"), config_of_lines(""));
}

TEST(Config, FromAFile) {
  const std::string path = testing::TempDir() + "/config_from_a_file.yaml";
  std::ofstream(path) << kFull;
  PosixFileSystem files;
  EXPECT_EQ(read_config(files, path), parse_config(kFull, "full.yaml"));
  EXPECT_EQ(read_config(files, path, {"seed=8"}).seed, 8);
}

TEST(Config, AFileThatCannotBeReadIsNamed) {
  PosixFileSystem files;
  try {
    read_config(files, "no/such.yaml");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    EXPECT_SAYS(std::string(error.what()), "no/such.yaml");
  }
}

TEST(Config, AFileOfMoreThanAMebibyteIsRefused) {
  const std::string path = testing::TempDir() + "/config_too_large.yaml";
  std::ofstream(path) << std::string((1 << 20) + 1, '#');
  PosixFileSystem files;
  EXPECT_THROW(read_config(files, path), Error);
  EXPECT_SAYS(message_for(std::string((1 << 20) + 1, '#')),
              "a.yaml: a config of 1048577 bytes. Expected at most 1 MiB");
}

TEST(Differences, OnlyWhatChangesTheNumbersCounts) {
  const Config before = config_of_lines("");
  Config after = before;
  after.output = "elsewhere";
  after.threads = 3;
  after.log.console = "none";
  after.watchdog.start.seconds = 1;
  after.checkpoint.every = {.steps = 1};
  after.checkpoint.keep = 9;
  after.parallel.data = 4;
  after.training.log_every = 1;
  after.memory.recompute = "layer";
  after.data.test.emplace().path = {"t.tsv"};
  EXPECT_TRUE(differences(before, after).empty());
}

TEST(Differences, KeysAndBothValuesAreListed) {
  const Config before = config_of_lines("");
  Config after = config_of_lines("seed: 1\nnumerics: {data: 16}\noptimizer: {lr: 1e-3}\n");
  after.training.early_stop = EarlyStopConfig{};
  after.data.train.path = {"b.tsv"};
  const std::vector<Difference> found = differences(before, after);
  ASSERT_EQ(found.size(), 5u);
  EXPECT_EQ(found[0].key, "seed");
  EXPECT_EQ(found[0].before, "42");
  EXPECT_EQ(found[0].after, "1");
  EXPECT_EQ(found[1].key, "data.train.path");
  EXPECT_EQ(found[1].after, "[b.tsv]");
  EXPECT_EQ(found[2].key, "optimizer.lr");
  EXPECT_EQ(found[2].before, "5e-5");
  EXPECT_EQ(found[3].key, "training.early_stop");
  EXPECT_EQ(found[3].before, "~");
  EXPECT_EQ(found[3].after, "{metric: auto, patience: 3}");
  EXPECT_EQ(found[4].key, "numerics.data");
}

}  // namespace
}  // namespace heddle
