// Attention in bf16 against the loops and against f32, on whatever path this processor and
// HEDDLE_MAX_ISA choose: CTest runs these with each cap.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "framework/ops/attention.h"
#include "framework/ops/detail/amx.h"
#include "tests/framework/ops/attention_reference.h"
#include "tests/framework/ops/forced_target.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

// Half of the distance to the next bf16, relative.
constexpr double kRounding = 1.0 / 256;

const std::vector<AttentionCase>& cases() {
  static const std::vector<AttentionCase> all = {{{13, 1, 7, 0, 20}, 2, 32, false, 0},
                                                 {{15, 16, 17, 31, 32, 33}, 3, 32, false, 0.3f},
                                                 {{40, 33}, 2, 64, true, 0},
                                                 {{130}, 1, 96, false, 0.2f},
                                                 {{700}, 1, 32, true, 0.1f},
                                                 {{520, 3}, 1, 64, false, 0},
                                                 {{1, 2, 3, 4}, 1, 32, true, 0.5f},
                                                 {{64, 50}, 2, 128, true, 0.25f},
                                                 {{2100}, 1, 32, false, 0},
                                                 {{13, 5}, 3, 12, false, 0.3f},
                                                 {{1, 2, 3, 4}, 1, 1, true, 0.5f},
                                                 {{70}, 2, 24, true, 0.25f}};
  return all;
}

Tensor random_bf16(const AttentionCase& c) {
  return to_bf16(random_qkv(c.lengths, c.heads, c.head_dim));
}

// Output and gradient, of the type of qkv.
std::vector<Tensor> forward_backward(const Tensor& qkv, const Segments& segments,
                                     const AttentionOptions& options) {
  const Tensor x = variable(qkv);
  const Tensor y = attention(x, segments, options);
  const Tensor dy = to_bf16(random_tensor({4096, y.dim(1)}, "dy").rows(0, y.dim(0)));
  backward(y, qkv.dtype() == DType::kBF16 ? dy : to_f32(dy));
  return {y.detach(), dense_gradient(x)};
}

double largest(const Tensor& t) {
  double most = 0;
  for (const float v : t.span<float>()) most = std::max(most, std::abs(double{v}));
  return most;
}

void expect_close(const Tensor& bf16, const Tensor& f32, double tolerance) {
  const auto values = f32.span<float>();
  expect_near(to_f32(bf16), std::vector<double>(values.begin(), values.end()), tolerance);
}

// Values are rounded, and their probabilities may have been: each half a distance at the largest v,
// 2, times dropout's factor; the errors of many probabilities rather cancel.
TEST(AttentionBf16, ValuesEqualThePlainLoops) {
  for (const AttentionCase& c : cases()) {
    const Tensor qkv = random_bf16(c);
    const Segments segments = segments_of(c.lengths);
    const Tensor y = attention(qkv, segments, options_of(c));
    ASSERT_EQ(y.dtype(), DType::kBF16);
    expect_near(to_f32(y), attention_oracle(to_f32(qkv), segments, options_of(c)),
                1.2 * kRounding * 2 / (1 - c.p));
  }
}

// The same, and gradients of scores are differences.
TEST(AttentionBf16, GradientsAreThoseOfF32) {
  for (const AttentionCase& c : cases()) {
    const Tensor qkv = random_bf16(c);
    const Segments segments = segments_of(c.lengths);
    const Tensor got = forward_backward(qkv, segments, options_of(c))[1];
    ASSERT_EQ(got.dtype(), DType::kBF16);
    const Tensor expected = forward_backward(to_f32(qkv), segments, options_of(c))[1];
    expect_close(got, expected, 1.5 * kRounding * largest(expected));
  }
}

// Every instruction set: without tiles, the results are those of f32 on the same numbers, rounded.
TEST(AttentionBf16, PlainPathIsF32Rounded) {
  const int64_t best = std::ranges::min(hwy::SupportedAndGeneratedTargets());
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    const ForcedTarget forced(target);
    for (const AttentionCase& c : cases()) {
      if (target == best && c.head_dim % 32 == 0 && amx_available()) continue;
      const Tensor qkv = random_bf16(c);
      const Segments segments = segments_of(c.lengths);
      const auto got = forward_backward(qkv, segments, options_of(c));
      const auto expected = forward_backward(to_f32(qkv), segments, options_of(c));
      EXPECT_TRUE(same_bits(got[0], to_bf16(expected[0])));
      EXPECT_TRUE(same_bits(got[1], to_bf16(expected[1])));
    }
  }
}

TEST(AttentionBf16, ThreadsDoNotChangeBits) {
  for (const AttentionCase& c : cases()) {
    const Tensor qkv = random_bf16(c);
    expect_same_bits_on_any_threads([&](const Device& device) {
      return forward_backward(on(device, qkv), segments_of(c.lengths, device), options_of(c));
    });
  }
}

// Not even NaN in the rows beside it.
TEST(AttentionBf16, BatchMatesDoNotChangeBits) {
  for (const int64_t length : {1, 15, 16, 40, 150}) {
    for (const bool causal : {false, true}) {
      const AttentionCase c{{9, length, 13}, 2, 32, causal, 0.1f};
      const int64_t end = 9 + length;
      const Tensor qkv = random_bf16(c);
      for (int64_t i = 0; i < qkv.numel(); ++i) {
        const int64_t row = i / qkv.dim(1);
        if (row < 9 || row >= end) qkv.data<BFloat16>()[i].bits = f32_to_bf16(NAN);
      }
      const AttentionOptions o = options_of(c);
      AttentionOptions alone = o;
      alone.dropout.row_keys = o.dropout.row_keys.rows(9, end);
      const Tensor x = variable(qkv), x_alone = variable(qkv.rows(9, end));
      const Tensor y = attention(x, segments_of(c.lengths), o);
      const Tensor y_alone = attention(x_alone, segments_of({length}), alone);
      const Tensor dy = to_bf16(random_tensor(y.shape(), "dy"));
      backward(y, dy);
      backward(y_alone, dy.rows(9, end));
      EXPECT_TRUE(same_bits(y_alone.detach(), y.detach().rows(9, end)));
      EXPECT_TRUE(same_bits(dense_gradient(x_alone), dense_gradient(x).rows(9, end)));
      EXPECT_TRUE(std::isfinite(largest(to_f32(y_alone.detach()))));
    }
  }
}

// With equal scores and v the identity, y shows which probabilities were dropped.
TEST(AttentionBf16, DropsWhatF32Drops) {
  constexpr int64_t kRows = 64;
  const Tensor qkv = Tensor::zeros({kRows, 3 * kRows});
  for (int64_t i = 0; i < kRows; ++i) qkv.data<float>()[i * 3 * kRows + 2 * kRows + i] = 1;
  const AttentionOptions o = options_of({{kRows}, 1, kRows, false, 0.4f});
  const Tensor expected = attention(qkv, segments_of({kRows}), o);
  const Tensor got = to_f32(attention(to_bf16(qkv), segments_of({kRows}), o));
  int64_t dropped = 0;
  for (int64_t i = 0; i < got.numel(); ++i) {
    EXPECT_EQ(got.data<float>()[i] == 0, expected.data<float>()[i] == 0) << "at element " << i;
    dropped += expected.data<float>()[i] == 0;
  }
  EXPECT_GT(dropped, kRows * kRows / 4);
}

// The softmax is one-hot, its power of 2 as well as its value rounded. Rows of a tile are so far
// apart that they have no power of 2 in common.
TEST(AttentionBf16, LargeScoresDoNotOverflow) {
  const std::vector<int64_t> lengths = {6, 600, 40};
  const Segments segments = segments_of(lengths);
  const Tensor qkv = to_bf16(random_tensor({segments.rows(), 3 * 32}, "qkv", -300, 300));
  const AttentionOptions o{.heads = 1, .scale = 1};
  const Tensor expected = attention(to_f32(qkv), segments, o);
  expect_close(attention(qkv, segments, o), expected, 2 * kRounding * 300);
}

TEST(AttentionBf16, NanInAQueryOrAKeyReachesTheOutput) {
  for (const int64_t column : {0, 32}) {
    const Tensor qkv = to_bf16(random_tensor({9, 96}, "qkv"));
    qkv.data<BFloat16>()[8 * 96 + column].bits = f32_to_bf16(NAN);
    const Tensor y = to_f32(attention(qkv, segments_of({9}), {}));
    EXPECT_TRUE(std::isnan(y.data<float>()[8 * 32]));
  }
}

// The last three queries of a sequence of 40 look at all its keys.
TEST(AttentionBf16, QueriesMayBeFewerThanKeys) {
  constexpr int64_t kRows = 40, kWidth = 64, kFirst = 37;
  const Tensor qkv = to_bf16(random_tensor({kRows, 3 * kWidth}, "qkv"));
  const Segments queries = segments_of({3}), keys = segments_of({kRows});
  for (const bool causal : {false, true}) {
    const AttentionOptions o{.heads = 2, .scale = 0.3f, .causal = causal};
    const auto part = [&](const Tensor& t, int64_t i, int64_t row) {
      return kernels::AttentionMatrix<BFloat16>{t.data<BFloat16>() + row * t.dim(1) + i * kWidth,
                                                t.dim(1)};
    };
    const Tensor y = Tensor::empty({3, kWidth}, DType::kBF16);
    kernels::attention<BFloat16>(Cpu{}, {queries, keys, kWidth / 2, o},
                                 {part(qkv, 0, kFirst), part(qkv, 1, 0), part(qkv, 2, 0)},
                                 part(y, 0, 0), nullptr);
    EXPECT_TRUE(same_bits(y, attention(qkv, keys, o).rows(kFirst, kRows)));
  }
}

// A copy between two pages that may not be touched: `at_end` right before the second, else right
// after the first.
Tensor between_guards(const Tensor& t, bool at_end) {
  constexpr int64_t kPage = 4096;
  const int64_t middle = (t.bytes() + kPage - 1) / kPage * kPage;
  const auto size = static_cast<size_t>(middle + 2 * kPage);
  auto* pages = static_cast<std::byte*>(
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  EXPECT_NE(pages, MAP_FAILED);
  EXPECT_EQ(mprotect(pages, kPage, PROT_NONE), 0);
  EXPECT_EQ(mprotect(pages + kPage + middle, kPage, PROT_NONE), 0);
  std::byte* first = pages + kPage + (at_end ? middle - t.bytes() : 0);
  const std::shared_ptr<std::byte> memory(first, [=](std::byte*) { munmap(pages, size); });
  const Tensor copy = Tensor::view(memory, t.shape(), t.dtype(), t.device());
  copy.copy_from(t);
  return copy;
}

TEST(AttentionBf16, TouchesNothingBesideItsTensors) {
  for (const AttentionCase& c : cases()) {
    const int64_t width = c.heads * c.head_dim;
    const Segments segments = segments_of(c.lengths);
    const Tensor qkv = random_bf16(c);
    const Tensor dy = to_bf16(random_tensor({qkv.dim(0), width}, "dy"));
    const AttentionOptions o = options_of(c);
    for (const bool at_end : {false, true}) {
      const Tensor guarded = between_guards(qkv, at_end);
      const Tensor doutput = between_guards(dy, at_end);
      const Tensor y = between_guards(dy, at_end), dqkv = between_guards(qkv, at_end);
      const Tensor statistics = between_guards(Tensor::zeros({qkv.dim(0), c.heads, 2}), at_end);
      const auto part = [&](const Tensor& t, int64_t i) {
        return kernels::AttentionMatrix<BFloat16>{t.data<BFloat16>() + i * width, t.dim(1)};
      };
      const kernels::AttentionShape shape{segments, segments, c.head_dim, o};
      const kernels::AttentionInputs<BFloat16> inputs{part(guarded, 0), part(guarded, 1),
                                                      part(guarded, 2)};
      kernels::attention<BFloat16>(Cpu{}, shape, inputs, part(y, 0), statistics.data<float>());
      kernels::attention_backward<BFloat16>(Cpu{}, shape, inputs, statistics.data<float>(),
                                            part(doutput, 0),
                                            {part(dqkv, 0), part(dqkv, 1), part(dqkv, 2)});
      const Tensor x = variable(qkv);
      const Tensor expected = attention(x, segments, o);
      EXPECT_TRUE(same_bits(y, expected.detach()));
      backward(expected, dy);
      EXPECT_TRUE(same_bits(dqkv, dense_gradient(x)));
    }
  }
}

TEST(AttentionBf16, OtherTypesAreRefused) {
  EXPECT_INVALID(attention(Tensor::zeros({20, 90}, DType::kI32), segments_of({20}), {.heads = 3}),
                 "[attention] qkv is i32. Expected f32 or bf16.");
}

}  // namespace
}  // namespace heddle
