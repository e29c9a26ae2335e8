// What a run works on, and what it refuses to start with.
#include "trainer/training_setup.h"

#include <filesystem>

#include "framework/comm/single.h"
#include "tests/support/tensors.h"
#include "tests/trainer/serving.h"
#include "trainer/parameter_hashes.h"

namespace heddle {
namespace {

class TrainingSetup : public testing::Test {
 protected:
  Config config_from(const std::string& folder, const std::vector<std::string>& assignments = {}) {
    Config config = tiny_config(scratch_, "run", assignments);
    config.model.from = folder;
    config.model.architecture.reset();
    config.model.tokenizer.reset();
    return config;
  }
  TrainingModel make(const Config& config) {
    return make_training_model(files_, config, Device::cpu());
  }
  std::string hash_of(const TrainingModel& model) {
    return hash_parameters(*model.arena, *make_single()).all;
  }
  std::vector<std::string> trained(const TrainingModel& model) {
    std::vector<std::string> names;
    for (const ParameterArena::Entry& entry : model.arena->entries()) {
      if (entry.parameter->trainable) names.push_back(entry.name);
    }
    return names;
  }

  Scratch scratch_;
  PosixFileSystem files_;
};

TEST_F(TrainingSetup, AModelFromScratchTakesVocabularyAndLabelsFromTheData) {
  const TrainingModel model = make(tiny_config(scratch_, "run"));
  EXPECT_EQ(model.config.vocabulary, load_tokenizer(tokenizer_path())->id_bound());
  EXPECT_EQ(model.config.labels, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(model.config.problem, Problem::kSingleLabel);
  EXPECT_TRUE(model.notes.empty());
  EXPECT_TRUE(model.source_files.empty());
  EXPECT_EQ(trained(model).size(), model.arena->entries().size());
  // The seed alone decides the weights.
  EXPECT_EQ(hash_of(model), hash_of(make(tiny_config(scratch_, "b"))));
  EXPECT_NE(hash_of(model), hash_of(make(tiny_config(scratch_, "c", {"seed=6"}))));
}

TEST_F(TrainingSetup, AFolderBringsItsWeightsAndTheirPlace) {
  const std::string folder = starting_folder(scratch_, "start");
  const TrainingModel model = make(config_from(folder));
  EXPECT_EQ(model.source_files, std::vector<std::string>{folder + "/model.safetensors"});
  EXPECT_TRUE(model.notes.empty());
  const auto served = load_served_model(files_, folder, {.pack = false});
  EXPECT_TRUE(same_bits(model.model->head.out.weight.value, served->model.head.out.weight.value));
}

TEST_F(TrainingSetup, OtherLabelsGiveAFreshHeadWhichIsNoted) {
  const std::string folder = starting_folder(scratch_, "start");
  const TrainingModel model = make(config_from(folder, {"model.head.labels=[a, b, c]"}));
  EXPECT_EQ(model.config.outputs(), 3);
  ASSERT_EQ(model.notes.size(), 2u);
  EXPECT_TRUE(has(model.notes[0], "a fresh head: "));
  EXPECT_TRUE(has(model.notes[0], "head.out.weight"));
  EXPECT_TRUE(has(model.notes[1], "not used: classifier."));

  train_on(1, tiny_config(scratch_, "run", {"training.steps=1"}));
  const TrainingModel again =
      make(config_from(scratch_.path("run"), {"model.head.labels=[a, b, c]"}));
  ASSERT_EQ(again.notes.size(), 2u);  // weight and bias
  EXPECT_TRUE(has(again.notes[0], "a fresh head: head.out."));
}

TEST_F(TrainingSetup, OfTheModelOnlyWhatIsAskedForIsTrained) {
  const auto names = [&](const std::string& part) {
    return trained(make(tiny_config(scratch_, "run", {"model.train=" + part})));
  };
  for (const std::string& name : names("head")) EXPECT_TRUE(name.starts_with("head.")) << name;
  EXPECT_EQ(names("head").size(), 4u);
  for (const std::string& name : names("{layers: 1}")) {
    EXPECT_TRUE(name.starts_with("head.") || name.starts_with("encoder.layers.1.")) << name;
  }
  EXPECT_GT(names("{layers: 2}").size(), names("{layers: 1}").size());
}

TEST_F(TrainingSetup, DropoutOfTheConfigReplacesThatOfTheModel) {
  const std::string folder = starting_folder(scratch_, "start");
  const TrainingModel model =
      make(config_from(folder, {"model.dropout={hidden: 0.25, head: 0.5}"}));
  EXPECT_EQ(model.config.hidden_dropout, 0.25f);
  EXPECT_EQ(model.config.attention_dropout, 0.1f);
  EXPECT_EQ(model.config.head_dropout, 0.5f);
}

TEST_F(TrainingSetup, ATextLongerThanTheModelIsRefused) {
  Config config = config_from(starting_folder(scratch_, "start"));
  config.data.max_length = 33;
  const Caught refused = caught([&] { make(config); });
  EXPECT_EQ(refused.code, ExitCode::kInput);
  EXPECT_TRUE(has(refused.what, "data.max_length is 33, but the model has 32 positions"));
  EXPECT_EQ(refused.hint, "set data.max_length to 32 or less");
}

TEST_F(TrainingSetup, ATokenizerWithMoreIdsThanTheModelIsRefused) {
  const std::string folder = starting_folder(scratch_, "start");
  std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
  for (int i = 0; i < 40000; ++i) vocabulary += fmt::format("word{}\n", i);
  Config config = config_from(folder);
  config.model.tokenizer = scratch_.write("large/vocab.txt", vocabulary);
  const Caught refused = caught([&] { make(config); });
  EXPECT_EQ(refused.code, ExitCode::kInput);
  EXPECT_TRUE(has(refused.what, "the tokenizer has ids up to 40004, but the model's vocabulary"));
  EXPECT_TRUE(has(refused.hint, "the one that the model was made with"));
}

TEST_F(TrainingSetup, OneLabelIsNoClassification) {
  tiny_yaml(scratch_, "run");
  scratch_.write("train.tsv", "text\tlabel\na cat\ta\nthe sea\ta\n");
  const Caught refused = caught([&] { make(tiny_config(scratch_, "run")); });
  EXPECT_EQ(refused.code, ExitCode::kInput);
  EXPECT_TRUE(has(refused.what, "train.tsv: column 'label' holds only the label 'a'"));
  EXPECT_TRUE(has(refused.hint, "model.head.problem: regression"));
}

TEST_F(TrainingSetup, SeveralLabelsAndNumbersAreTrained) {
  tiny_yaml(scratch_, "run");
  scratch_.write("train.tsv", "text\tlabel\na cat\tx|y\nthe sea\tz\na town\t\n");
  scratch_.write("dev.tsv", "text\tlabel\na cat of the sea\tx\n");
  const std::vector<std::string> several = {"model.head.problem=multi_label", "training.steps=2"};
  const TrainingModel model = make(tiny_config(scratch_, "run", several));
  EXPECT_EQ(model.config.labels, (std::vector<std::string>{"x", "y", "z"}));
  train_on(1, tiny_config(scratch_, "one", several));
  train_on(4, tiny_config(scratch_, "four", several));
  expect_equal_runs(scratch_.path("one"), scratch_.path("four"), 2);

  scratch_.write("train.tsv", "text\tlabel\na cat\t1.5\nthe sea\t-2\na town\t0\n");
  scratch_.write("dev.tsv", "text\tlabel\na cat of the sea\t3\n");
  const std::vector<std::string> number = {"model.head.problem=regression", "training.steps=2"};
  EXPECT_EQ(make(tiny_config(scratch_, "run", number)).config.labels,
            std::vector<std::string>{"label"});
  train_on(1, tiny_config(scratch_, "number-one", number));
  train_on(4, tiny_config(scratch_, "number-four", number));
  expect_equal_runs(scratch_.path("number-one"), scratch_.path("number-four"), 2);
}

TEST_F(TrainingSetup, PartsTakeTheColumnsOfTrainUnlessTheyNameTheirOwn) {
  DataFileConfig train, part;
  train.path = {"train.tsv"};
  train.text = "sentence";
  train.label = "kind";
  part.path = {"dev.tsv"};
  part.label = "truth";
  const DataSource source = data_source(part, train);
  EXPECT_EQ(source.paths, std::vector<std::string>{"dev.tsv"});
  EXPECT_EQ(source.text, "sentence");
  EXPECT_EQ(source.label, "truth");
  EXPECT_TRUE(source.header);
  // Columns by number belong to files without a header.
  train.text = "1";
  part.label = "0";
  EXPECT_FALSE(data_source(part, train).header);
}

TEST_F(TrainingSetup, TokenizedDataAreMadeOnceAndAgainWhenTheFileChanges) {
  const Config config = tiny_config(scratch_, "run");
  const TrainingModel model = make(config);
  ThreadPool pool(1);
  const auto world = make_single();
  const auto open = [&] {
    return open_training_data(files_, config, model, scratch_.path("cache"), pool, *world);
  };
  const auto first = open().keys;
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].first, "train");
  EXPECT_EQ(first[1].first, "validation");
  EXPECT_EQ(open().keys, first);
  EXPECT_EQ(files_.list(scratch_.path("cache")).size(), 2u);
  scratch_.write("train.tsv", labelled_rows(20));
  const TrainingData changed = open();
  EXPECT_EQ(changed.train.rows(), 20);
  EXPECT_NE(changed.keys[0], first[0]);
  EXPECT_EQ(changed.keys[1], first[1]);
}

}  // namespace
}  // namespace heddle
