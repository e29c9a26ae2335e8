// Where two runs part, and what cannot be compared.
#include "trainer/run_differences.h"

#include <filesystem>

#include "framework/comm/single.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/convert.h"

namespace heddle {
namespace {

std::string step_line(int64_t step, const std::string& loss) {
  return fmt::format(
      "{{\"step\": {}, \"epoch\": 0.1, \"loss\": {}, \"lr\": 0.001, \"grad_norm\": 1, "
      "\"tokens_per_second\": 100}}\n",
      step, loss);
}

std::string hash_line(int64_t step, const std::string& parameters) {
  return fmt::format("{{\"event\": \"hash\", \"step\": {}, \"parameters\": {}}}\n", step,
                     parameters);
}

class RunDifferences : public testing::Test {
 protected:
  RunComparison compare(const std::string& a, const std::string& b) {
    scratch_.write("a/log.jsonl", a);
    scratch_.write("b/log.jsonl", b);
    return compare_runs(files_, scratch_.path("a"), scratch_.path("b"));
  }

  Scratch scratch_;
  PosixFileSystem files_;
};

TEST_F(RunDifferences, EqualLogsAreCountedStepByStep) {
  const std::string log =
      step_line(1, "0.5") + hash_line(1, R"({"w": "12"})") + step_line(2, "0.25");
  const RunComparison same = compare(log, log);
  EXPECT_FALSE(same.first);
  EXPECT_EQ(same.losses, 2);
  EXPECT_EQ(same.hashes, 1);
}

TEST_F(RunDifferences, TheEarliestStepIsNamedAndItsLossesInHex) {
  const RunComparison other =
      compare(step_line(1, "0.5") + step_line(2, "0.25") + step_line(3, "1"),
              step_line(1, "0.5") + step_line(2, "0.375") + step_line(3, "2"));
  ASSERT_TRUE(other.first);
  EXPECT_EQ(other.first->step, 2);
  EXPECT_EQ(other.first->what, "loss 0x1p-2 and 0x1.8p-2");
}

TEST_F(RunDifferences, AParameterIsNamedBeforeTheLossOfItsStep) {
  const RunComparison other =
      compare(step_line(1, "0.5") + hash_line(1, R"({"b": "12", "w": "34"})"),
              step_line(1, "0.75") + hash_line(1, R"({"b": "12", "w": "35"})"));
  ASSERT_TRUE(other.first);
  EXPECT_EQ(other.first->what, "parameter w");
}

TEST_F(RunDifferences, AParameterOfOneRunAloneIsNamed) {
  const std::string both = hash_line(3, R"({"b": "12", "w": "34"})");
  const std::string one = hash_line(3, R"({"b": "12"})");
  EXPECT_EQ(compare(both, one).first->what, "parameter w is in the first alone");
  EXPECT_EQ(compare(one, both).first->what, "parameter w is in the second alone");
}

TEST_F(RunDifferences, OnlyCommonStepsCountAndATornLineDoesNot) {
  const RunComparison some =
      compare(step_line(1, "0.5") + step_line(2, "0.25"),
              step_line(2, "0.25") + step_line(3, "0.5") + "{\"step\": 1, \"lo");
  EXPECT_FALSE(some.first);
  EXPECT_EQ(some.losses, 1);
}

TEST_F(RunDifferences, ADamagedLineIsPassedOverWithAWarning) {
  const std::string log = step_line(1, "0.5") + "{\"step\": 1, \"lo" + step_line(2, "0.25");
  const RunComparison some =
      compare(step_line(1, "0.5") + step_line(2, "0.25"), log + step_line(2, "0.25"));
  EXPECT_FALSE(some.first);
  EXPECT_EQ(some.losses, 2);
  ASSERT_EQ(some.warnings.size(), 1u);
  EXPECT_TRUE(has(some.warnings[0], "/b/log.jsonl:2: a line that cannot be read is left out"));
}

TEST_F(RunDifferences, NothingInCommonIsAnError) {
  const Caught nothing = caught([&] { compare(step_line(1, "0.5"), step_line(2, "0.5")); });
  EXPECT_EQ(nothing.code, ExitCode::kInput);
  EXPECT_TRUE(has(nothing.what, "have no step in common"));
}

// Checkpoints of a run of 6 steps at 4 and 6, and of another seed.
class CheckpointDifferences : public testing::Test {
 protected:
  CheckpointDifferences() {
    train_on(1, tiny_config(scratch_, "run", {"training.steps=6"}));
    train_on(2, tiny_config(scratch_, "same", {"training.steps=6"}));
    train_on(1, tiny_config(scratch_, "seed", {"training.steps=6", "seed=6"}));
    train_on(1, tiny_config(scratch_, "narrow",
                            {"training.steps=6",
                             "model.architecture={family: bert, hidden_size: 16, layers: 2, heads: "
                             "2, intermediate_size: 48, max_positions: 32}"}));
    train_on(1, tiny_config(scratch_, "deep",
                            {"training.steps=6",
                             "model.architecture={family: bert, hidden_size: 32, layers: 3, heads: "
                             "2, intermediate_size: 48, max_positions: 32}"}));
    train_on(1, tiny_config(scratch_, "sgd",
                            {"training.steps=6", "optimizer={name: sgd, lr: 0.1, momentum: 0.9}"}));
  }
  std::optional<FirstDifference> difference(const std::string& a, const std::string& b) {
    const auto path = [&](const std::string& name) {
      return scratch_.path(name.find('/') == std::string::npos ? name + "/checkpoints/last" : name);
    };
    PosixFileSystem files;
    return compare_checkpoints(files, path(a), path(b)).first;
  }

  Scratch scratch_;
};

TEST_F(CheckpointDifferences, AreNamedByTensor) {
  EXPECT_FALSE(difference("run", "run"));
  EXPECT_FALSE(difference("run", "same"));  // written by one rank and by two
  const auto seed = difference("run", "seed");
  ASSERT_TRUE(seed);
  EXPECT_EQ(seed->step, 6);
  EXPECT_TRUE(has(seed->what, "weights/"));  // before the optimizer's state
  EXPECT_EQ(
      difference("run/checkpoints/step-000000004", "run")->what.find("steps 4 and 6; weights/"),
      0u);
  EXPECT_TRUE(has(difference("run", "narrow")->what, " has another shape"));
  EXPECT_TRUE(has(difference("run", "sgd")->what, "weights/"));
  EXPECT_TRUE(difference("run", "deep"));
}

TEST_F(CheckpointDifferences, WeightsAreComparedWhateverElseDiffers) {
  PosixFileSystem files;
  // The same weights without an optimizer, of step 0.
  const std::string last = scratch_.path("run/checkpoints/last");
  export_model(files, last, scratch_.path("exported"));
  const auto world = make_single();
  import_folder(files, scratch_.path("exported"), scratch_.path("imported"), Mesh(*world));
  const auto other = compare_checkpoints(files, last, scratch_.path("imported")).first;
  ASSERT_TRUE(other);
  EXPECT_EQ(other->what, "steps 6 and 0; the weights are equal");
}

}  // namespace
}  // namespace heddle
