// One step by itself: its loss, what it updates, and that the ranks do not show.
#include "trainer/train_step.h"

#include <cmath>

#include "framework/comm/single.h"
#include "framework/ops/losses.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/batching.h"
#include "trainer/parameter_hashes.h"
#include "trainer/training_setup.h"

namespace heddle {
namespace {

struct Stepped {
  StepResult result;
  std::string before, after;  // hashes of the parameters
  double expected_loss = 0;   // from the logits of the samples, one after another
};

struct StepOptions {
  std::vector<int64_t> samples = {3, 1, 4, 15, 9};
  int64_t micro_tokens = 8192;
  double rate = 1e-3;
  std::vector<std::string> assignments = {"model.dropout={hidden: 0, attention: 0, head: 0}"};
  bool poisoned = false;  // one weight is infinite
};

Stepped step_on(int ranks, const StepOptions& options = {}) {
  const Scratch scratch;
  const Config config = tiny_config(scratch, "run", options.assignments);
  Stepped stepped;
  run_threads(ranks, [&](Communicator& world) {
    PosixFileSystem files;
    ThreadPool pool(1);
    const Device device = Device::cpu(&pool);
    TrainingModel model = make_training_model(files, config, device);
    const TrainingData data =
        open_training_data(files, config, model, scratch.path("cache"), pool, world);
    if (options.poisoned) model.model->head.out.weight.value.data<float>()[0] = INFINITY;
    GradientArena gradients(*model.arena, world, true);
    Optimizer optimizer(*model.arena, gradients, world, {});
    TrainStep step(*model.model, *model.task, gradients, optimizer, world);
    const auto alone = make_single();
    const std::string before = hash_parameters(*model.arena, *alone).all;
    double loss = 0;
    {
      const NoGrad no_grad;
      for (const int64_t sample : options.samples) {
        PackedSequences packed;
        data.train.add_to(packed, sample);
        const Tensor logits = (*model.model)(make_batch(packed, device));
        loss += model.task->loss(logits, data.train, std::span(&sample, 1)).value;
      }
    }
    const StepResult result = step.run(data.train, options.samples,
                                       {.leaves = 8,
                                        .micro_tokens = options.micro_tokens,
                                        .rank = world.rank(),
                                        .ranks = world.size()},
                                       {.seed = 5, .step = 0}, options.rate);
    if (world.rank() != world.size() - 1) return;
    stepped = {
        result, before, hash_parameters(*model.arena, *alone).all,
        loss / (static_cast<double>(options.samples.size()) * model.task->terms_per_sample())};
  });
  return stepped;
}

TEST(TrainStep, ItsLossIsTheMeanOverTheBatch) {
  const Stepped one = step_on(1);
  EXPECT_NEAR(one.result.loss, one.expected_loss, 1e-6);
  EXPECT_GT(one.result.gradient_norm, 0);
  EXPECT_FALSE(one.result.skipped);
  EXPECT_NE(one.after, one.before);
}

TEST(TrainStep, CountsTheTokensOfAllRanks) {
  const int64_t tokens = step_on(1).result.tokens;
  EXPECT_GT(tokens, 5 * 3);
  EXPECT_EQ(step_on(4).result.tokens, tokens);
}

TEST(TrainStep, HasTheSameBitsOnAnyRanksAndInAnyPasses) {
  const StepOptions dropout = {.assignments = {}};
  const StepOptions passes = {.micro_tokens = 16, .assignments = {}};
  const Stepped expected = step_on(1, dropout);
  for (const StepOptions& options : {dropout, passes}) {
    for (const int ranks : {1, 2, 4, 8}) {  // 5 samples: on 8 ranks some have none
      const Stepped got = step_on(ranks, options);
      EXPECT_EQ(got.result.loss, expected.result.loss) << ranks;
      EXPECT_EQ(got.result.gradient_norm, expected.result.gradient_norm) << ranks;
      EXPECT_EQ(got.after, expected.after) << ranks;
    }
  }
}

TEST(TrainStep, WithARateOfZeroNothingMoves) {
  const Stepped still = step_on(2, {.rate = 0});
  EXPECT_FALSE(still.result.skipped);
  EXPECT_EQ(still.after, still.before);
}

TEST(TrainStep, WhatIsNotFiniteIsSkippedOnAllRanks) {
  for (const int ranks : {1, 4}) {
    const Stepped skipped = step_on(ranks, {.poisoned = true});
    EXPECT_TRUE(skipped.result.skipped);
    EXPECT_EQ(skipped.after, skipped.before);
  }
}

TEST(TrainStep, TheMeanOfSeveralLabelsIsOverLabelsToo) {
  const Stepped several =
      step_on(2, {.assignments = {"model.dropout={hidden: 0, attention: 0, head: 0}",
                                  "model.head={problem: multi_label, labels: [a, b]}"}});
  EXPECT_NEAR(several.result.loss, several.expected_loss, 1e-6);
  EXPECT_NEAR(several.result.loss, std::log(2.0), 0.1);  // of one label; twice that would be 1.39
}

}  // namespace
}  // namespace heddle
