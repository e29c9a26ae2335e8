// The loss over a vocabulary in parts against a loop in double and against the plain op, and the
// same bits for the same parts on any number of ranks.
#include "framework/parallel/vocab_cross_entropy.h"

#include <cmath>
#include <limits>
#include <mutex>

#include "framework/comm/threads.h"
#include "framework/nn/arena.h"
#include "framework/nn/shard.h"
#include "framework/parallel/column_linear.h"
#include "framework/parallel/mesh.h"
#include "tests/support/expect_throw.h"
#include "tests/support/gradient_check.h"

namespace heddle {
namespace {

constexpr int64_t kWords = 23;
constexpr int32_t kIgnored = -100;
const Tensor kLabels = tensor_of<int32_t>({0, 22, kIgnored, 5, 6, 11, 17});

// Columns [range) of x.
Tensor columns(const Tensor& x, const Range& range) {
  Tensor y = Tensor::empty({x.dim(0), range.size()});
  for (int64_t row = 0; row < x.dim(0); ++row) {
    std::copy_n(x.data<float>() + row * x.dim(1) + range.begin, range.size(),
                y.data<float>() + row * range.size());
  }
  return y;
}

void put_columns(const Tensor& part, const Range& range, const Tensor& whole) {
  for (int64_t row = 0; row < whole.dim(0); ++row) {
    std::copy_n(part.data<float>() + row * range.size(), range.size(),
                whole.data<float>() + row * whole.dim(1) + range.begin);
  }
}

struct Result {
  double value = 0;
  Tensor sum;
  Tensor gradient;  // of all logits, for dy = 0.25
};

Result run(const Tensor& logits, const Tensor& labels, int ranks, int parts) {
  const int64_t words = logits.dim(1);
  Result result{0, {}, Tensor::zeros(logits.shape())};
  std::mutex mutex;
  run_threads(ranks, [&](Communicator& world) {
    const Mesh mesh(world, {.data = 1, .tensor = ranks});
    const Group group = mesh.group(parts);
    Parts mine;
    for (int p = group.first(); p < group.first() + group.count(); ++p) {
      mine.tensors.push_back(variable(columns(logits, split_evenly(words, p, parts))));
    }
    const Loss loss = vocab_cross_entropy_sum(mine, labels, {.vocabulary = words}, group);
    backward(loss.sum, tensor_of<float>({0.25f}));
    const std::scoped_lock lock(mutex);
    if (world.rank() == 0) result.value = loss.value, result.sum = loss.sum.detach();
    for (int p = 0; p < group.count(); ++p) {
      put_columns(dense_gradient(mine.tensors[static_cast<size_t>(p)]),
                  split_evenly(words, group.first() + p, parts), result.gradient);
    }
  });
  return result;
}

// By the definition, in double.
Result oracle(const Tensor& logits, const Tensor& labels) {
  const int64_t words = logits.dim(1);
  Result result{0, {}, Tensor::zeros(logits.shape())};
  for (int64_t row = 0; row < logits.dim(0); ++row) {
    const int32_t label = labels.data<int32_t>()[row];
    if (label == kIgnored) continue;
    const float* x = logits.data<float>() + row * words;
    double sum = 0;
    for (int64_t i = 0; i < words; ++i) sum += std::exp(static_cast<double>(x[i]));
    result.value += std::log(sum) - x[label];
    for (int64_t i = 0; i < words; ++i) {
      result.gradient.data<float>()[row * words + i] =
          static_cast<float>(0.25 * (std::exp(static_cast<double>(x[i])) / sum - (i == label)));
    }
  }
  return result;
}

void expect_near(const Result& found, const Result& expected) {
  EXPECT_NEAR(found.value, expected.value, 2e-6);
  for (int64_t i = 0; i < expected.gradient.numel(); ++i) {
    ASSERT_NEAR(found.gradient.data<float>()[i], expected.gradient.data<float>()[i], 1e-7) << i;
  }
}

TEST(VocabCrossEntropy, EqualsTheDefinitionInAnyParts) {
  const Tensor logits = random_tensor({7, kWords}, "logits", -8, 8);
  for (const int parts : {1, 2, 3, 4, 8})
    expect_near(run(logits, kLabels, 1, parts), oracle(logits, kLabels));
  for (const int ranks : {2, 3, 4})
    expect_near(run(logits, kLabels, ranks, ranks), oracle(logits, kLabels));
}

TEST(VocabCrossEntropy, EqualsThePlainOp) {
  const Tensor logits = random_tensor({7, kWords}, "logits", -8, 8);
  const Tensor labels = tensor_of<int32_t>({0, 22, 3, 5, 6, 11, 17});
  const Tensor whole = variable(logits);
  const Loss plain = cross_entropy_sum(whole, labels);
  backward(plain.sum, tensor_of<float>({0.25f}));
  expect_near(run(logits, labels, 2, 4),
              {.value = plain.value, .sum = plain.sum, .gradient = dense_gradient(whole)});
  const Result ours = run(logits, labels, 2, 2);
  EXPECT_EQ(ours.sum.data<float>()[0], static_cast<float>(ours.value));
}

TEST(VocabCrossEntropy, TheSamePartsOnAnyNumberOfRanksHaveTheSameBits) {
  const Tensor logits = random_tensor({7, kWords}, "logits", -8, 8);
  const Result one = run(logits, kLabels, 1, 4);
  for (const int ranks : {2, 4}) {
    const Result other = run(logits, kLabels, ranks, 4);
    EXPECT_EQ(other.value, one.value);
    EXPECT_TRUE(same_bits(other.sum, one.sum));
    EXPECT_TRUE(same_bits(other.gradient, one.gradient)) << ranks;
  }
}

TEST(VocabCrossEntropy, TheSameBitsOnAnyThreads) {
  const Tensor logits = random_tensor({400, 90}, "logits", -8, 8);
  std::vector<int32_t> labels;
  for (int32_t i = 0; i < 400; ++i) labels.push_back(i * 7 % 91 == 90 ? kIgnored : i * 7 % 91);
  expect_same_bits_on_any_threads([&](const Device& device) {
    const Group group(1, 0, 2);
    const Parts parts{{variable(on(device, columns(logits, {0, 45}))),
                       variable(on(device, columns(logits, {45, 90})))}};
    const Tensor y =
        vocab_cross_entropy_sum(parts, on(device, tensor_of(labels)), {.vocabulary = 90}, group)
            .sum;
    backward(y, on(device, tensor_of<float>({0.5f})));
    return std::vector<Tensor>{y.detach(), dense_gradient(parts.tensors[0]),
                               dense_gradient(parts.tensors[1])};
  });
}

TEST(VocabCrossEntropy, GradientsAreThoseOfFiniteDifferences) {
  const Group group(1, 0, 3);
  std::vector<Tensor> parts;
  const Tensor logits = random_tensor({7, kWords}, "logits", -2, 2);
  for (int p = 0; p < 3; ++p) parts.push_back(columns(logits, split_evenly(kWords, p, 3)));
  check_gradients(parts, [&](const std::vector<Tensor>& in) {
    return vocab_cross_entropy_sum({in}, kLabels, {.vocabulary = kWords}, group).sum;
  });
}

TEST(VocabCrossEntropy, IgnoredRowsCountNothing) {
  const Tensor logits = random_tensor({7, kWords}, "logits", -8, 8);
  const Result result = run(logits, kLabels, 2, 2);
  for (int64_t i = 0; i < kWords; ++i) EXPECT_EQ(result.gradient.data<float>()[2 * kWords + i], 0);
  const Result none = run(logits, tensor_of<int32_t>(std::vector<int32_t>(7, kIgnored)), 2, 2);
  EXPECT_EQ(none.value, 0);
  for (const float g : none.gradient.span<float>()) ASSERT_EQ(g, 0);
}

TEST(VocabCrossEntropy, HugeLogitsDoNotOverflow) {
  constexpr float kHuge = 3e38f;
  const Tensor logits = Tensor::from<float>(
      std::vector<float>{kHuge, -kHuge, 0, -1000, 88, 1000, -kHuge, -kHuge}, {2, 4});
  for (const int ranks : {1, 2, 4}) {
    EXPECT_EQ(run(logits, tensor_of<int32_t>({0, 1}), ranks, 4).value, 0);
    const Result off = run(logits, tensor_of<int32_t>({kIgnored, 0}), ranks, 4);
    EXPECT_EQ(off.value, 912);
    EXPECT_EQ(off.gradient.data<float>()[4], -0.25f);
    EXPECT_EQ(off.gradient.data<float>()[5], 0.25f);
  }
}

TEST(VocabCrossEntropy, WordsThatAreMaskedHaveNoGradient) {
  constexpr float kMasked = -std::numeric_limits<float>::infinity();
  // The second part has nothing else.
  const Tensor logits = Tensor::from<float>(std::vector<float>{1, 1, kMasked, kMasked}, {1, 4});
  const Result result = run(logits, tensor_of<int32_t>({0}), 2, 2);
  EXPECT_NEAR(result.value, std::log(2.0), 1e-7);
  expect_near(result.gradient, {-0.125, 0.125, 0, 0}, 1e-7);
}

TEST(VocabCrossEntropy, WhatIsNoNumberIsSeen) {
  Tensor logits = random_tensor({2, 4}, "logits");
  logits.data<float>()[6] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(run(logits, tensor_of<int32_t>({0, 0}), 2, 2).value));
}

// A head whose words the ranks share, on hidden states that they all have.
struct Output {
  double value = 0;
  Tensor dx, dweight;
};

Output run_head(int ranks, int parts) {
  Output output{0, {}, Tensor::zeros({kWords, 8})};
  std::mutex mutex;
  run_threads(ranks, [&](Communicator& world) {
    const Mesh mesh(world, {.data = 1, .tensor = ranks});
    const Group group = mesh.group(parts);
    ColumnLinear head(8, kWords, group, {.deviation = 0.5f, .units = kWords});
    ParameterArena arena(head, Device::cpu());
    initialize(arena, 7);
    for (const auto& entry : arena.entries()) {
      entry.parameter->value = variable(entry.parameter->value);
    }
    const Tensor x = variable(random_tensor({7, 8}, "x"));
    const Loss loss = vocab_cross_entropy_sum(head(x), kLabels, {.vocabulary = kWords}, group);
    backward(loss.sum, tensor_of<float>({1}));
    const std::scoped_lock lock(mutex);
    if (world.rank() == 0) output.value = loss.value, output.dx = dense_gradient(x);
    for (const Linear& part : head.parts) {
      const Tensor dweight = dense_gradient(part.weight.value);
      for_each_run(part.weight, [&](ShardRun run) {
        std::copy_n(dweight.data<float>() + run.local, run.count,
                    output.dweight.data<float>() + run.whole);
      });
    }
  });
  return output;
}

TEST(VocabCrossEntropy, AHeadInPartsTrainsAsTheWhole) {
  const Output whole = run_head(1, 1);
  const Output parts = run_head(1, 4);
  EXPECT_NEAR(parts.value, whole.value, 1e-5);
  for (const auto& [a, b] :
       {std::pair(parts.dx, whole.dx), std::pair(parts.dweight, whole.dweight)}) {
    for (int64_t i = 0; i < a.numel(); ++i) {
      ASSERT_NEAR(a.data<float>()[i], b.data<float>()[i], 1e-5) << i;
    }
  }
  for (const int ranks : {2, 4}) {
    const Output other = run_head(ranks, 4);
    EXPECT_EQ(other.value, parts.value);
    EXPECT_TRUE(same_bits(other.dx, parts.dx));
    EXPECT_TRUE(same_bits(other.dweight, parts.dweight));
  }
}

TEST(VocabCrossEntropy, OnTheMetaDeviceNoRanksAreNeeded) {
  const Group group(4, 1, 4);
  const Tensor logits = Tensor::empty({7, 6}, DType::kF32, Device::meta());
  const Tensor labels = Tensor::empty({7}, DType::kI32, Device::meta());
  EXPECT_EQ(vocab_cross_entropy_sum({{logits}}, labels, {.vocabulary = kWords}, group).sum.shape(),
            Shape({1}));
}

TEST(VocabCrossEntropy, MistakesAreTold) {
  const Group group(1, 0, 2);
  const Tensor a = random_tensor({2, 2}, "a"), b = random_tensor({2, 3}, "b");
  const auto of = [&](const std::vector<Tensor>& parts, const Tensor& labels) {
    vocab_cross_entropy_sum({parts}, labels, {.vocabulary = 5}, group);
  };
  const Tensor labels = tensor_of<int32_t>({0, 4});
  of({a, b}, labels);
  EXPECT_INVALID(of({a}, labels), "[vocab_cross_entropy] logits of 1 parts. Expected 2.");
  EXPECT_INVALID(of({b, a}, labels),
                 "[vocab_cross_entropy] logits of part 0 have shape [2, 3]. Expected [2, 2].");
  EXPECT_INVALID(of({a, b}, tensor_of<float>({0, 4})),
                 "[vocab_cross_entropy] labels are f32 [2]. Expected i32 [T].");
  EXPECT_INVALID(of({a, b}, tensor_of<int32_t>({0, 5})),
                 "[vocab_cross_entropy] label 5 at row 1 of logits for 5 words.");
  EXPECT_INVALID(of({a, b}, tensor_of<int32_t>({-1, 4})),
                 "[vocab_cross_entropy] label -1 at row 0 of logits for 5 words.");
}

}  // namespace
}  // namespace heddle
