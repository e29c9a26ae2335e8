#include "framework/ops/attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/framework/ops/attention_reference.h"
#include "tests/support/expect_throw.h"
#include "tests/support/gradient_check.h"

namespace heddle {
namespace {

const std::vector<AttentionCase>& cases() {
  static const std::vector<AttentionCase> all = {{{13, 1, 7, 0, 20}, 2, 32, false, 0},
                                                 {{13, 5}, 3, 12, false, 0.3f},
                                                 {{40, 33}, 2, 64, true, 0},
                                                 {{130}, 1, 16, false, 0.2f},
                                                 {{700}, 1, 8, true, 0.1f},
                                                 {{520, 3}, 1, 5, false, 0},
                                                 {{1, 2, 3, 4}, 1, 1, true, 0.5f},
                                                 {{64}, 2, 24, true, 0.25f}};
  return all;
}

TEST(Attention, ValuesEqualThePlainLoops) {
  for (const AttentionCase& c : cases()) {
    const Tensor qkv = random_qkv(c.lengths, c.heads, c.head_dim);
    const Segments segments = segments_of(c.lengths);
    const Tensor y = attention(qkv, segments, options_of(c));
    expect_near(y, attention_oracle(qkv, segments, options_of(c)), 5e-6);
  }
}

TEST(Attention, GradientsEqualFiniteDifferences) {
  for (const AttentionCase& c : cases()) {
    const Segments segments = segments_of(c.lengths);
    check_gradients(
        {random_qkv(c.lengths, c.heads, c.head_dim)},
        [&](const std::vector<Tensor>& in) { return attention(in[0], segments, options_of(c)); },
        {.elements = 40});
  }
}

std::vector<Tensor> forward_backward(const Tensor& qkv, const Segments& segments,
                                     const AttentionOptions& options) {
  const Tensor x = variable(qkv);
  const Tensor y = attention(x, segments, options);
  backward(y, random_tensor({4096, y.dim(1)}, "dy").rows(0, y.dim(0)));
  return {y.detach(), dense_gradient(x)};
}

TEST(Attention, ThreadsDoNotChangeBits) {
  for (const AttentionCase& c : cases()) {
    const Tensor qkv = random_qkv(c.lengths, c.heads, c.head_dim);
    expect_same_bits_on_any_threads([&](const Device& device) {
      return forward_backward(on(device, qkv), segments_of(c.lengths, device), options_of(c));
    });
  }
}

TEST(Attention, BatchMatesDoNotChangeBits) {
  const AttentionCase c{{9, 150, 13}, 2, 32, false, 0.1f};
  const Tensor qkv = random_qkv(c.lengths, c.heads, c.head_dim);
  const AttentionOptions o = options_of(c);
  const auto together = forward_backward(qkv, segments_of(c.lengths), o);
  AttentionOptions alone = o;
  alone.dropout.row_keys = o.dropout.row_keys.rows(9, 159);
  const Tensor x = variable(qkv.rows(9, 159));
  const Tensor y = attention(x, segments_of({150}), alone);
  backward(y, random_tensor({4096, 64}, "dy").rows(9, 159));
  EXPECT_TRUE(same_bits(y.detach(), together[0].rows(9, 159)));
  EXPECT_TRUE(same_bits(dense_gradient(x), together[1].rows(9, 159)));
}

TEST(Attention, LargeScoresDoNotOverflow) {
  const Tensor qkv = random_tensor({6, 3 * 8}, "qkv", -300, 300);
  const Segments segments = segments_of({6});
  const AttentionOptions o{.heads = 1, .scale = 1};
  expect_near(
      attention(qkv, segments, o),
      [&] {  // the largest score's value, as the softmax is one-hot
        std::vector<double> expected;
        for (int64_t i = 0; i < 6; ++i) {
          int64_t best = 0;
          double most = -1e300;
          for (int64_t j = 0; j < 6; ++j) {
            double dot = 0;
            for (int64_t c = 0; c < 8; ++c) {
              dot += static_cast<double>(qkv.data<float>()[i * 24 + c]) *
                     qkv.data<float>()[j * 24 + 8 + c];
            }
            if (dot > most) most = dot, best = j;
          }
          for (int64_t c = 0; c < 8; ++c) {
            expected.push_back(qkv.data<float>()[best * 24 + 16 + c]);
          }
        }
        return expected;
      }(),
      1e-3);
}

TEST(Attention, NanInAQueryOrAKeyReachesTheOutput) {
  for (const int64_t column : {0, 8}) {
    const Tensor qkv = random_tensor({9, 24}, "qkv");
    qkv.data<float>()[8 * 24 + column] = NAN;
    const Tensor y = attention(qkv, segments_of({9}), {});
    EXPECT_TRUE(std::isnan(y.data<float>()[8 * 8]));
  }
}

// The last three queries of a sequence of 40 look at all its keys.
TEST(Attention, QueriesMayBeFewerThanKeys) {
  constexpr int64_t kRows = 40, kWidth = 24, kFirst = 37;
  const Tensor qkv = random_tensor({kRows, 3 * kWidth}, "qkv");
  const Tensor dy = Tensor::zeros({kRows, kWidth});
  dy.rows(kFirst, kRows).copy_from(random_tensor({3, kWidth}, "dy"));
  const Segments queries = segments_of({3}), keys = segments_of({kRows});
  for (const bool causal : {false, true}) {
    const AttentionOptions o{.heads = 2, .scale = 0.3f, .causal = causal};
    const Tensor x = variable(qkv);
    const Tensor whole = attention(x, keys, o);
    backward(whole, dy);

    const kernels::AttentionShape shape{queries, keys, kWidth / 2, o};
    const auto part = [&](const Tensor& t, int64_t i, int64_t row) {
      return kernels::AttentionMatrix{t.data<float>() + row * t.dim(1) + i * kWidth, t.dim(1)};
    };
    const kernels::AttentionInputs inputs{part(qkv, 0, kFirst), part(qkv, 1, 0), part(qkv, 2, 0)};
    const Tensor y = Tensor::empty({3, kWidth}), statistics = Tensor::empty({3, 2, 2});
    kernels::attention(Cpu{}, shape, inputs, part(y, 0, 0), statistics.data<float>());
    EXPECT_TRUE(same_bits(y, whole.rows(kFirst, kRows)));

    const Tensor dqkv = Tensor::zeros({kRows, 3 * kWidth});
    kernels::attention_backward(Cpu{}, shape, inputs, statistics.data<float>(), part(dy, 0, kFirst),
                                {part(dqkv, 0, kFirst), part(dqkv, 1, 0), part(dqkv, 2, 0)});
    const auto expected = dense_gradient(x).span<float>();
    expect_near(dqkv, std::vector<double>(expected.begin(), expected.end()), 1e-6);
  }
}

TEST(Attention, MetaDeviceInfersTheShape) {
  const Tensor qkv = Tensor::empty({20, 96}, DType::kF32, Device::meta());
  const Tensor y = attention(qkv, segments_of({13, 7}, Device::meta()), {.heads = 2});
  EXPECT_EQ(y.shape(), (Shape{20, 32}));
}

TEST(Attention, MistakesAreNamed) {
  const Tensor qkv = Tensor::zeros({20, 90});
  const Segments segments = segments_of({13, 7});
  EXPECT_INVALID(attention(qkv, segments, {.heads = 4}), "qkv has shape [20, 90], with 4");
  EXPECT_INVALID(attention(qkv, segments_of({13}), {.heads = 3}),
                 "the segments have 13 rows, qkv 20");
  EXPECT_INVALID(attention(qkv, segments, {.heads = 3, .scale = 0}), "scale 0");
  EXPECT_INVALID(attention(qkv, segments, {.heads = 3, .dropout = {.p = 1.5f}}),
                 "[attention] dropout with p = 1.5");
  EXPECT_INVALID(attention(qkv, segments, {.heads = 3, .dropout = {.p = 0.5f}}),
                 "[attention] dropout needs row_keys, i64 [20]");
  const Tensor long_qkv = Tensor::zeros({70000, 3});
  const Tensor keys = Tensor::zeros({70000}, DType::kI64);
  EXPECT_INVALID(
      attention(long_qkv, segments_of({70000}), {.dropout = {.p = 0.5f, .row_keys = keys}}),
      "a segment of 70000 rows with dropout");
}

}  // namespace
}  // namespace heddle
