#include "trainer/planner/rank_plan.h"

#include <gtest/gtest.h>

#include "framework/autograd/leaves.h"
#include "framework/device/allocator.h"
#include "framework/nn/arena.h"
#include "framework/ops/detail/gemm.h"
#include "framework/ops/losses.h"
#include "models/classifier.h"
#include "trainer/batching.h"

namespace heddle {
namespace {

ClassifierConfig small_model() {
  ClassifierConfig c;
  c.vocabulary = 1000;
  c.hidden_size = 64;
  c.layers = 3;
  c.heads = 4;
  c.intermediate_size = 256;
  c.max_positions = 64;
  c.labels = {"a", "b", "c"};
  return c;
}

Config small_config() {
  Config config;
  config.numerics.data = 8;
  config.batch.size = 32;
  return config;
}

TEST(PlanStep, TheHeaviestRankIsTaken) {
  Config config = small_config();
  const std::vector<int64_t> lengths = {10, 10, 10, 10, 30, 30, 10, 10};
  const StepPlan step = plan_step(config, 4, lengths);
  ASSERT_EQ(step.passes.size(), 1u);
  EXPECT_EQ(step.passes[0].lengths, (std::vector<int64_t>{30, 30}));
  EXPECT_EQ(step.passes[0].leaves, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(step.tokens(), 60);
  EXPECT_EQ(step.batch_tokens, 120);
}

TEST(PlanStep, MicroTokensCutItIntoPasses) {
  Config config = small_config();
  config.batch.micro_tokens = 64;
  const StepPlan step = plan_step(config, 1, std::vector<int64_t>(8, 16));
  EXPECT_EQ(step.passes.size(), 2u);
}

TEST(RankPlan, CountsEveryParameterOnce) {
  const ClassifierConfig model = small_model();
  Classifier real(model);
  const int64_t count = count_parameters(real);
  const Config config = small_config();
  const StepPlan step = plan_step(config, 1, std::vector<int64_t>(32, 20));
  const RankPlan plan = plan_rank(config, model, {}, step, 1);
  EXPECT_EQ(plan.parameters, count);
  EXPECT_NEAR(static_cast<double>(plan.updated), static_cast<double>(count), 1024);
  EXPECT_NEAR(static_cast<double>(plan.bytes.parameters), 4.0 * static_cast<double>(count), 4096);
  EXPECT_NEAR(static_cast<double>(plan.bytes.optimizer), 8.0 * static_cast<double>(count), 4096);
  // The vocabulary's gradient is rows, not a block.
  EXPECT_NEAR(static_cast<double>(plan.bytes.gradients),
              4.0 * static_cast<double>(count - 1000 * 64), 4096);
  EXPECT_EQ(plan.bytes.communication, 0);
}

TEST(RankPlan, ProductsAreThreeTimesTheForwardPass) {
  const ClassifierConfig model = small_model();
  const Config config = small_config();
  const StepPlan step = plan_step(config, 1, std::vector<int64_t>(32, 20));
  const Work work = plan_rank(config, model, {}, step, 1).work;
  const double tokens = 32 * 20;
  const double layer = 4 * 64 * 64 + 2 * 64 * 256;
  const double head = 32 * (64.0 * 64 + 64 * 3);
  EXPECT_NEAR(work.product_flops, 6 * (3 * tokens * layer + head), 1e-6 * work.product_flops);
  // Forward, and a gradient of each operand.
  EXPECT_DOUBLE_EQ(work.weights, 3 * (3 * layer + 64 * 64 + 64 * 3));
  EXPECT_DOUBLE_EQ(work.attention_flops, 3.0 * 14 * tokens * 20 * 64);
  EXPECT_GT(work.element_bytes, 3 * 8 * tokens * 64 * 4);
}

TEST(RankPlan, PassesKeepBlocksForTheirSums) {
  Config config = small_config();
  const std::vector<int64_t> lengths(32, 20);
  const RankPlan one = plan_rank(config, small_model(), {}, plan_step(config, 1, lengths), 1);
  config.batch.micro_tokens = 200;
  const RankPlan four = plan_rank(config, small_model(), {}, plan_step(config, 1, lengths), 1);
  ASSERT_EQ(four.passes, 4);
  // The sum, a pass, and two levels of the tree.
  EXPECT_EQ(four.bytes.gradients, 4 * one.bytes.gradients);
  EXPECT_LT(four.bytes.activations, one.bytes.activations / 3);
  EXPECT_NEAR(four.work.product_flops, one.work.product_flops, 1e-6 * one.work.product_flops);
}

TEST(RankPlan, DataRanksShareTheBatch) {
  const Config config = small_config();
  const std::vector<int64_t> lengths(32, 20);
  const RankPlan one = plan_rank(config, small_model(), {}, plan_step(config, 1, lengths), 1);
  const RankPlan two =
      plan_rank(config, small_model(), {.data = 2}, plan_step(config, 2, lengths), 2);
  EXPECT_EQ(two.bytes.lasting(), one.bytes.lasting());
  EXPECT_LT(two.bytes.activations, one.bytes.activations * 51 / 100);
  EXPECT_GT(two.bytes.communication, 0);
  EXPECT_NEAR(two.work.product_flops * 2, one.work.product_flops, 1e-6 * one.work.product_flops);
}

TEST(RankPlan, TensorRanksShareTheMatrices) {
  const Config config = small_config();
  const StepPlan step = plan_step(config, 1, std::vector<int64_t>(32, 20));
  const RankPlan one = plan_rank(config, small_model(), {}, step, 1);
  const RankPlan two = plan_rank(config, small_model(), {.tensor = 2, .parts = 2}, step, 2);
  EXPECT_LT(two.parameters, one.parameters * 6 / 10);
  EXPECT_GT(two.parameters, one.parameters / 2);
  EXPECT_LT(two.bytes.activations, one.bytes.activations);
  // Head and norms are whole on both: a little more than half of the products.
  EXPECT_NEAR(two.work.product_flops / one.work.product_flops, 0.5, 0.02);
  // A layer sums twice forward and twice backward; the vocabulary once.
  EXPECT_EQ(two.work.sums, 3 * 4 + 1);
  EXPECT_DOUBLE_EQ(two.work.sum_bytes, (3 * 4 + 1) * 32 * 20 * 64 * 4.0);
  EXPECT_EQ(one.work.sums, 0);
}

TEST(RankPlan, ASplitStreamIsSharedByTheTensorRanks) {
  Config config = small_config();
  const StepPlan step = plan_step(config, 1, std::vector<int64_t>(32, 20));
  const MeshPlan mesh{.tensor = 2, .parts = 2};
  const RankPlan whole = plan_rank(config, small_model(), mesh, step, 2);
  config.parallel.sequence = true;
  const RankPlan split = plan_rank(config, small_model(), mesh, step, 2);
  EXPECT_EQ(split.bytes.lasting(), whole.bytes.lasting());
  EXPECT_EQ(split.work.product_flops, whole.work.product_flops);
  // Of a layer: what enters two norms, and what leaves them; of the embeddings one of each. What
  // leaves the last is not kept. The statistics are [rows, 2].
  const int64_t rows = 32 * 20;
  const int64_t stream = (3 * 4 + 1) * rows * 64 * 4 + (3 * 2 + 1) * rows * 2 * 4;
  EXPECT_EQ(whole.bytes.activations - split.bytes.activations, stream / 2);
  // Each sum has become a scatter and a gather. Besides, a gather of what enters the matrices, of
  // the sums of a norm, of the gradient of the embeddings, and of what leaves the encoder.
  EXPECT_EQ(split.work.sums, 1 + 3 * (2 * 4 + 2 + 2) + 1 + 1 + 1);
  EXPECT_EQ(plan_rank(config, small_model(), {}, step, 1).work.sums, 0);
}

TEST(RankPlan, ZeroSharesTheOptimizersState) {
  const Config config = small_config();
  const StepPlan step = plan_step(config, 4, std::vector<int64_t>(32, 20));
  const RankPlan plain = plan_rank(config, small_model(), {.data = 4}, step, 4);
  const RankPlan shared = plan_rank(config, small_model(), {.data = 4, .zero = 1}, step, 4);
  EXPECT_NEAR(static_cast<double>(shared.bytes.optimizer),
              static_cast<double>(plain.bytes.optimizer) / 4, 64);
  EXPECT_EQ(shared.bytes.parameters, plain.bytes.parameters);
}

TEST(RankPlan, AdamWGoesThroughRowsOfTheVocabularyThatAreRead) {
  Config config = small_config();
  const StepPlan step = plan_step(config, 1, std::vector<int64_t>(32, 20));
  const RankPlan plan = plan_rank(config, small_model(), {}, step, 1);
  EXPECT_EQ(plan.updated - plan.stepped, (1000 - 32 * 20) * 64);
  // Under ZeRO-1 all rows are gathered; SGD moves all.
  const RankPlan shared = plan_rank(config, small_model(), {.data = 2, .zero = 1}, step, 2);
  EXPECT_EQ(shared.stepped, shared.updated);
  config.optimizer.name = "sgd";
  const RankPlan sgd = plan_rank(config, small_model(), {}, step, 1);
  EXPECT_EQ(sgd.stepped, sgd.updated);
}

TEST(RankPlan, TheHeadAloneNeedsNoActivationsOfTheEncoder) {
  Config config = small_config();
  const StepPlan step = plan_step(config, 1, std::vector<int64_t>(32, 20));
  const RankPlan all = plan_rank(config, small_model(), {}, step, 1);
  config.model.train = {.kind = TrainedPart::Kind::kHead};
  const RankPlan head = plan_rank(config, small_model(), {}, step, 1);
  EXPECT_LT(head.bytes.gradients, all.bytes.gradients / 10);
  EXPECT_LT(head.bytes.activations, all.bytes.activations / 3);
  EXPECT_EQ(head.bytes.parameters, all.bytes.parameters);
}

TEST(RankPlan, TheLargestTermIsNamed) {
  EXPECT_EQ((MemoryTerms{.parameters = 5, .activations = 7}).largest(), "activations");
  EXPECT_EQ((MemoryTerms{.optimizer = 7}).largest(), "optimizer");
  const MemoryTerms terms{.parameters = 1, .activations = 7, .workspace = 1, .communication = 20};
  EXPECT_EQ(terms.total(), 21);
  EXPECT_EQ(terms.allocated(), 9);
}

// A pass on the CPU: what the allocator counts is what was planned, to the byte but for the scratch
// memory of threads.
void expect_on_cpu_what_is_on_paper(const ClassifierConfig& model_config) {
  const Config config = small_config();
  const std::vector<int64_t> lengths = {20, 3, 17, 9, 40, 1, 33, 25, 12, 12, 60, 5, 8, 30, 22, 19};
  const StepPlan step = plan_step(config, 1, lengths);
  const RankPlan plan = plan_rank(config, model_config, {}, step, 1);

  Classifier model(model_config);
  const ParameterArena arena(model, Device::cpu());
  initialize(arena, 1);
  std::vector<Tensor> slots;
  for (const ParameterArena::Entry& entry : arena.entries()) {
    Parameter& p = *entry.parameter;
    if (!p.row_sparse) slots.push_back(Tensor::empty(p.shape()));
    p.value = p.row_sparse ? variable(p.value) : variable(p.value, slots.back());
  }
  PackedSequences packed;
  for (size_t s = 0; s < lengths.size(); ++s) {
    const std::vector<int32_t> ids(static_cast<size_t>(lengths[s]), static_cast<int32_t>(s) + 5);
    packed.add(ids, lengths[s], static_cast<int64_t>(s));
  }
  reset_high_water();
  const int64_t before = memory_statistics().in_use;
  {
    std::vector<int64_t> tokens = {0};
    for (int64_t length : lengths) tokens.push_back(tokens.back() + length);
    LeafOffsets token_leaves;
    for (int64_t s : step.passes[0].leaves) token_leaves.push_back(tokens[static_cast<size_t>(s)]);
    const LeafScope leaves({token_leaves, step.passes[0].leaves});
    Batch batch = make_batch(packed, Device::cpu());
    batch.noise = TrainingNoise{.seed = 1, .step = 1};
    const Loss loss = cross_entropy_sum(
        model(batch), Tensor::zeros({static_cast<int64_t>(lengths.size())}, DType::kI32), 0);
    const int64_t kept = memory_statistics().in_use - before;
    EXPECT_EQ(kept, plan.bytes.activations);
    backward(loss.sum, Tensor::from<float>(std::vector<float>{1.0f}, {1}));
  }
  const auto most = static_cast<double>(memory_statistics().high_water - before);
  const auto planned = static_cast<double>(plan.bytes.activations + plan.bytes.workspace);
  EXPECT_NEAR(most / planned, 1, 0.02);
}

TEST(RankPlan, APassTakesOnTheCpuWhatItTakesOnPaper) {
  expect_on_cpu_what_is_on_paper(small_model());
}

TEST(RankPlan, APassInBf16TakesOnTheCpuWhatItTakesOnPaper) {
  if (!kernels::Gemm::has(Precision::kBF16)) GTEST_SKIP() << "products in bf16 are made of f32";
  ClassifierConfig model = small_model();
  model.precision = Precision::kBF16;
  // Most is in use in the gradient of a large weight.
  model.layers = 1;
  model.hidden_size = 128;
  model.intermediate_size = 1024;
  expect_on_cpu_what_is_on_paper(model);
}

TEST(RankPlan, ModelsFarBeyondThisMachineArePlanned) {
  ClassifierConfig model = small_model();
  model.vocabulary = 30522;
  model.hidden_size = 4096;
  model.layers = 34;
  model.heads = 32;
  model.intermediate_size = 16384;
  model.max_positions = 512;
  const Config config = small_config();
  const std::vector<int64_t> lengths(512, 512);
  const RankPlan plan = plan_rank(config, model, {.data = 64}, plan_step(config, 64, lengths), 8);
  EXPECT_GT(plan.parameters, 6'900'000'000);
  EXPECT_GT(plan.bytes.total(), int64_t{100} << 30);
  EXPECT_EQ(plan.tokens, 8 * 512);
}

}  // namespace
}  // namespace heddle
