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

// Some buckets of dense gradients, one of a layer that is not used.
struct Tower : Module {
  Tower() : first(700, 900), unused(900, 800), second(900, 600) {}
  void visit(Visitor& v) override {
    v("first", first);
    v("unused", unused);
    v("second", second);
  }
  void run_backward(const Tensor& x) const {
    const Tensor y = second(first(x));
    backward(squared_error_sum(y, Tensor::zeros(y.shape())).sum, tensor_of(std::vector<float>{1}));
  }

  Linear first, unused, second;
};

// The first pass finds out how many terms each gradient has; from then on they are added early.
TEST(GradientArena, WhatIsAddedDuringThePassHasTheSameBits) {
  run_threads(4, [](Communicator& world) {
    Tower model;
    const ParameterArena arena(model, Device::cpu());
    initialize(arena, 1);
    GradientArena gradients(arena, world, true);
    Tensor x = Tensor::empty({3, 700});
    for (int64_t i = 0; i < x.numel(); ++i) {
      x.data<float>()[i] = static_cast<float>((i + 5 * world.rank()) % 11) - 5;
    }
    std::vector<std::vector<float>> first;
    for (int round = 0; round < 4; ++round) {
      gradients.begin(1);
      gradients.begin_pass();
      if (round != 2 || world.rank() != 1) model.run_backward(x);  // a rank without samples
      gradients.end_pass();
      gradients.all_reduce();
      std::vector<std::vector<float>> now;
      for (const auto& entry : gradients.entries()) {
        const auto values = gradients.dense(entry);
        now.emplace_back(values.begin(), values.end());
      }
      if (round == 0) first = now;
      EXPECT_EQ(now == first, round != 2) << "round " << round;
      EXPECT_EQ(now[3], std::vector<float>(900 * 800)) << names(gradients)[3];
      world.barrier();
    }
  });
}

TEST(GradientArena, AFurtherTermOfASumThatHasBegunIsAnError) {
  Tower model;
  const ParameterArena arena(model, Device::cpu());
  const auto alone = make_single();
  GradientArena gradients(arena, *alone, true);
  const Tensor x = Tensor::zeros({1, 700});
  for (int round = 0; round < 2; ++round) {
    gradients.begin(1);
    gradients.begin_pass();
    model.run_backward(x);
    if (round == 1) {
      EXPECT_INVALID(model.run_backward(x), "got another gradient when its sum had begun");
    }
    gradients.end_pass();
    gradients.all_reduce();
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
