// How a run begins again: what it refuses, and what it does with damage.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "framework/io/json.h"
#include "framework/ops/precision_speed.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/checkpointing.h"
#include "trainer/run_folder.h"

namespace heddle {
namespace {

// A run of 12 steps that was stopped after 6: checkpoints of steps 4 and 6, and the best of 5.
class Resume : public testing::Test {
 protected:
  Resume() : config_(tiny_config(scratch_, "run")) { train_on(2, config_, {.stop_after = 6}); }
  std::string run() const { return scratch_.path("run"); }
  // Changes a byte in the middle of a file of the checkpoint.
  void damage(int64_t step) const {
    const std::string path = fmt::format("{}/checkpoints/step-{:09}/shard-000.h5", run(), step);
    const auto middle = static_cast<std::streamoff>(std::filesystem::file_size(path) / 2);
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(middle);
    const char byte = static_cast<char>(file.get() ^ 4);
    file.seekp(middle);
    file.put(byte);
  }

  Scratch scratch_;
  Config config_;
};

TEST_F(Resume, AnotherConfigIsRefusedWithTheListOfDifferences) {
  const Config other =
      tiny_config(scratch_, "run", {"optimizer.lr=2e-3", "batch.size=8", "training.log_every=3"});
  const Caught refused = caught([&] { train_on(1, other); });
  EXPECT_EQ(refused.code, ExitCode::kInput);
  EXPECT_TRUE(has(refused.what, "config.yaml: this run was started with another config:"));
  EXPECT_TRUE(has(refused.what, "\n  batch.size: 7 -> 8"));
  EXPECT_TRUE(has(refused.what, "\n  optimizer.lr: 0.001 -> 0.002"));
  EXPECT_FALSE(has(refused.what, "log_every"));  // changes no number
  EXPECT_EQ(refused.hint, "restore these values, or set another `output` to start a new run");
}

TEST_F(Resume, WhatChangesNoNumberMayChange) {
  const Config other =
      tiny_config(scratch_, "run", {"training.log_every=3", "checkpoint.every=5", "threads=2"});
  EXPECT_EQ(train_on(1, other).outcome, TrainOutcome::kFinished);
}

// `auto` is what the run was begun in, whatever this processor is best at.
TEST_F(Resume, AutomaticPrecisionIsThatOfTheRun) {
  PosixFileSystem files;
  const std::string checkpoint = run() + "/checkpoints/step-000000004";
  for (const std::string& from : {checkpoint, std::string("auto")}) {
    const std::string output = from == "auto" ? "run" : "onward";
    const Config config = tiny_config(scratch_, output, {"precision=auto"});
    EXPECT_EQ(train_on(1, config, {.resume = from}).outcome, TrainOutcome::kFinished);
    EXPECT_TRUE(has(read_file(files, scratch_.path(output) + "/config.yaml"), "precision: f32\n"));
  }
  const Config less = tiny_config(scratch_, "run", {"precision=bf16"});
  EXPECT_TRUE(has(caught([&] { train_on(1, less); }).what, "\n  precision: f32 -> bf16"));
}

TEST_F(Resume, AutomaticPrecisionIsRecordedAsWhatItHasBecome) {
  PosixFileSystem files;
  const Config config = tiny_config(scratch_, "automatic", {"precision=auto"});
  const Trained trained = train_on(2, config, {.stop_after = 6});
  const std::string taken(name_of(fastest_safe_precision()));
  EXPECT_TRUE(has(trained.console, "precision auto: " + taken));
  EXPECT_TRUE(has(read_file(files, scratch_.path("automatic") + "/config.yaml"),
                  "precision: " + taken + "\n"));
  EXPECT_EQ(train_on(1, config).outcome, TrainOutcome::kFinished);
  // Slices are f32 alone.
  const Config sliced = tiny_config(scratch_, "sliced", {"precision=auto", "parallel.tensor=2"});
  EXPECT_TRUE(has(train_on(2, sliced).console, "precision auto: f32"));
}

TEST_F(Resume, ChangedDataAreRefused) {
  for (const std::string name : {"train", "dev"}) {
    PosixFileSystem files;
    const std::string path = scratch_.path(name + ".tsv");
    const std::string before = read_file(files, path);
    scratch_.write(name + ".tsv", before + "one more of the sea\ta\n");
    const Caught refused = caught([&] { train_on(2, config_); });
    EXPECT_EQ(refused.code, ExitCode::kInput);
    EXPECT_TRUE(has(refused.what, fmt::format("step-000000006: the {} data or the tokenizer have "
                                              "changed since this checkpoint",
                                              name == "dev" ? "validation" : name)));
    EXPECT_TRUE(has(refused.hint, "restore the files, or set another `output`"));
    scratch_.write(name + ".tsv", before);
  }
  EXPECT_EQ(train_on(1, config_).outcome, TrainOutcome::kFinished);
}

TEST_F(Resume, NeverInAUsedFolderIsRefused) {
  const Caught refused = caught([&] { train_on(1, config_, {.resume = "never"}); });
  EXPECT_EQ(refused.code, ExitCode::kInput);
  EXPECT_TRUE(has(refused.what, "/run: holds a run already, and --resume is 'never'"));
  EXPECT_TRUE(has(refused.hint, "leave out --resume"));
  const Config fresh = tiny_config(scratch_, "fresh");
  EXPECT_EQ(train_on(1, fresh, {.resume = "never"}).outcome, TrainOutcome::kFinished);
}

TEST_F(Resume, FromACheckpointIntoAFolderOfItsOwn) {
  const Config config = tiny_config(scratch_, "other");
  EXPECT_EQ(train_on(1, config, {.resume = run() + "/checkpoints/step-000000004"}).outcome,
            TrainOutcome::kFinished);
  train_on(1, config_);
  // Steps 5 to 12.
  expect_equal_runs(run(), scratch_.path("other"), 8);

  const Config changed = tiny_config(scratch_, "third", {"seed=6"});
  const Caught refused = caught([&] { train_on(1, changed, {.resume = run()}); });
  EXPECT_TRUE(has(refused.what, "this run was started with another config:\n  seed: 5 -> 6"));
}

TEST_F(Resume, ARunMeansItsNewestCheckpointNotItsBest) {
  const Config config = tiny_config(scratch_, "other");
  EXPECT_EQ(train_on(1, config, {.resume = run()}).outcome, TrainOutcome::kFinished);
  PosixFileSystem files;
  EXPECT_TRUE(has(read_file(files, scratch_.path("other/log.jsonl")),
                  R"("event":"resume","from":")" + run() + "/checkpoints/step-000000006"));
  std::filesystem::remove_all(run() + "/checkpoints");
  const Caught none =
      caught([&] { train_on(1, tiny_config(scratch_, "third"), {.resume = run()}); });
  EXPECT_EQ(none.code, ExitCode::kNoData);
  EXPECT_TRUE(has(none.what, "/run: holds no checkpoint"));
  EXPECT_TRUE(has(none.hint, "checkpoint.every"));
}

TEST_F(Resume, ADamagedLineOfTheLogIsLeftOutWithOneWarning) {
  PosixFileSystem files;
  const std::string log = read_file(files, run() + "/log.jsonl");
  const auto lines = std::ranges::count(log, '\n');
  scratch_.write("run/log.jsonl", log + "{\"step\":2,\"loss\"\n{\"step\":6,\"lo");
  const Trained trained = train_on(2, config_);
  EXPECT_EQ(trained.outcome, TrainOutcome::kFinished);
  EXPECT_TRUE(has(trained.console,
                  fmt::format("warning: {}/log.jsonl:{}: the first of 2 lines that cannot be read",
                              run(), lines + 1)));
}

TEST_F(Resume, CheckpointsThatAreGoneAreTold) {
  std::filesystem::remove_all(run() + "/checkpoints");
  const Trained anew = train_on(1, config_);
  EXPECT_TRUE(has(anew.console,
                  "/run: the checkpoints are gone (the last was of step 6); the run "
                  "begins anew"));
  std::filesystem::remove_all(run() + "/checkpoints");
  const Caught gone = caught([&] { train_on(1, config_); });
  EXPECT_EQ(gone.code, ExitCode::kNoData);
  EXPECT_TRUE(has(gone.what, "/run: this run is finished, but its checkpoints are gone"));
  EXPECT_TRUE(has(gone.hint, "restore its folder 'checkpoints' from a copy"));
}

TEST_F(Resume, ADamagedStateOrConfigSaysHowToGoOn) {
  PosixFileSystem files;
  const std::string config = read_file(files, run() + "/config.yaml");
  for (const std::string broken : {"", "output: [a"}) {
    scratch_.write("run/config.yaml", broken);
    const Caught refused = caught([&] { train_on(1, config_); });
    EXPECT_EQ(refused.code, ExitCode::kNoData);
    EXPECT_TRUE(has(refused.what, "/run/config.yaml: the run's config cannot be read: "));
    EXPECT_TRUE(has(refused.hint, "its checkpoints hold the config too"));
  }
  for (const std::string broken : {"", "{\"step\": ", "{\"step\": true}"}) {
    scratch_.write("run/run.json", broken);
    const Caught refused = caught([&] { train_on(1, config_); });
    EXPECT_EQ(refused.code, ExitCode::kNoData);
    EXPECT_TRUE(has(refused.what, "the run's state cannot be read: " + run() + "/run.json"));
    EXPECT_TRUE(has(refused.hint, "go on with --resume RUN and another `output`"));
  }
  // As the hint says.
  EXPECT_EQ(train_on(1, tiny_config(scratch_, "other"), {.resume = run()}).outcome,
            TrainOutcome::kFinished);
}

TEST_F(Resume, AHuggingFaceFolderHasNoState) {
  const std::string folder = starting_folder(scratch_, "start");
  const Caught refused =
      caught([&] { train_on(1, tiny_config(scratch_, "other"), {.resume = folder}); });
  EXPECT_EQ(refused.code, ExitCode::kInput);
  EXPECT_TRUE(has(refused.what, "/start: a Hugging Face folder has no state of a run"));
  EXPECT_TRUE(has(refused.hint, "name it as model.from"));
  const Caught nothing =
      caught([&] { train_on(1, tiny_config(scratch_, "other"), {.resume = scratch_.path("no")}); });
  EXPECT_TRUE(has(nothing.what, "/no: no model is there"));
}

TEST_F(Resume, ADamagedCheckpointIsPassedOverWithAWarning) {
  train_on(1, tiny_config(scratch_, "whole"));
  damage(6);
  const Trained trained = train_on(2, config_);
  EXPECT_EQ(trained.outcome, TrainOutcome::kFinished);
  EXPECT_TRUE(has(trained.console, "warning: "));
  EXPECT_TRUE(has(trained.console, "step-000000006 is passed over: "));
  expect_equal_runs(scratch_.path("whole"), run(), 12);
}

TEST_F(Resume, WithoutAnyValidCheckpointNothingStarts) {
  for (const auto& entry : std::filesystem::directory_iterator(run() + "/checkpoints")) {
    if (!entry.is_symlink() && entry.is_directory()) {
      damage(std::stoll(entry.path().filename().string().substr(5)));
    }
  }
  const Caught refused = caught([&] { train_on(2, config_); });
  EXPECT_EQ(refused.code, ExitCode::kNoData);
  EXPECT_TRUE(has(refused.what, "checkpoints is valid"));
  EXPECT_TRUE(has(refused.hint, "heddle verify"));
}

TEST_F(Resume, AFinishedRunHasNothingToDo) {
  train_on(1, config_);
  PosixFileSystem files;
  const std::string log = read_file(files, run() + "/log.jsonl");
  const Trained again = train_on(2, config_);
  EXPECT_EQ(again.outcome, TrainOutcome::kNothingToDo);
  EXPECT_TRUE(has(again.console, "/run: this run is finished"));
  EXPECT_EQ(read_file(files, run() + "/log.jsonl"), log);
}

TEST_F(Resume, RunJsonTellsWhereTheRunStands) {
  PosixFileSystem files;
  const RunFolder folder(run());
  RunState state = folder.read_state(files);
  EXPECT_EQ(state.ended, "signal");
  EXPECT_EQ(state.step, 6);
  EXPECT_EQ(state.last, 6);
  ASSERT_TRUE(state.best);
  EXPECT_EQ(state.best->step, 5);
  EXPECT_EQ(state.best->metric, "accuracy");
  EXPECT_EQ(state.environment.at("ranks"), "2");
  train_on(1, config_);
  state = folder.read_state(files);
  EXPECT_EQ(state.ended, "finished");
  EXPECT_EQ(state.step, 12);
}

TEST_F(Resume, ACheckpointHoldsAllThatARunNeeds) {
  PosixFileSystem files;
  const CheckpointReader reader(files, run() + "/checkpoints/last");
  EXPECT_EQ(reader.state().step, 6);
  EXPECT_EQ(reader.state().optimizer_steps, 6);
  EXPECT_EQ(reader.state().sampler.epoch, 0);
  EXPECT_EQ(reader.text().max_length, 16);
  EXPECT_EQ(reader.text().text_column, "text");
  EXPECT_EQ(reader.config().labels, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(reader.tokenizer()->files(), load_tokenizer(tokenizer_path())->files());
  EXPECT_NE(reader.hash("train"), "");
  EXPECT_EQ(reader.hash("nothing"), "");
  EXPECT_TRUE(has(reader.run_config(), "seed: 5"));
}

}  // namespace
}  // namespace heddle
