#include "trainer/trainer.h"

#include <errno.h>

#include <atomic>
#include <filesystem>

#include "framework/io/checkpoint.h"
#include "framework/io/hash.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/log/jsonl_log.h"
#include "trainer/run_differences.h"
#include "trainer/run_folder.h"

namespace heddle {
namespace {

// The events of that name in a run's log.
std::vector<EventRecord> events(const std::string& run, const std::string& name) {
  PosixFileSystem files;
  const std::string text = read_file(files, RunFolder(run).log_file());
  std::vector<EventRecord> found;
  for (size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = text.find('\n', begin);
    const LogRecord record =
        parse_log_line(std::string_view(text).substr(begin, end - begin), "log.jsonl");
    const auto* event = std::get_if<EventRecord>(&record);
    if (event && event->event == name) found.push_back(*event);
  }
  return found;
}

TEST(Trainer, WritesItsRunFolder) {
  const Scratch scratch;
  scratch.write("test.tsv", labelled_rows(9, 200));
  const Config config = tiny_config(
      scratch, "run",
      {"data.test=" + scratch.path("test.tsv"), "log.tensorboard=true", "training.steps=5"});
  const Trained trained = train_on(2, config);
  EXPECT_EQ(trained.outcome, TrainOutcome::kFinished);
  PosixFileSystem files;
  const RunFolder run(scratch.path("run"));
  for (const std::string& path : {run.state_file(), run.config_file(), run.log_file(),
                                  run.test_file(), run.test_predictions_file()}) {
    EXPECT_TRUE(files.exists(path)) << path;
  }
  const Json test = read_json(files, run.test_file());
  EXPECT_EQ(test["rows"], 9);
  const std::string predictions = read_file(files, run.test_predictions_file());
  EXPECT_EQ(std::ranges::count(predictions, '\n'), 9);
  EXPECT_TRUE(has(predictions, "\"predicted\":"));
  EXPECT_EQ(events(run.path(), "start").size(), 1u);
  EXPECT_EQ(events(run.path(), "end").size(), 1u);
  EXPECT_TRUE(has(trained.console, "canonical: the same bits on 1 to 8 ranks"));
  EXPECT_TRUE(has(trained.console, "45 training, 13 validation, 9 test rows"));
}

TEST(Trainer, LearnsWhatTellsTheLabelsApart) {
  const Scratch scratch;
  const Config config = tiny_config(
      scratch, "run", {"training.steps=40", "optimizer.lr=5e-3", "training.evaluate_every=20"});
  train_on(1, config);
  PosixFileSystem files;
  const RunState state = RunFolder(scratch.path("run")).read_state(files);
  ASSERT_TRUE(state.best);
  EXPECT_GE(state.best->value, 0.85);  // always "b": 0.6
}

TEST(Trainer, TheTestSplitIsToldAtTheStepAndEpochOfItsWeights) {
  const Scratch scratch;
  // Without a learning rate to speak of the first evaluation stays the best. 45 rows by 7.
  const Config config = tiny_config(
      scratch, "run",
      {"optimizer.lr=1e-12", "training.evaluate_every=7", "data.test=" + scratch.path("dev.tsv")});
  const Trained trained = train_on(2, config);
  EXPECT_TRUE(has(trained.console, "test at step 7 (epoch 1.00)"));
}

TEST(Trainer, EarlyStopEndsTheRun) {
  const Scratch scratch;
  // Without a learning rate to speak of nothing gets better after the first evaluation.
  const Config config = tiny_config(
      scratch, "run",
      {"optimizer.lr=1e-12", "training.evaluate_every=2", "training.early_stop.patience=2"});
  EXPECT_EQ(train_on(2, config).outcome, TrainOutcome::kFinished);
  PosixFileSystem files;
  const RunState state = RunFolder(scratch.path("run")).read_state(files);
  EXPECT_EQ(state.ended, "early_stop");
  EXPECT_EQ(state.step, 6);  // the best at 2, then two evaluations that are no better
  EXPECT_EQ(state.best->step, 2);
  EXPECT_EQ(state.last, 6);
  EXPECT_EQ(train_on(1, config).outcome, TrainOutcome::kNothingToDo);
}

TEST(Trainer, StepsThatAreNotFiniteAreSkippedAndThenEndTheRun) {
  const Scratch scratch;
  Config config = tiny_config(scratch, "run", {"training.max_skipped_steps=2"});
  config.model.from = starting_folder(scratch, "start", "encoder.embeddings.norm.weight");
  config.model.architecture.reset();
  config.model.tokenizer.reset();
  const Caught stopped = caught([&] { train_on(2, config); });
  EXPECT_TRUE(has(stopped.what, "3 steps in a row had a loss or gradient that is not finite"));
  EXPECT_TRUE(has(stopped.hint, "a lower optimizer.lr"));
  const auto skipped = events(scratch.path("run"), "skipped_step");
  ASSERT_EQ(skipped.size(), 3u);
  EXPECT_EQ(skipped[0].step, 1);
  const auto start = events(scratch.path("run"), "start");
  PosixFileSystem files;
  for (const auto& [path, hash] : start[0].details["weights"].items()) {
    EXPECT_EQ(hash, hash_file(files, path));
  }
  EXPECT_EQ(start[0].details["weights"].size(), 1u);
  // A skipped step changes nothing.
  const auto hashes = events(scratch.path("run"), "hash");
  ASSERT_EQ(hashes.size(), 2u);
  for (const EventRecord& hash : hashes) {
    EXPECT_EQ(hash.details["hash"], start[0].details["hash"]);
  }
}

TEST(Trainer, RanksThatDoNotDivideTheLeavesAreRefused) {
  const Scratch scratch;
  const Caught refused = caught([&] { train_on(3, tiny_config(scratch, "run")); });
  EXPECT_EQ(refused.code, ExitCode::kInput);
  EXPECT_TRUE(has(refused.what, "3 ranks cannot share 8 leaves (numerics.data) in canonical mode"));
  EXPECT_EQ(refused.hint, "use 1, 2, 4 or 8 ranks, or set numerics.mode: fast");
  const auto hint = [&](const std::string& leaves) {
    return caught([&] { train_on(3, tiny_config(scratch, "run", {"numerics.data=" + leaves})); })
        .hint;
  };
  EXPECT_EQ(hint("1"), "use 1 rank, or set numerics.mode: fast");
  EXPECT_EQ(hint("2"), "use 1 or 2 ranks, or set numerics.mode: fast");
}

TEST(Trainer, BadRowsAreToldAndSkipped) {
  const Scratch scratch;
  tiny_yaml(scratch, "run");
  PosixFileSystem files;
  const std::string rows = read_file(files, scratch.path("train.tsv"));
  scratch.write("train.tsv", rows + "a city without a label\n");
  const Trained trained =
      train_on(1, tiny_config(scratch, "run",
                              {"data.skip_bad=1", "training.steps=1", "model.head.labels=[a, b]"}));
  EXPECT_TRUE(has(trained.console, "skipped " + scratch.path("train.tsv") + ":47"));
  EXPECT_TRUE(has(trained.console, "45 training"));
}

TEST(Trainer, AGroupOfTheOptimizerWithoutParametersIsRefused) {
  const Scratch scratch;
  const auto refused = [&](const std::string& match) {
    return caught([&] {
      train_on(1, tiny_config(scratch, "run",
                              {"optimizer.groups=[{match: '" + match + "', lr: 1e-4}]"}));
    });
  };
  const Caught head = refused("haed.*");
  EXPECT_EQ(head.code, ExitCode::kInput);
  EXPECT_EQ(head.what, "optimizer.groups: match 'haed.*' fits no parameter");
  EXPECT_EQ(head.hint, "did you mean 'head.*'?");
  EXPECT_EQ(refused("encoder.layer.0.*").hint, "did you mean 'encoder.layers.0.*'?");
  EXPECT_TRUE(has(refused("classifier").hint, "known: "));
  EXPECT_TRUE(has(refused("classifier").hint, "head.*"));
}

TEST(Trainer, GroupsOfTheOptimizerAreChosenByName) {
  const Scratch scratch;
  const Config config =
      tiny_config(scratch, "run",
                  {"optimizer.groups=[{match: \"encoder.embeddings.*\", lr: 0, weight_decay: 0}]"});
  train_on(1, config);
  const auto start = events(scratch.path("run"), "start");
  const auto end = events(scratch.path("run"), "hash");
  const Json& before = start[0].details["parameters"];
  const Json& after = end.back().details["parameters"];
  EXPECT_EQ(before["encoder.embeddings.word.weight"], after["encoder.embeddings.word.weight"]);
  EXPECT_NE(before["head.out.weight"], after["head.out.weight"]);
}

TEST(Trainer, FrozenPartsStayAsTheyWere) {
  const Scratch scratch;
  train_on(1, tiny_config(scratch, "run", {"model.train={layers: 1}"}));
  const Json before = events(scratch.path("run"), "start")[0].details["parameters"];
  const Json after = events(scratch.path("run"), "hash").back().details["parameters"];
  for (const auto& [name, hash] : before.items()) {
    const bool trained = name.starts_with("head.") || name.starts_with("encoder.layers.1.");
    EXPECT_EQ(after[name] != hash, trained) << name;
  }
}

// A disk that refuses what `refuses` says of a path to be created, and says that it is full once
// the checkpoint of step 4 is begun if `fills`.
class FullDisk final : public FileSystem {
 public:
  explicit FullDisk(std::function<bool(const std::string&)> refuses, bool fills = false)
      : refuses_(std::move(refuses)), fills_(fills) {}

  std::unique_ptr<File> open(const std::string& path, OpenMode mode) override {
    if (mode == OpenMode::kCreate && refuses_(path)) throw FileError(path, "write", ENOSPC);
    if (path.find(".tmp-step-000000004/shard-000") != std::string::npos) begun_ = true;
    return disk_.open(path, mode);
  }
  uint64_t free_space(const std::string& directory) override {
    return fills_ && begun_ ? 1000 : disk_.free_space(directory);
  }
  FileKind kind(const std::string& path) override { return disk_.kind(path); }
  uint64_t size(const std::string& path) override { return disk_.size(path); }
  std::vector<std::string> list(const std::string& path) override { return disk_.list(path); }
  std::string read_symlink(const std::string& path) override { return disk_.read_symlink(path); }
  void make_directory(const std::string& path) override { disk_.make_directory(path); }
  void make_symlink(const std::string& target, const std::string& path) override {
    disk_.make_symlink(target, path);
  }
  void rename(const std::string& from, const std::string& to) override { disk_.rename(from, to); }
  void remove(const std::string& path) override { disk_.remove(path); }
  void sync_directory(const std::string& path) override { disk_.sync_directory(path); }

 private:
  PosixFileSystem disk_;
  std::function<bool(const std::string&)> refuses_;
  bool fills_;
  std::atomic<bool> begun_{false};
};

bool is_part(const std::string& path, const char* part) {
  return path.find(part) != std::string::npos;
}

TEST(Trainer, GoesOnWhenACheckpointDoesNotFit) {
  const Scratch scratch;
  train_on(1, tiny_config(scratch, "whole"));
  FullDisk disk(
      [](const std::string& path) { return is_part(path, ".tmp-step-000000008/shard-001"); });
  const Trained trained = train_on(2, tiny_config(scratch, "run"), {.files = &disk});
  EXPECT_EQ(trained.outcome, TrainOutcome::kFinished);
  EXPECT_TRUE(has(trained.console, "warning: checkpoint of step 8 not saved: rank 1: "));
  EXPECT_TRUE(has(trained.console, "No space left on device"));
  EXPECT_TRUE(has(trained.console, "the checkpoints before it are whole; training goes on"));
  EXPECT_FALSE(disk.exists(scratch.path("run/checkpoints/.tmp-step-000000008")));
  expect_equal_runs(scratch.path("whole"), scratch.path("run"), 12);
}

TEST(Trainer, ALostBestCheckpointLeavesTheBestBefore) {
  const Scratch scratch;
  const auto config = [&](const std::string& output) {
    return tiny_config(scratch, output,
                       {"training={steps: 12, evaluate_every: 4, log_every: 1}",
                        "optimizer.lr=5e-3", "checkpoint={every: 100, best: log_loss}"});
  };
  PosixFileSystem files;
  train_on(1, config("whole"), {.stop_after = 8});
  ASSERT_EQ(RunFolder(scratch.path("whole")).read_state(files).best->step, 8);
  // Here the best of step 8 fits only at the second try, when it is saved as the last.
  FullDisk disk([tries = 0](const std::string& path) mutable {
    return is_part(path, ".tmp-step-000000008/shard-000") && ++tries == 1;
  });
  train_on(1, config("run"), {.stop_after = 8, .files = &disk});
  const RunState state = RunFolder(scratch.path("run")).read_state(files);
  EXPECT_EQ(state.last, 8);
  ASSERT_TRUE(state.best);
  EXPECT_EQ(state.best->step, 4);
}

TEST(Trainer, SavesInTheBackgroundAsInPlace) {
  const Scratch scratch;
  train_on(2, tiny_config(scratch, "place"));
  train_on(2, tiny_config(scratch, "behind", {"checkpoint.async=true"}));
  expect_equal_runs(scratch.path("place"), scratch.path("behind"), 12);
  PosixFileSystem files;
  const auto in_place = list_checkpoints(files, scratch.path("place/checkpoints"));
  const auto behind = list_checkpoints(files, scratch.path("behind/checkpoints"));
  ASSERT_EQ(in_place.size(), behind.size());
  for (size_t i = 0; i < behind.size(); ++i) {
    EXPECT_EQ(behind[i].step, in_place[i].step);
    const RunComparison same = compare_checkpoints(files, in_place[i].path, behind[i].path);
    EXPECT_FALSE(same.first) << same.first->what;
  }
  EXPECT_EQ(RunFolder(scratch.path("behind")).read_state(files).last, 12);
}

TEST(Trainer, ASaveInTheBackgroundThatFailsIsAWarningAndThreeEndTheRun) {
  const Scratch scratch;
  FullDisk once(
      [](const std::string& path) { return is_part(path, ".tmp-step-000000004/shard-001"); });
  const Trained trained =
      train_on(2, tiny_config(scratch, "once", {"checkpoint.async=true"}), {.files = &once});
  EXPECT_EQ(trained.outcome, TrainOutcome::kFinished);
  EXPECT_TRUE(has(trained.console, "warning: checkpoint of step 4 not saved: rank 1: "));
  EXPECT_FALSE(once.exists(scratch.path("once/checkpoints/.tmp-step-000000004")));

  FullDisk never([](const std::string& path) { return is_part(path, "shard-000"); });
  const Config config =
      tiny_config(scratch, "never", {"checkpoint={every: 1, async: true}", "training.steps=50"});
  const Caught full = caught([&] { train_on(2, config, {.files = &never}); });
  EXPECT_EQ(full.code, ExitCode::kIo);
  EXPECT_TRUE(has(full.what, "checkpoint of step 3 not saved: rank 0: "));
}

TEST(Trainer, StoppedWhileASaveIsUnderWayItGoesOnToTheSameBits) {
  const Scratch scratch;
  const std::vector<std::string> behind = {"checkpoint={every: 1, keep: 2, async: true}"};
  train_on(1, tiny_config(scratch, "whole"));
  const Config config = tiny_config(scratch, "parts", behind);
  EXPECT_EQ(train_on(2, config, {.stop_after = 6}).outcome, TrainOutcome::kStopped);
  EXPECT_EQ(train_on(1, config).outcome, TrainOutcome::kFinished);
  expect_equal_runs(scratch.path("whole"), scratch.path("parts"), 12);
}

TEST(Trainer, EndsWhenNoCheckpointFits) {
  const Scratch scratch;
  FullDisk disk([](const std::string& path) { return is_part(path, "shard-000"); });
  const Config config = tiny_config(scratch, "run", {"checkpoint.every=1"});
  const Caught full = caught([&] { train_on(2, config, {.files = &disk}); });
  EXPECT_EQ(full.code, ExitCode::kIo);
  EXPECT_TRUE(has(full.what, "checkpoint of step 3 not saved: rank 0: "));
}

TEST(Trainer, EndsWhenTheLastCheckpointDoesNotFitAndKeepsTheOneBefore) {
  const Scratch scratch;
  FullDisk disk([](const std::string&) { return false; }, true);
  const Config config = tiny_config(scratch, "run", {"training.evaluate_every=100"});
  const Caught full = caught([&] { train_on(2, config, {.files = &disk}); });
  EXPECT_EQ(full.code, ExitCode::kIo);
  EXPECT_TRUE(has(full.what, "checkpoint of step 12 not saved: rank 0: "));
  EXPECT_TRUE(has(full.what, "has 0.0 MB free"));
  EXPECT_EQ(full.hint, "the checkpoints before it are whole");
  EXPECT_EQ(find_newest_valid(disk, scratch.path("run/checkpoints"), {})->step(), 4);
  // With room again it ends as if nothing had been.
  train_on(1, config);
  train_on(1, tiny_config(scratch, "whole", {"training.evaluate_every=100"}));
  expect_equal_runs(scratch.path("whole"), scratch.path("run"), 12);
}

TEST(Trainer, OnlySomeCheckpointsStay) {
  const Scratch scratch;
  train_on(2, tiny_config(scratch, "run", {"checkpoint={every: 1, keep: 2}", "training.steps=5"}));
  PosixFileSystem files;
  const auto left = list_checkpoints(files, scratch.path("run/checkpoints"));
  ASSERT_GE(left.size(), 2u);
  EXPECT_LE(left.size(), 3u);  // and the best
  EXPECT_EQ(left[0].step, 5);
  EXPECT_EQ(left[1].step, 4);
}

}  // namespace
}  // namespace heddle
