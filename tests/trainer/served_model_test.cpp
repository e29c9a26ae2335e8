// What a path may be, and what is said of one that is nothing.
#include "trainer/served_model.h"

#include <filesystem>

#include "framework/autograd/record.h"
#include "framework/io/checkpoint.h"
#include "tests/support/tensors.h"
#include "tests/trainer/serving.h"
#include "trainer/checkpointing.h"

namespace heddle {
namespace {

TEST(FindModel, ARunGivesItsBestCheckpointElseItsLast) {
  const Scratch scratch;
  PosixFileSystem files;
  train_on(1, tiny_config(scratch, "run", {"training.steps=6"}));
  const ModelPath best = find_model(files, scratch.path("run"));
  EXPECT_EQ(best.kind, ModelPath::Kind::kCheckpoint);
  EXPECT_EQ(best.path, scratch.path("run/checkpoints/best"));
  std::filesystem::remove(best.path);
  EXPECT_EQ(find_model(files, scratch.path("run")).path, scratch.path("run/checkpoints/last"));
  std::filesystem::remove(scratch.path("run/checkpoints/last"));
  // A copy without links: the newest that is whole.
  const std::string newest = scratch.path("run/checkpoints/step-000000006");
  EXPECT_EQ(find_model(files, scratch.path("run")).path, newest);
  std::filesystem::create_symlink("gone", best.path);
  EXPECT_EQ(find_model(files, scratch.path("run")).path, newest);
  std::filesystem::remove(best.path);
  std::filesystem::resize_file(newest + "/shard-000.h5", 100);
  const std::string before = find_model(files, scratch.path("run")).path;
  EXPECT_TRUE(before.ends_with("/step-000000005") || before.ends_with("/step-000000004"));
  std::filesystem::remove_all(scratch.path("run/checkpoints"));
  const Caught none = caught([&] { find_model(files, scratch.path("run")); });
  EXPECT_EQ(none.code, ExitCode::kNoData);
  EXPECT_TRUE(has(none.what, "/run: the run has no checkpoint yet"));
  EXPECT_TRUE(has(none.hint, "checkpoint.every"));
}

TEST(ServedModel, ADamagedCheckpointNamesAWholeOne) {
  const Scratch scratch;
  PosixFileSystem files;
  train_on(1, tiny_config(scratch, "run", {"training.steps=6"}));
  const std::string checkpoints = scratch.path("run/checkpoints/");
  const std::string best = checkpoints + files.read_symlink(checkpoints + "best");
  std::filesystem::resize_file(best + "/shard-000.h5", 100);
  const Caught one = caught([&] { load_served_model(files, scratch.path("run")); });
  EXPECT_EQ(one.code, ExitCode::kNoData);
  EXPECT_TRUE(has(one.what, "shard-000.h5: has 100 bytes"));
  EXPECT_TRUE(has(one.hint, checkpoints + "step-00000000"));
  EXPECT_TRUE(has(one.hint, " is whole: name it instead"));
  for (const CheckpointName& name : list_checkpoints(files, checkpoints)) {
    std::filesystem::resize_file(name.path + "/shard-000.h5", 100);
  }
  const Caught none = caught([&] { load_served_model(files, scratch.path("run")); });
  EXPECT_TRUE(has(none.hint, "heddle verify " + checkpoints + "best says all that is wrong"));
}

TEST(ServedModel, TheOptimizersStateIsNotRead) {
  const Scratch scratch;
  PosixFileSystem files;
  train_on(2, tiny_config(scratch, "run", {"training.steps=6"}));
  const std::string last = scratch.path("run/checkpoints/last");
  const std::string state = last + "/shard-000-optimizer.h5";
  ASSERT_TRUE(files.exists(state));
  files.open(state, OpenMode::kUpdate)->write_at(4100, std::as_bytes(std::span("damage")));
  EXPECT_NE(load_served_model(files, last), nullptr);
  EXPECT_TRUE(has(caught([&] { CheckpointReader(files, last); }).what,
                  "shard-000-optimizer.h5: is damaged"));
}

TEST(FindModel, AFolderAndACheckpointAreTakenAsTheyAre) {
  const Scratch scratch;
  PosixFileSystem files;
  const std::string folder = model_folder(scratch, "folder");
  EXPECT_EQ(find_model(files, folder).kind, ModelPath::Kind::kHuggingFace);
  EXPECT_EQ(find_model(files, folder).path, folder);
  train_on(1, tiny_config(scratch, "run", {"training.steps=1"}));
  const std::string step = scratch.path("run/checkpoints/step-000000001");
  EXPECT_EQ(find_model(files, step).kind, ModelPath::Kind::kCheckpoint);
  EXPECT_EQ(find_model(files, step).path, step);
}

TEST(FindModel, NothingThereSaysWhatWasLookedFor) {
  const Scratch scratch;
  PosixFileSystem files;
  const Caught none = caught([&] { find_model(files, scratch.path("no")); });
  EXPECT_EQ(none.code, ExitCode::kInput);
  EXPECT_TRUE(has(none.what, "/no: no model is there"));
  for (const char* name : {"config.json", "manifest.json", "run.json"}) {
    EXPECT_TRUE(has(none.what + none.hint, name));
  }
}

TEST(ServedModel, TextsAreAsLongAsModelAndTokenizerAllow) {
  const Scratch scratch;
  const auto served = served_model(scratch);
  EXPECT_EQ(served->text.max_length, 32);  // max_positions
  std::string text;
  for (int i = 0; i < 100; ++i) text += "cat ";
  const std::vector<std::string> texts = {text, "sea"};
  const Batch batch = served->batch(texts);
  EXPECT_EQ(batch.sequences(), 2);
  EXPECT_EQ(batch.segments.length(0), 32);
  EXPECT_EQ(batch.segments.length(1), 3);
  const std::vector<std::string> broken = {"a \xff cat"};
  const Caught refused = caught([&] { served->batch(broken); });
  EXPECT_EQ(refused.code, ExitCode::kInput);
}

TEST(ServedModel, PackedAndPlainWeightsAnswerAlike) {
  const Scratch scratch;
  PosixFileSystem files;
  const std::string folder = model_folder(scratch, "folder");
  const auto packed = load_served_model(files, folder);
  const auto plain = load_served_model(files, folder, {.pack = false});
  const std::vector<std::string> texts = {"a large cat", "the sea of the town"};
  const NoGrad no_grad;
  EXPECT_TRUE(same_bits(packed->model(packed->batch(texts)), plain->model(plain->batch(texts))));
}

TEST(ServedModel, SettingsOfTheRunComeWithItsModel) {
  const Scratch scratch;
  PosixFileSystem files;
  train_on(1, tiny_config(scratch, "run",
                          {"training.steps=1", "data.max_length=12", "data.stride=3",
                           "data.truncation=only_first"}));
  const auto served = load_served_model(files, scratch.path("run"));
  EXPECT_EQ(served->text.max_length, 12);
  EXPECT_EQ(served->text.stride, 3);
  EXPECT_EQ(served->text.truncation, "only_first");
  EXPECT_EQ(served->text.text_column, "text");
  EXPECT_EQ(served->text.label_column, "label");
  const EncodeOptions options = served->text.encode_options();
  EXPECT_TRUE(options.windows);
  EXPECT_EQ(options.truncation, Truncation::kOnlyFirst);
}

TEST(ServedModel, AHeadThatIsNotThereIsAnErrorUnlessNoneIsNeeded) {
  const Scratch scratch;
  PosixFileSystem files;
  const std::string folder = model_folder(scratch, "folder");
  // Another number of labels than the weights have.
  std::string config = read_file(files, folder + "/config.json");
  const size_t at = config.find("\"1\": \"b\"");
  ASSERT_NE(at, std::string::npos) << config;
  write_file_atomically(files, folder + "/config.json", config.insert(at, "\"2\": \"c\", "));
  const Caught refused = caught([&] { load_served_model(files, folder); });
  EXPECT_EQ(refused.code, ExitCode::kInput);
  EXPECT_TRUE(has(refused.what, "classifier.weight"));
  EXPECT_EQ(load_served_model(files, folder, {.fresh_head_allowed = true})->config.outputs(), 3);
}

TEST(ModelTokenizer, IsFoundInAFolderARunAndAFile) {
  const Scratch scratch;
  PosixFileSystem files;
  train_on(1, tiny_config(scratch, "run", {"training.steps=1"}));
  const auto expected = load_tokenizer(tokenizer_path())->files();
  for (const std::string& path :
       {tokenizer_path(), model_folder(scratch, "folder"), scratch.path("run"),
        scratch.path("run/checkpoints/step-000000001")}) {
    EXPECT_EQ(load_model_tokenizer(files, path)->files(), expected) << path;
  }
}

TEST(ServedModel, PrecisionsOfSlicesAreRefused) {
  require_precision(Precision::kF32, Group(1, 0, 2));
  require_precision(Precision::kInt8, Group(1, 0, 1));
  const Caught refused = caught([] { require_precision(Precision::kBF16, Group(1, 0, 2)); });
  EXPECT_EQ(refused.code, ExitCode::kInput);
  EXPECT_NE(refused.what.find("precision bf16 of a model in 2 slices: not yet"), std::string::npos);
}

}  // namespace
}  // namespace heddle
