#include "framework/parallel/gradients.h"

#include "framework/comm/single.h"
#include "framework/comm/threads.h"
#include "framework/nn/linear.h"
#include "framework/ops/losses.h"
#include "framework/parallel/vocab_embedding.h"
#include "tests/support/expect_throw.h"
#include "tests/support/tensors.h"

namespace heddle {
namespace {

struct Words : Module {
  Words() : table(9, 4, {}), out(4, 2), unused(4, 4) {}
  void visit(Visitor& v) override {
    v("table", table);
    v("out", out);
    v("unused", unused);
  }
  // The squared error against zero, summed.
  void run_backward(const std::vector<int32_t>& ids) const {
    const Tensor y = out(table(tensor_of(ids)));
    const Loss loss = squared_error_sum(y, Tensor::zeros(y.shape()));
    backward(loss.sum, tensor_of(std::vector<float>{1}));
  }

  VocabEmbedding table;
  Linear out;
  Linear unused;
};

std::vector<std::string> names(const GradientArena& gradients) {
  std::vector<std::string> all;
  for (const auto& entry : gradients.entries()) all.push_back(entry.parameter->name);
  return all;
}

const GradientArena::Entry& entry_of(const GradientArena& gradients, const std::string& name) {
  for (const auto& entry : gradients.entries()) {
    if (entry.parameter->name == name) return entry;
  }
  throw std::out_of_range(name);
}

std::vector<float> dense_values(const GradientArena& gradients, const std::string& name) {
  const auto values = gradients.dense(entry_of(gradients, name));
  return {values.begin(), values.end()};
}

TEST(GradientArena, HoldsTrainableParametersLastFirst) {
  Words model;
  const ParameterArena arena(model, Device::cpu());
  model.out.bias.trainable = false;
  model.unused.weight.trainable = false;
  const auto alone = make_single();
  const GradientArena gradients(arena, *alone, true);
  EXPECT_EQ(names(gradients),
            (std::vector<std::string>{"unused.bias", "out.weight", "table.weight"}));
  EXPECT_TRUE(entry_of(gradients, "table.weight").sparse);
  EXPECT_FALSE(entry_of(gradients, "out.weight").sparse);
}

TEST(GradientArena, WhatAPassDoesNotReachCountsAsZero) {
  Words model;
  const ParameterArena arena(model, Device::cpu());
  initialize(arena, 1);
  const auto alone = make_single();
  GradientArena gradients(arena, *alone, true);
  for (const int64_t passes : {1, 2}) {
    gradients.begin(passes);
    for (int64_t p = 0; p < passes; ++p) {
      gradients.begin_pass();
      model.run_backward({3, 5});
      gradients.end_pass();
    }
    gradients.all_reduce();
    EXPECT_EQ(dense_values(gradients, "unused.weight"), std::vector<float>(16)) << passes;
    EXPECT_EQ(gradients.sparse(entry_of(gradients, "table.weight")).ids,
              (std::vector<int64_t>{3, 5}));
  }
  // A step in which this rank has nothing to do at all.
  gradients.begin(1);
  gradients.begin_pass();
  gradients.end_pass();
  gradients.all_reduce();
  EXPECT_EQ(dense_values(gradients, "out.weight"), std::vector<float>(8));
  EXPECT_TRUE(gradients.sparse(entry_of(gradients, "table.weight")).ids.empty());
}

TEST(GradientArena, PassesOnOneRankEqualRanks) {
  const std::vector<std::vector<int32_t>> leaves = {{1, 2}, {2, 3, 4}, {}, {8, 8, 1}};
  const auto run = [&](Communicator& world) {
    Words model;
    const ParameterArena arena(model, Device::cpu());
    initialize(arena, 1);
    GradientArena gradients(arena, world, true);
    const int64_t passes = 4 / world.size();
    gradients.begin(passes);
    for (int64_t p = 0; p < passes; ++p) {
      gradients.begin_pass();
      const auto& ids = leaves[static_cast<size_t>(world.rank() * passes + p)];
      if (!ids.empty()) model.run_backward(ids);
      gradients.end_pass();
    }
    gradients.all_reduce();
    return std::pair(dense_values(gradients, "out.weight"),
                     gradients.sparse(entry_of(gradients, "table.weight")));
  };
  const auto alone = make_single();
  const auto expected = run(*alone);
  EXPECT_EQ(expected.second.ids, (std::vector<int64_t>{1, 2, 3, 4, 8}));
  for (const int ranks : {2, 4}) {
    run_threads(ranks, [&](Communicator& world) { EXPECT_EQ(run(world), expected) << ranks; });
  }
}

TEST(GradientArena, LeavesPlainValuesBehind) {
  Words model;
  const ParameterArena arena(model, Device::cpu());
  const auto alone = make_single();
  {
    const GradientArena gradients(arena, *alone, true);
    EXPECT_NE(model.out.weight.value.node(), nullptr);
  }
  EXPECT_EQ(model.out.weight.value.node(), nullptr);
}

TEST(GradientArena, RefusesTheWrongKindAndThreeRanks) {
  Words model;
  const ParameterArena arena(model, Device::cpu());
  const auto alone = make_single();
  GradientArena gradients(arena, *alone, true);
  EXPECT_INVALID(gradients.sparse(entry_of(gradients, "out.weight")),
                 "[gradients] 'out.weight' has a dense gradient.");
  EXPECT_INVALID(run_threads(3,
                             [](Communicator& world) {
                               Words words;
                               const ParameterArena values(words, Device::cpu());
                               const GradientArena refused(values, world, true);
                             }),
                 "3 ranks in canonical numerics. Expected a power of two");
}

}  // namespace
}  // namespace heddle
