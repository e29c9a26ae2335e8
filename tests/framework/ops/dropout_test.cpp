#include "framework/ops/dropout.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/expect_throw.h"
#include "tests/support/gradient_check.h"

namespace heddle {
namespace {

Dropout options_of(const Tensor& keys, float p = 0.3f) {
  return {.p = p, .seed = 11, .step = 4, .layer = 7, .row_keys = keys};
}

// From the definition in the header.
bool is_kept(const Dropout& o, int64_t row, int64_t feature) {
  const PhiloxKey key = philox_key(o.seed, RandomPurpose::kDropout, static_cast<uint32_t>(o.layer));
  const auto row_key = static_cast<uint64_t>(o.row_keys.data<int64_t>()[row]);
  const PhiloxBlock words = philox(
      {static_cast<uint32_t>(row_key), static_cast<uint32_t>(row_key >> 32),
       static_cast<uint32_t>(o.step), static_cast<uint32_t>(feature / 128 * 16 + feature % 16)},
      key);
  const uint32_t word = words[static_cast<size_t>(feature % 64 / 16)];
  const auto bits = static_cast<int16_t>(feature % 128 < 64 ? word >> 16 : word & 0xffff);
  return bits + 32768 >= std::lround(o.p * 65536);
}

float scale_of(const Dropout& o) {
  return static_cast<float>(65536.0 / static_cast<double>(65536 - std::lround(o.p * 65536)));
}

TEST(Dropout, MaskIsTheOneOfTheContract) {
  for (const int64_t features : {1, 12, 63, 64, 65, 127, 130, 312}) {
    const Tensor x = random_tensor({9, features}, "x");
    const Dropout o = options_of(row_keys({5, 4}, int64_t{1} << 35));
    const Tensor y = dropout(x, o);
    for (int64_t row = 0; row < 9; ++row) {
      for (int64_t c = 0; c < features; ++c) {
        const float expected =
            is_kept(o, row, c) ? x.data<float>()[row * features + c] * scale_of(o) : 0.0f;
        ASSERT_EQ(y.data<float>()[row * features + c], expected) << row << ", " << c;
      }
    }
  }
}

TEST(Dropout, DropsTheShareThatWasAsked) {
  for (const float p : {0.1f, 0.5f, 0.9f}) {
    Tensor x = Tensor::empty({500, 384});
    x.fill(1);
    const Tensor y = dropout(x, options_of(row_keys({500}), p));
    int64_t dropped = 0;
    for (const float v : y.span<float>()) dropped += v == 0;
    EXPECT_NEAR(static_cast<double>(dropped) / static_cast<double>(y.numel()), p, 0.005);
  }
}

TEST(Dropout, StepLayerAndSeedChangeTheMask) {
  const Tensor x = random_tensor({4, 100}, "x");
  const Dropout o = options_of(row_keys({4}));
  const Tensor y = dropout(x, o);
  Dropout other = o;
  other.step += 1;
  EXPECT_FALSE(same_bits(dropout(x, other), y));
  other = o;
  other.layer += 1;
  EXPECT_FALSE(same_bits(dropout(x, other), y));
  other = o;
  other.seed += 1;
  EXPECT_FALSE(same_bits(dropout(x, other), y));
}

TEST(Dropout, PackingDoesNotChangeARow) {
  const Tensor x = random_tensor({10, 70}, "x");
  const Tensor keys = row_keys({10});
  const Tensor whole = dropout(x, options_of(keys));
  const Tensor part = dropout(x.rows(3, 8), options_of(keys.rows(3, 8)));
  EXPECT_TRUE(same_bits(part, whole.rows(3, 8)));
}

TEST(Dropout, ZeroProbabilityReturnsTheInput) {
  const Tensor x = random_tensor({3, 5}, "x");
  EXPECT_EQ(dropout(x, {}).raw(), x.raw());
}

TEST(Dropout, GradientHasTheSameMask) {
  check_gradients({random_tensor({6, 33}, "x")}, [](const std::vector<Tensor>& in) {
    return dropout(in[0], options_of(row_keys({6})));
  });
}

TEST(Dropout, ThreadsDoNotChangeBits) {
  const Tensor x = random_tensor({300, 100}, "x");
  expect_same_bits_on_any_threads([&](const Device& device) {
    return std::vector<Tensor>{dropout(on(device, x), options_of(row_keys({300})))};
  });
}

TEST(Dropout, MistakesAreNamed) {
  const Tensor x = Tensor::zeros({3, 5});
  EXPECT_INVALID(dropout(Tensor::zeros({3}), {}), "[dropout] x has shape [3]");
  EXPECT_INVALID(dropout(x, {.p = 1}), "p = 1. Expected 0 <= p < 1");
  EXPECT_INVALID(dropout(x, options_of(row_keys({4}))), "needs row_keys, i64 [3]");
}

}  // namespace
}  // namespace heddle
