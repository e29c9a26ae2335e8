#include "framework/ops/attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/expect_throw.h"
#include "tests/support/gradient_check.h"

namespace heddle {
namespace {

Segments segments_of(const std::vector<int64_t>& lengths, const Device& device = Device::cpu()) {
  std::vector<int32_t> offsets = {0};
  for (const int64_t n : lengths) offsets.push_back(offsets.back() + static_cast<int32_t>(n));
  return Segments::from(offsets, device);
}

Tensor random_qkv(const std::vector<int64_t>& lengths, int heads, int64_t head_dim) {
  return random_tensor({segments_of(lengths).rows(), 3 * heads * head_dim}, "qkv", -2, 2);
}

// The probability's factor: 0 or 1 / (1 - p), from the definition in the header.
double mask_of(const AttentionOptions& o, int64_t first_row, int64_t head, int64_t i, int64_t j) {
  if (!o.dropout.active()) return 1;
  const auto layer = static_cast<uint32_t>(o.dropout.layer);
  const PhiloxKey key =
      philox_key(o.dropout.seed, RandomPurpose::kAttentionDropout,
                 uint64_t{layer} << 32 | static_cast<uint32_t>(o.first_head + head));
  const auto row_key = static_cast<uint64_t>(o.dropout.row_keys.data<int64_t>()[first_row]);
  const PhiloxBlock words =
      philox({static_cast<uint32_t>(row_key), static_cast<uint32_t>(row_key >> 32),
              static_cast<uint32_t>(o.dropout.step), static_cast<uint32_t>(i / 8 << 16 | j)},
             key);
  const uint32_t word = words[static_cast<size_t>(i % 4)];
  const auto bits = static_cast<int16_t>(i % 8 < 4 ? word >> 16 : word & 0xffff);
  const long dropped = std::lround(o.dropout.p * 65536);
  return bits + 32768 >= dropped ? 65536.0 / static_cast<double>(65536 - dropped) : 0.0;
}

std::vector<double> attention_oracle(const Tensor& qkv, const Segments& segments,
                                     const AttentionOptions& o) {
  const int64_t width = qkv.dim(1) / 3;
  const int64_t d = width / o.heads;
  std::vector<double> y(static_cast<size_t>(qkv.dim(0) * width), 0.0);
  const auto at = [&](int64_t row, int64_t part, int64_t head, int64_t c) {
    return static_cast<double>(qkv.data<float>()[row * 3 * width + part * width + head * d + c]);
  };
  for (int64_t s = 0; s < segments.count(); ++s) {
    const int64_t first = segments.begin(s);
    const int64_t n = segments.length(s);
    for (int64_t head = 0; head < o.heads; ++head) {
      for (int64_t i = 0; i < n; ++i) {
        const int64_t keys = o.causal ? i + 1 : n;
        std::vector<double> p(static_cast<size_t>(keys));
        double sum = 0;
        for (int64_t j = 0; j < keys; ++j) {
          double dot = 0;
          for (int64_t c = 0; c < d; ++c)
            dot += at(first + i, 0, head, c) * at(first + j, 1, head, c);
          sum += p[static_cast<size_t>(j)] = std::exp(dot * o.scale);
        }
        for (int64_t j = 0; j < keys; ++j) {
          const double weight = p[static_cast<size_t>(j)] / sum * mask_of(o, first, head, i, j);
          for (int64_t c = 0; c < d; ++c) {
            y[static_cast<size_t>((first + i) * width + head * d + c)] +=
                weight * at(first + j, 2, head, c);
          }
        }
      }
    }
  }
  return y;
}

struct Case {
  std::vector<int64_t> lengths;
  int heads;
  int64_t head_dim;
  bool causal;
  float p;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {{{13, 1, 7, 0, 20}, 2, 32, false, 0},
                                        {{13, 5}, 3, 12, false, 0.3f},
                                        {{40, 33}, 2, 64, true, 0},
                                        {{130}, 1, 16, false, 0.2f},
                                        {{700}, 1, 8, true, 0.1f},
                                        {{520, 3}, 1, 5, false, 0},
                                        {{1, 2, 3, 4}, 1, 1, true, 0.5f},
                                        {{64}, 2, 24, true, 0.25f}};
  return all;
}

AttentionOptions options_of(const Case& c) {
  AttentionOptions o{.heads = c.heads,
                     .scale = 1 / std::sqrt(static_cast<float>(c.head_dim)),
                     .causal = c.causal,
                     .first_head = 3};
  o.dropout = {.p = c.p, .seed = 5, .step = 9, .layer = 2, .row_keys = row_keys(c.lengths, 70)};
  return o;
}

TEST(Attention, ValuesEqualThePlainLoops) {
  for (const Case& c : cases()) {
    const Tensor qkv = random_qkv(c.lengths, c.heads, c.head_dim);
    const Segments segments = segments_of(c.lengths);
    const Tensor y = attention(qkv, segments, options_of(c));
    expect_near(y, attention_oracle(qkv, segments, options_of(c)), 5e-6);
  }
}

TEST(Attention, GradientsEqualFiniteDifferences) {
  for (const Case& c : cases()) {
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
  for (const Case& c : cases()) {
    const Tensor qkv = random_qkv(c.lengths, c.heads, c.head_dim);
    expect_same_bits_on_any_threads([&](const Device& device) {
      return forward_backward(on(device, qkv), segments_of(c.lengths, device), options_of(c));
    });
  }
}

TEST(Attention, BatchMatesDoNotChangeBits) {
  const Case c{{9, 150, 13}, 2, 32, false, 0.1f};
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
