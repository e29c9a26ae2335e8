#include "trainer/planner/step_time.h"

#include <gtest/gtest.h>

namespace heddle {
namespace {

Machine eight_devices() {
  Machine m;
  m.nodes = 4;
  m.ranks_per_node = 8;
  m.memory = int64_t{80} << 30;
  m.product_rate = 1e14;
  m.weight_rate = 1e12;
  m.attention_rate = 1e13;
  m.element_rate = 1e12;
  m.norm_rate = 7.5e11;
  m.update_rate = 1e11;
  m.stream_rate = 3e12;
  m.in_node = {.gb_per_s = 100, .latency_us = 2, .collective = "ring"};
  m.network = {.gb_per_s = 10, .latency_us = 20, .collective = "halving"};
  return m;
}

TEST(AllReduce, CostsWhatTheModelOfTheCollectiveSays) {
  const Machine m = eight_devices();
  EXPECT_EQ(all_reduce_seconds(m, 1e9, 1, 8), 0);
  // A ring: 2 (r - 1) steps, 2 (r - 1) / r of the bytes.
  EXPECT_DOUBLE_EQ(all_reduce_seconds(m, 1e9, 8, 8), 14 * 2e-6 + 2e9 * 7 / 8 / 100e9);
  // Across four nodes each rank adds an eighth, by halving: 2 log2 4 steps.
  EXPECT_DOUBLE_EQ(all_reduce_seconds(m, 1e9, 32, 8),
                   14 * 2e-6 + 2e9 * 7 / 8 / 100e9 + 4 * 20e-6 + 2 * 1.25e8 * 3 / 4 / 10e9);
  Machine shared = m;
  shared.in_node.collective = "shared_memory";
  EXPECT_DOUBLE_EQ(all_reduce_seconds(shared, 1e9, 2, 8), 2 * 2e-6 + 1e9 / 100e9);
}

TEST(StepTime, TermsAreWorkOverRates) {
  RankPlan plan;
  plan.work = {
      .product_flops = 1e14, .weights = 2e11, .attention_flops = 1e12, .element_bytes = 1e11};
  plan.stepped = 1'000'000'000;
  plan.trained = 1'000'000'000;
  plan.parameters = 1'000'000'000;
  const StepTime one = step_time(eight_devices(), plan, {});
  EXPECT_DOUBLE_EQ(one.products, 1.2);
  EXPECT_DOUBLE_EQ(one.attention, 0.1);
  EXPECT_DOUBLE_EQ(one.elements, 0.1);
  EXPECT_EQ(one.gradients, 0);
  EXPECT_GT(one.update, 0.01);
  EXPECT_NEAR(one.total(), 1.4, 0.02);
  const StepTime eight = step_time(eight_devices(), plan, {.data = 8});
  EXPECT_GT(eight.gradients, 0.07);
  const StepTime sharded = step_time(eight_devices(), plan, {.data = 8, .zero = 1});
  EXPECT_GT(sharded.update, eight.update);
}

TEST(StepTime, RanksShareTheCoresOfANode) {
  Machine m = eight_devices();
  m.cores = 2;
  m.memory_scaling = 1.5;
  m.ranks_per_node = 1024;
  RankPlan plan;
  plan.work = {.product_flops = 1e14, .element_bytes = 1e12};
  // One rank has both cores, two have one each, four half of one.
  EXPECT_DOUBLE_EQ(step_time(m, plan, {.data = 1}).products, 0.5);
  EXPECT_DOUBLE_EQ(step_time(m, plan, {.data = 2}).products, 1);
  EXPECT_DOUBLE_EQ(step_time(m, plan, {.data = 4}).products, 2);
  // Unless the run says how many threads a rank has.
  EXPECT_DOUBLE_EQ(step_time(m, plan, {.data = 1}, 1).products, 1);
  EXPECT_DOUBLE_EQ(step_time(m, plan, {.data = 2}, 8).products, 1);
  EXPECT_DOUBLE_EQ(step_time(m, plan, {.data = 1}).elements, 1 / 1.5);
  EXPECT_DOUBLE_EQ(step_time(m, plan, {.data = 2}).elements, 2 / 1.5);
}

}  // namespace
}  // namespace heddle
