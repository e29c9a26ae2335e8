// What is said about YAML and values that are wrong.
#include <gtest/gtest.h>

#include "tests/trainer/config/config_test_support.h"

namespace heddle {
namespace {

TEST(YamlSyntax, MistakesAreNamedByLine) {
  EXPECT_SAYS(message_for("output: a\nmodel: {from: b\ndata: c\n"), "not valid YAML");
  EXPECT_SAYS(message_for("output: a\nmodel:\n\tfrom: b\n"), "a.yaml:3: not valid YAML");
  EXPECT_SAYS(message_for("output: a\nmodel:\n\tfrom: b\n"), "indent with spaces instead of tabs");
  EXPECT_SAYS(message_for("output: \"a\n\n"), "not valid YAML: illegal EOF in scalar");
  EXPECT_SAYS(message_for("a: b: c\n"), "a.yaml:1: not valid YAML");
  EXPECT_SAYS(message_for("a: b: c\n"), "check indentation, a space after ':'");
  EXPECT_SAYS(message_for_lines("x: [*.tsv]\n"), "a text that begins with * needs quotation marks");
}

TEST(YamlSyntax, EmptyFilesAreRefused) {
  EXPECT_SAYS(message_for(""), "a.yaml: is empty");
  EXPECT_SAYS(message_for("# nothing\n\n"), "a.yaml: is empty");
  EXPECT_SAYS(message_for("~\n"), "a.yaml: is empty");
}

TEST(YamlSyntax, TheRootHasToHoldKeys) {
  EXPECT_SAYS(message_for("- a\n- b\n"), "a.yaml:1: the file does not hold keys and values");
  EXPECT_SAYS(message_for("\njust words\n"), "a.yaml:2: the file does not hold keys and values");
}

TEST(YamlSyntax, KeysThatAppearTwiceAreRefused) {
  EXPECT_SAYS(message_for_lines("seed: 1\nthreads: 1\nseed: 2\n"),
              "a.yaml:6: key 'seed' appears twice; first at a.yaml:4");
  EXPECT_SAYS(message_for_lines("optimizer: {lr: 1, lr: 2}\n"), "a.yaml:4: key 'lr' appears twice");
}

TEST(YamlSyntax, KeysHaveToBeWords) {
  EXPECT_SAYS(message_for_lines("[a, b]: 1\n"),
              "a.yaml:4: a key is a list or a mapping, or a bracket is not closed");
  EXPECT_SAYS(message_for_lines("~: 1\n"), "a.yaml:4: a key is empty");
}

TEST(YamlSyntax, AnchorsAliasesAndTagsAreRefused) {
  EXPECT_SAYS(message_for_lines("seed: &x 1\n"), "a.yaml:4: anchors (&) and aliases (*)");
  EXPECT_SAYS(message_for_lines("log: &x {console: none}\nmemory: *x\n"), "a.yaml:4: anchors (&)");
  EXPECT_SAYS(message_for_lines("seed: !!str 1\n"), "the tag 'tag:yaml.org,2002:str'");
}

TEST(YamlSyntax, AnAliasBombIsRefusedAtItsFirstAnchor) {
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'z'; ++c) {
    const char before = static_cast<char>(c - 1);
    bomb +=
        std::string(1, c) + ": &" + c + " [*" + before + ", *" + before + ", *" + before + "]\n";
  }
  EXPECT_SAYS(message_for(bomb), "a.yaml:1: anchors (&) and aliases (*)");
}

TEST(YamlSyntax, SecondDocumentsAreRefused) {
  EXPECT_SAYS(message_for(std::string(kNeeded) + "---\nseed: 1\n"), "more than one YAML document");
  EXPECT_EQ(message_for("---\n" + std::string(kNeeded)), "");
}

TEST(YamlSyntax, DeepNestingIsRefused) {
  EXPECT_SAYS(message_for_lines("x: " + std::string(40, '[') + std::string(40, ']') + "\n"),
              "a.yaml:4: more than 32 levels of nesting");
  EXPECT_NE(message_for_lines("x: " + std::string(200000, '[')), "");
}

TEST(YamlSyntax, BytesThatAreNoTextAreRefused) {
  EXPECT_SAYS(message_for_lines("# \xff\n"), "a.yaml:4: bytes that are not UTF-8");
  EXPECT_SAYS(message_for_lines("# \xc0\x80\n"), "bytes that are not UTF-8");      // overlong
  EXPECT_SAYS(message_for_lines("# \xed\xa0\x80\n"), "bytes that are not UTF-8");  // surrogate
  EXPECT_SAYS(message_for_lines("# \xe2\x82"), "bytes that are not UTF-8");        // cut off
  EXPECT_SAYS(message_for_lines(std::string("# \0\n", 4)), "a.yaml:4: a NUL byte");
  EXPECT_EQ(message_for_lines("# \xe2\x82\xac \xf0\x9f\x98\x80 \xc3\xbc\n"), "");
}

TEST(ConfigKeys, UnknownOnesNameLineSectionAndTheNearest) {
  EXPECT_SAYS(message_for_lines("optimizer:\n  learing_rate: 1\n"),
              "a.yaml:5: unknown key 'learing_rate' in 'optimizer'; did you mean 'lr'?");
  EXPECT_SAYS(message_for_lines("sede: 1\n"), "a.yaml:4: unknown key 'sede'; did you mean 'seed'?");
  EXPECT_SAYS(message_for_lines("batch: {szie: 1}\n"), "did you mean 'size'?");
  EXPECT_SAYS(message_for_lines("optimizer: {groups: [{match: a, rl: 1}]}\n"),
              "unknown key 'rl' in 'optimizer.groups.0'; did you mean 'lr'?");
}

TEST(ConfigKeys, OnesOfAnotherSectionAreFoundThere) {
  EXPECT_SAYS(message_for_lines("lr: 1\n"), "unknown key 'lr'; did you mean 'optimizer.lr'?");
  EXPECT_SAYS(message_for_lines("batch: {max_length: 1}\n"), "did you mean 'data.max_length'?");
  EXPECT_SAYS(message_for_lines("num_train_epochs: 1\n"), "did you mean 'training.epochs'?");
}

TEST(ConfigKeys, WithNothingNearTheKnownOnesAreListed) {
  EXPECT_SAYS(message_for_lines("memory: {zebra: 1}\n"), "known: recompute");
}

TEST(ConfigKeys, AllMistakesAreReportedTogether) {
  const std::string message =
      message_for_lines("sede: 1\nbatch: {size: no}\nthreads: 0\n", {"sed=1"});
  EXPECT_SAYS(message, "a.yaml:4: unknown key 'sede'");
  EXPECT_SAYS(message, "a.yaml:5: 'batch.size' is 'no'");
  EXPECT_SAYS(message, "a.yaml:6: 'threads' is '0'");
  EXPECT_SAYS(message, "'heddle config --describe' shows every key");
  EXPECT_LT(message.find("a.yaml:4"), message.find("a.yaml:5"));
  EXPECT_LT(message.find("a.yaml:5"), message.find("a.yaml:6"));
  EXPECT_LT(message.find("a.yaml:6"), message.find("--set sed: unknown key 'sed'"));
}

TEST(ConfigKeys, MissingOnesAreNamed) {
  EXPECT_SAYS(message_for("model: {from: m}\ndata: {train: a}\n"),
              "a.yaml:1: missing key 'output'");
  EXPECT_SAYS(message_for("output: a\nmodel: {from: m}\n"), "missing key 'path' in 'data.train'");
  EXPECT_SAYS(message_for("output: a\nmodel: {from: m}\ndata:\n  train: {text: a}\n"),
              "a.yaml:4: missing key 'path' in 'data.train'");
  EXPECT_SAYS(message_for_lines("optimizer: {groups: [{lr: 1}]}\n"),
              "missing key 'match' in 'optimizer.groups.0'");
}

TEST(ConfigValues, NumbersAreCheckedForKindAndRange) {
  EXPECT_SAYS(message_for_lines("optimizer: {lr: fast}\n"),
              "a.yaml:4: 'optimizer.lr' is 'fast'. Expected a number above 0 and at most 100");
  EXPECT_SAYS(message_for_lines("optimizer: {lr: 0}\n"), "'optimizer.lr' is '0'. Expected");
  EXPECT_SAYS(message_for_lines("optimizer: {lr: -1e-5}\n"), "'optimizer.lr' is '-1e-5'");
  EXPECT_SAYS(message_for_lines("optimizer: {lr: .nan}\n"), "'optimizer.lr' is '.nan'");
  EXPECT_SAYS(message_for_lines("optimizer: {lr: inf}\n"), "'optimizer.lr' is 'inf'");
  EXPECT_SAYS(message_for_lines("optimizer: {lr: \"1e-5\"}\n"),
              "is the text \"1e-5\". Expected a number above 0 and at most 100, without quotation");
  EXPECT_SAYS(message_for_lines("optimizer: {lr: }\n"),
              "'optimizer.lr' is empty. Expected a number");
  EXPECT_SAYS(message_for_lines("optimizer: {lr: [1]}\n"), "'optimizer.lr' is a list");
  EXPECT_SAYS(message_for_lines("seed: 010\n"),
              "'seed' is '010'. Expected a whole number at least 0, without leading zeros");
  EXPECT_SAYS(message_for_lines("seed: 1.5\n"), "'seed' is '1.5'. Expected a whole number");
  EXPECT_SAYS(message_for_lines("batch: {size: 99999999999}\n"), "from 1 to 16777216");
  EXPECT_SAYS(message_for_lines("model: x\n"), "key 'model' appears twice");
}

TEST(ConfigValues, WordsAreCheckedAgainstTheirList) {
  EXPECT_SAYS(message_for_lines("optimizer: {name: adam}\n"),
              "'optimizer.name' is 'adam'. Expected one of adamw, sgd; did you mean 'adamw'?");
  EXPECT_SAYS(message_for_lines("schedule: {name: 5}\n"), "Expected one of linear, cosine");
  EXPECT_SAYS(message_for_lines("checkpoint: {best: acuracy}\n"), "did you mean 'accuracy'?");
  EXPECT_SAYS(message_for_lines("training: {early_stop: {metric: loss}}\n"),
              "'training.early_stop.metric' is 'loss'. Expected one of accuracy, macro_f1");
}

TEST(ConfigValues, TruthIsTrueOrFalse) {
  EXPECT_SAYS(message_for_lines("log: {tensorboard: yes}\n"),
              "'log.tensorboard' is 'yes'. Expected true or false; YAML's yes, no, on and off");
  EXPECT_SAYS(message_for_lines("log: {tensorboard: 1}\n"), "Expected true or false");
}

TEST(ConfigValues, TextMayNotBeEmpty) {
  EXPECT_SAYS(message_for("output: \"\"\nmodel: {from: m}\ndata: {train: a}\n"),
              "'output' is the text \"\". Expected text");
  EXPECT_SAYS(message_for("output: ~\nmodel: {from: m}\ndata: {train: a}\n"),
              "'output' is empty. Expected text");
}

TEST(ConfigValues, NotationsSayWhatTheyLookLike) {
  EXPECT_SAYS(message_for_lines("schedule: {warmup: 0.06}\n"),
              "'schedule.warmup' is '0.06'. Expected steps such as 200, or a share such as 6%");
  EXPECT_SAYS(message_for_lines("training: {evaluate_every: sometimes}\n"), "'1 epoch'");
  EXPECT_SAYS(message_for_lines("watchdog: {start: 300}\n"),
              "'watchdog.start' is '300'. Expected a time such as '300 s'");
  EXPECT_SAYS(message_for("output: a\nmodel: {from: m, train: some}\ndata: {train: a}\n"),
              "'model.train' is 'some'. Expected all, head, or {layers: N}");
  EXPECT_SAYS(message_for("output: a\nmodel: {from: m, train: {layers: 0}}\ndata: {train: a}\n"),
              "'model.train.layers' is '0'. Expected a whole number from 1 to 1000");
}

TEST(ConfigValues, ListsAndSectionsAreToldApart) {
  EXPECT_SAYS(message_for_lines("optimizer: [1]\n"),
              "'optimizer' is a list. Expected keys and values");
  EXPECT_SAYS(message_for_lines("optimizer: {betas: 0.9}\n"),
              "'optimizer.betas' is '0.9'. Expected a list of 2, each a number");
  EXPECT_SAYS(message_for_lines("optimizer: {betas: [0.9]}\n"),
              "'optimizer.betas' has 1 items. Expected 2");
  EXPECT_SAYS(message_for_lines("optimizer: {betas: [0.9, 1]}\n"), "'optimizer.betas.1' is '1'");
  EXPECT_SAYS(message_for("output: a\nmodel: {from: m}\ndata: {train: []}\n"),
              "'data.train.path' is an empty list");
  EXPECT_SAYS(message_for_lines("seed: {a: 1}\n"), "'seed' is a mapping of keys");
}

TEST(YamlErrors, SlicesThatRanksCannotShare) {
  EXPECT_SAYS(
      message_for_lines("parallel: {tensor: 3}\n"),
      "a.yaml:4: 'parallel.tensor' is 3. Expected a power of two, or 'numerics.mode: fast'");
  EXPECT_SAYS(message_for_lines("numerics: {tensor: 6}\n"),
              "'numerics.tensor' is 6. Expected a power");
  EXPECT_SAYS(message_for_lines("parallel: {tensor: 4}\nnumerics: {tensor: 2}\n"),
              "'parallel.tensor' is 4. Expected a divisor of 'numerics.tensor', 2");
  EXPECT_SAYS(message_for_lines("numerics: {tensor: 2, mode: fast}\n"),
              "'numerics.tensor' is 2, 'parallel.tensor' 1. Expected the same");
}

TEST(NotYet, WhatALaterVersionWillKnowIsRefusedByNameAndValue) {
  EXPECT_SAYS(message_for_lines("precision: f16\n"),
              "'precision' is 'f16': not yet. This version knows f32, bf16, auto");
  EXPECT_SAYS(message_for("output: a\nmodel: {from: m, head: {task: token_classification}}\n"
                          "data: {train: a}\n"),
              "'model.head.task' is 'token_classification': not yet. This version knows "
              "sequence_classification");
  EXPECT_SAYS(message_for("output: a\nmodel: {tokenizer: t, architecture: {family: gpt2}}\n"
                          "data: {train: a}\n"),
              "'gpt2': not yet. This version knows bert, distilbert, electra");
}

TEST(NotYet, WhatNoVersionKnowsIsAnOrdinaryMistake) {
  EXPECT_SAYS(message_for_lines("precision: f8\n"),
              "'precision' is 'f8'. Expected one of f32, bf16, auto");
  EXPECT_SAYS(message_for_lines("parallel: {zero: 2}\n"), "Expected a whole number from 0 to 1");
}

}  // namespace
}  // namespace heddle
