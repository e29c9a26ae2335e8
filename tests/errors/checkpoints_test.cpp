// heddle verify and diff: what they tell is their result, on standard output.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/errors/broken_files.h"
#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace heddle {
namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string copy_of_run(const std::string& name) {
  namespace fs = std::filesystem;
  const std::string path = tiny_model() / name;
  fs::copy(tiny_model().run, path, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  return path;
}

TEST(Verify, WholeRunIsWhole) {
  const Outcome outcome = run_heddle("verify " + tiny_model().run);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(has(outcome.out, "step-000000001 is whole")) << outcome.out;
  EXPECT_TRUE(has(outcome.out, "step-000000002 is whole")) << outcome.out;
}

TEST(Verify, CutCheckpointIsNamedAndExitsWith65) {
  const std::string run = copy_of_run("verify_cut");
  std::filesystem::resize_file(run + "/checkpoints/step-000000002/shard-000.h5", 100);
  for (const int ranks : {0, 2}) {
    const Outcome outcome = run_heddle("verify " + run, {.ranks = ranks});
    EXPECT_EQ(outcome.code, 65) << outcome.err;
    EXPECT_TRUE(has(outcome.out, "step-000000001 is whole")) << outcome.out;
    EXPECT_TRUE(has(outcome.out, "step-000000002 is damaged")) << outcome.out;
    EXPECT_TRUE(has(outcome.out, "shard-000.h5: has 100 bytes; the manifest says")) << outcome.out;
  }
}

TEST(Verify, EachDamagedShardIsToldInALineOfItsOwn) {
  const std::string run = tiny_model() / "verify_two";
  const std::string arguments = "train " + tiny_model().config + " --set output=" + run;
  ASSERT_EQ(run_heddle(arguments, {.ranks = 2}).code, 0);
  const std::string checkpoint = run + "/checkpoints/step-000000002";
  std::filesystem::resize_file(checkpoint + "/shard-000.h5", 100);
  std::filesystem::remove(checkpoint + "/shard-001.h5");
  const Outcome outcome = run_heddle("verify " + checkpoint);
  EXPECT_EQ(outcome.code, 65) << outcome.err;
  EXPECT_TRUE(has(outcome.out, "shard-000.h5: has 100 bytes; the manifest says")) << outcome.out;
  EXPECT_TRUE(has(outcome.out, "shard-001.h5: the file is missing\n")) << outcome.out;
  EXPECT_TRUE(has(outcome.out, " tensors lie there\n")) << outcome.out;
  EXPECT_EQ(std::ranges::count(outcome.out, '\n'), 4) << outcome.out;
}

TEST(Verify, NoCheckpointIsAMistakeOfUse) {
  const Outcome outcome = run_heddle("verify " + tiny_model().data);
  EXPECT_EQ(outcome.code, 64) << outcome.err;
  EXPECT_TRUE(has(outcome.err, "rows.tsv: no checkpoint")) << outcome.out;
}

TEST(Verify, FoldersRenamedIntoOneAnotherAreDamaged) {
  const std::string run = copy_of_run("swapped");
  const std::string step = run + "/checkpoints/step-00000000";
  std::filesystem::rename(step + "1", step + "3");
  std::filesystem::rename(step + "2", step + "1");
  std::filesystem::rename(step + "3", step + "2");
  const Outcome outcome = run_heddle("verify " + run);
  EXPECT_EQ(outcome.code, 65) << outcome.err;
  EXPECT_TRUE(has(outcome.out, "step-000000001 is damaged")) << outcome.out;
  EXPECT_TRUE(has(outcome.out, "its manifest is of step 2: the folder was renamed"));
  EXPECT_FALSE(has(outcome.out, "is whole")) << outcome.out;
}

TEST(Train, ACheckpointThatCannotBeSavedIsToldOnce) {
  const std::string run = tiny_model() / "unsaveable";
  std::filesystem::create_directories(run);
  write_text(run + "/checkpoints", "");
  const Outcome outcome =
      run_heddle("train " + tiny_model().config + " --set output=" + run, {.ranks = 2});
  EXPECT_EQ(outcome.code, 74) << outcome.err;
  const std::string warning = "warning: checkpoint of step 1 not saved";
  const size_t first = outcome.err.find(warning);
  ASSERT_NE(first, std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find(warning, first + 1), std::string::npos) << outcome.err;
}

TEST(Report, ADamagedLineOfTheLogIsAWarning) {
  const std::string run = copy_of_run("torn_log");
  const std::string log = run + "/log.jsonl";
  write_text(log, "{\"step\":\n" + read_text(log));
  for (const std::string& arguments :
       {"report " + run + " -o " + run + "/report.html", "diff " + run + " " + tiny_model().run}) {
    const Outcome outcome = run_heddle(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(has(outcome.err, "warning: " + log + ":1: a line that cannot be read is left out"))
        << outcome.err;
  }
}

TEST(Train, DamagedNewestCheckpointIsPassedOverWithAWarning) {
  const std::string run = copy_of_run("passed_over");
  std::filesystem::resize_file(run + "/checkpoints/step-000000002/shard-000.h5", 100);
  // The run has not ended, as far as it knows.
  const std::string state = run + "/run.json";
  std::string json = read_text(state);
  const size_t at = json.find("\"finished\"");
  ASSERT_NE(at, std::string::npos);
  write_text(state, json.replace(at, 10, "\"signal\""));

  const Outcome outcome = run_heddle("train " + tiny_model().config + " --set output=" + run);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(has(outcome.err, "step-000000002 is passed over: ")) << outcome.err;
  EXPECT_EQ(run_heddle("diff " + run + " " + tiny_model().run).code, 0);
}

TEST(Diff, TwoSeedsPartAtTheFirstStep) {
  const std::string other = tiny_model() / "seed";
  ASSERT_EQ(run_heddle("train " + tiny_model().config + " --set seed=1 --set output=" + other).code,
            0);
  const Outcome outcome = run_heddle("diff " + tiny_model().run + " " + other);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(has(outcome.out, "different: step 0: parameter ")) << outcome.out;
}

}  // namespace
}  // namespace heddle
