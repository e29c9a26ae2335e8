#include "trainer/precision_trial.h"

#include "tests/trainer/serving.h"

namespace heddle {
namespace {

struct Trial {
  explicit Trial(const Head& head = {}) : folder(model_folder(scratch, "model", head)) {
    options.input = {.paths = {scratch.write("rows.tsv", rows_of_all_lengths(60))},
                     .text = "text",
                     .label = "label"};
    options.rows = 50;
  }
  MeasuredPrecisions run(int ranks) const {
    MeasuredPrecisions measured;
    run_threads(ranks, [&](Communicator& world) {
      PosixFileSystem files;
      const Mesh mesh(world);
      const PrecisionCandidates candidates = load_candidates(files, folder, {.mesh = &mesh});
      MeasuredPrecisions of_rank = measure_precisions(candidates, options, Device::cpu(), mesh);
      if (world.rank() == 0) measured = std::move(of_rank);
    });
    return measured;
  }

  Scratch scratch;
  std::string folder;
  SampleOptions options;
};

TEST(PrecisionTrial, MeasuresTheFirstRowsInEachPrecision) {
  const Trial trial;
  const MeasuredPrecisions one = trial.run(1), two = trial.run(2);
  ASSERT_EQ(one.precisions.size(), 3u);
  EXPECT_EQ(one.rows, 50);
  EXPECT_GT(one.tokens, 50 * 3);
  EXPECT_EQ(one.metric, "accuracy");
  EXPECT_EQ(one.precisions[0].precision, Precision::kF32);
  EXPECT_EQ(one.precisions[0].largest_difference, 0);
  EXPECT_EQ(one.precisions[0].flips, 0);
  for (size_t p = 0; p < 3; ++p) {
    EXPECT_GT(one.precisions[p].seconds, 0);
    EXPECT_TRUE(one.precisions[p].metric.has_value());
    EXPECT_EQ(one.precisions[p].largest_difference > 0, p > 0);
    EXPECT_LT(one.precisions[p].largest_difference, 0.2);
    EXPECT_EQ(one.precisions[p].largest_difference, two.precisions[p].largest_difference);
    EXPECT_EQ(one.precisions[p].flips, two.precisions[p].flips);
  }
}

TEST(PrecisionTrial, TheMetricIsThatOfEvaluate) {
  Trial trial;
  trial.options.rows = 60;
  PosixFileSystem files;
  const auto served = load_served_model(files, trial.folder);
  EXPECT_EQ(trial.run(1).precisions[0].metric,
            evaluated(*served, trial.options.input, 1).value("accuracy"));
}

TEST(PrecisionTrial, RowsWithoutKnownLabelsGiveNoMetric) {
  Trial unknown({Problem::kSingleLabel, {"x", "y"}});
  const MeasuredPrecisions measured = unknown.run(1);
  EXPECT_EQ(measured.metric, "");
  EXPECT_TRUE(has(measured.notes.at(0), "no accuracy: "));
  unknown.options.label_is_a_guess = false;
  EXPECT_TRUE(has(caught([&] { unknown.run(1); }).what, "rows.tsv:2"));
  unknown.options.label_is_a_guess = true;
  unknown.options.input.label = "gone";
  EXPECT_EQ(unknown.run(1).metric, "");
}

TEST(PrecisionTrial, NumbersHaveNoFlips) {
  Trial numbers({Problem::kRegression, {"stars"}});
  numbers.options.input.label = "";
  const MeasuredPrecisions measured = numbers.run(1);
  EXPECT_EQ(measured.precisions[2].flips, 0);
  EXPECT_GT(measured.precisions[2].relative_difference, 0);
  EXPECT_EQ(measured.change(measured.precisions[2]), measured.precisions[2].relative_difference);
}

TEST(PrecisionTrial, NoRowIsRefused) {
  Trial trial;
  trial.options.input.paths = {trial.scratch.write("none.tsv", "text\tlabel\n")};
  EXPECT_TRUE(has(caught([&] { trial.run(1); }).what, "none.tsv: has no row to measure with"));
}

TEST(PrecisionTrial, SlicesAreF32Alone) {
  const Trial trial;
  run_threads(2, [&](Communicator& world) {
    PosixFileSystem files;
    const Mesh mesh(world, {.tensor = 2});
    PrecisionCandidates candidates = load_candidates(files, trial.folder, {.mesh = &mesh});
    EXPECT_EQ(candidates.models.size(), 1u);
    EXPECT_TRUE(has(candidates.left_out.at(1), "int8: precision int8 of a model in 2 slices"));
    EXPECT_EQ(candidates.take(Precision::kF32)->config.precision, Precision::kF32);
  });
}

}  // namespace
}  // namespace heddle
