#include "trainer/config/overrides.h"

#include <gtest/gtest.h>

#include "tests/trainer/config/config_test_support.h"

namespace heddle {
namespace {

TEST(Overrides, WinOverTheFileAndMakeWhatIsMissing) {
  const Config c = config_of_lines(
      "optimizer: {lr: 1e-3, groups: [{match: a}, {match: b}]}\n",
      {"optimizer.lr=3e-5", "schedule.warmup=10%", "optimizer.betas=[0.5, 0.6]",
       "optimizer.groups.1.lr=1e-4", "optimizer.groups.2.match=c", "log.console=none",
       "data.train.path=part-*.tsv", "model.head.labels=[\"a b\", c]", "seed=1", "seed=2"});
  EXPECT_EQ(c.optimizer.lr, 3e-5);
  EXPECT_EQ(c.schedule.warmup.percent, 10);
  EXPECT_EQ(c.optimizer.betas, (std::vector<double>{0.5, 0.6}));
  ASSERT_EQ(c.optimizer.groups.size(), 3u);
  EXPECT_EQ(c.optimizer.groups[1].match, "b");
  EXPECT_EQ(c.optimizer.groups[1].lr, 1e-4);
  EXPECT_EQ(c.optimizer.groups[2].match, "c");
  EXPECT_EQ(c.log.console, "none");
  EXPECT_EQ(c.data.train.path, std::vector<std::string>{"part-*.tsv"});
  EXPECT_EQ(c.model.head.labels, (std::vector<std::string>{"a b", "c"}));
  EXPECT_EQ(c.seed, 2);
}

TEST(Overrides, ListsAreMadeByNumber) {
  const Config c = config_of_lines("", {"optimizer.groups.0.match=head.*"});
  ASSERT_EQ(c.optimizer.groups.size(), 1u);
  EXPECT_EQ(c.optimizer.groups[0].match, "head.*");
}

TEST(Overrides, AnEmptyValueIsNone) {
  EXPECT_FALSE(config_of_lines("threads: 2\n", {"threads=~"}).threads);
  EXPECT_FALSE(config_of_lines("threads: 2\n", {"threads="}).threads);
  EXPECT_FALSE(config_of_lines("threads: 2\n", {"threads=auto"}).threads);
}

TEST(Overrides, APathAloneGetsColumns) {
  const Config c = config_of_lines("", {"data.train.text=s", "data.train.label=l"});
  EXPECT_EQ(c.data.train.path, std::vector<std::string>{"a.tsv"});
  EXPECT_EQ(c.data.train.text, "s");
}

TEST(Overrides, OneOfTwoThatExcludeEachOtherTakesTheOtherOut) {
  const Config steps = config_of_lines("training: {epochs: 3}\n", {"training.steps=30"});
  EXPECT_EQ(steps.training.steps, 30);
  EXPECT_FALSE(steps.training.epochs);
  EXPECT_FALSE(config_of_lines("batch: {size: 3}\n", {"batch.tokens=4096"}).batch.size);
  const Config scratch =
      config_of_lines("", {"model.architecture.layers=1", "model.tokenizer=t.json"});
  EXPECT_FALSE(scratch.model.from);
  EXPECT_EQ(scratch.model.architecture->layers, 1);
  const Config from = parse_config(
      "output: a\nmodel: {architecture: {layers: 1}, tokenizer: t}\ndata: {train: a}\n", "a.yaml",
      {"model.from=m"});
  EXPECT_EQ(from.model.from, "m");
  EXPECT_FALSE(from.model.architecture);
}

TEST(Overrides, TwoThatExcludeEachOtherAreStillRefused) {
  EXPECT_SAYS(message_for_lines("", {"training.epochs=3", "training.steps=30"}),
              "--set training.steps: 'training.epochs' and 'training.steps' exclude each other");
}

TEST(Overrides, MistakesNameTheAssignment) {
  EXPECT_SAYS(message_for_lines("", {"optimizer.learing_rate=1"}),
              "--set optimizer.learing_rate: unknown key 'learing_rate' in 'optimizer'; did you "
              "mean 'lr'?");
  EXPECT_SAYS(message_for_lines("", {"optimizer.lr=fast"}),
              "--set optimizer.lr: 'optimizer.lr' is 'fast'. Expected a number");
  EXPECT_SAYS(message_for_lines("", {"numerics.data=6"}),
              "--set numerics.data: 'numerics.data' is 6");
  EXPECT_SAYS(message_for_lines("", {"optimizer.lr"}), "--set optimizer.lr: there is no '='");
  EXPECT_SAYS(message_for_lines("", {"optimizer.lr"}), "write --set KEY.PATH=VALUE");
  EXPECT_SAYS(message_for_lines("", {"=1"}), "--set =1: a part of the key is empty");
  EXPECT_SAYS(message_for_lines("", {"optimizer..lr=1"}), "a part of the key is empty");
  EXPECT_SAYS(message_for_lines("", {"optimizer.betas=[1"}),
              "--set optimizer.betas: a key is a list or a mapping, or a bracket is not closed");
  EXPECT_SAYS(message_for_lines("seed: 1\n", {"seed.x=1"}),
              "--set seed.x: 'seed' is '1' and holds no keys");
  EXPECT_SAYS(message_for_lines("optimizer: {groups: [{match: a}]}\n", {"optimizer.groups.5.lr=1"}),
              "'optimizer.groups' is a list of 1. Expected a number from 0 to 1 instead of '5'");
}

}  // namespace
}  // namespace heddle
