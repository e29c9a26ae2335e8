// Less precision: each op of bf16 against f32 arithmetic on the same rounded numbers.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "framework/ops/cast.h"
#include "framework/ops/detail/convert.h"
#include "framework/ops/layer_norm.h"
#include "framework/ops/linear.h"
#include "tests/framework/ops/linear_reference.h"

namespace heddle {
namespace {

constexpr Activation kActivations[] = {Activation::kNone, Activation::kGelu, Activation::kTanh,
                                       Activation::kRelu};
// One rounding, to 8 bits of mantissa.
constexpr double kRounding = 1.0 / 256;

Tensor rounded(const Tensor& t) {
  return cast(t, DType::kBF16);
}

Tensor widened(const Tensor& t) {
  return cast(t, DType::kF32);
}

// The largest |a - b| / (scale + |b|).
double difference(const Tensor& a, const Tensor& b, double scale) {
  const std::vector<float> x = values(widened(a.detach())), y = values(widened(b.detach()));
  double worst = x.size() == y.size() ? 0 : INFINITY;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    const double error = std::abs(double{x[i]} - y[i]) / (scale + std::abs(y[i]));
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

TEST(Cast, RoundsToNearestEvenAndKeepsWhatIsNoNumber) {
  std::vector<float> numbers = {0.0f, -0.0f, 1.0f, 1.00390625f, 1.01171875f, -3.3e38f, 1e-40f};
  numbers.push_back(std::numeric_limits<float>::infinity());
  numbers.push_back(std::bit_cast<float>(0x7fffffffu));  // a NaN whose rounding would carry
  numbers.push_back(std::bit_cast<float>(0xff800001u));
  for (int i = 0; i < 40; ++i) numbers.push_back(std::ldexp(1.0f + static_cast<float>(i), i - 20));
  const auto n = static_cast<int64_t>(numbers.size());
  const Tensor half = rounded(Tensor::from<float>(numbers, {n}));
  for (size_t i = 0; i < numbers.size(); ++i) {
    const BFloat16 expected{f32_to_bf16(numbers[i])};
    const BFloat16 got = half.span<BFloat16>()[i];
    if (std::isnan(numbers[i])) {
      EXPECT_TRUE(std::isnan(bf16_to_f32(got.bits))) << i;
    } else {
      EXPECT_EQ(got, expected) << numbers[i];
      EXPECT_EQ(widened(half).span<float>()[i], bf16_to_f32(got.bits));
    }
  }
}

TEST(Cast, GradientsComeBackInTheTypeThatWentIn) {
  const Tensor x = variable(noise({3, 5}, 1));
  const Tensor dy = rounded(noise({3, 5}, 2));
  backward(cast(x, DType::kBF16), dy);
  EXPECT_EQ(values(variable_state(x).gradient.values), values(widened(dy)));
}

TEST(Cast, RefusesIntegers) {
  EXPECT_INVALID(cast(Tensor::empty({2}, DType::kI32), DType::kF32), "[cast] i32 to f32");
}

TEST(Quantize, TheGreatestIs127AndAllAreWithinHalfAStep) {
  for (const int64_t n : {1, 7, 16, 100}) {
    const Tensor x = noise({n}, static_cast<uint64_t>(n));
    std::vector<int8_t> q(static_cast<size_t>(n) + 1, 42);
    const float scale = kernels::quantize(x.data<float>(), q.data(), n);
    int greatest = 0;
    for (int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<size_t>(i);
      EXPECT_LE(std::abs(x.span<float>()[at] - static_cast<float>(q[at]) * scale), 0.5001f * scale);
      greatest = std::max(greatest, std::abs(int{q[at]}));
    }
    EXPECT_EQ(greatest, 127);
    EXPECT_EQ(q.back(), 42);
  }
}

TEST(Quantize, ZerosAndWhatIsNoNumberAreNotLost) {
  std::vector<float> x(40, 0.0f);
  std::vector<int8_t> q(40, 1);
  EXPECT_EQ(kernels::quantize(x.data(), q.data(), 40), 0.0f);
  EXPECT_EQ(q, std::vector<int8_t>(40, 0));
  for (const size_t at : {size_t{0}, size_t{17}, size_t{39}}) {
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
      std::fill(x.begin(), x.end(), 1.0f);
      x[at] = bad;
      EXPECT_TRUE(std::isnan(kernels::quantize(x.data(), q.data(), 40))) << at;
    }
  }
}

// Of weights [out, in]: one that AMX's tiles do not divide, and two that they do.
struct Weight {
  int64_t out, in;
};
constexpr Weight kWeights[] = {{201, 50}, {224, 64}, {32, 416}};
// And one of several panels, of which a cache of 2 MiB takes two together: in bf16, in int8.
constexpr Weight kWide = {608, 1024}, kWideInt8 = {608, 2048};

TEST(LinearBF16, IsTheF32OpOnRoundedNumbersRoundedOnce) {
  for (const auto [out, in] : kWeights) {
    for (const int64_t rows : {1, 17, 83, 200, 256}) {
      const Tensor x = rounded(noise({rows, in}, 1));
      const Tensor w = widened(rounded(noise({out, in}, 2)));
      for (const Tensor& b : {Tensor(), noise({out}, 3)}) {
        for (const Activation activation : kActivations) {
          const Tensor y = linear(x, w, b, activation);
          ASSERT_EQ(y.dtype(), DType::kBF16);
          EXPECT_LT(difference(y, linear(widened(x), w, b, activation), 0.05), kRounding);
        }
      }
    }
  }
}

TEST(LinearBF16, GradientsAreThoseOfTheF32Op) {
  for (const auto [out, in] : kWeights) {
    for (const Activation activation : kActivations) {
      const Tensor x = rounded(noise({83, in}, 1));
      const Tensor dy = rounded(noise({83, out}, 4));
      const auto run = [&, out = out, in = in](const Tensor& input, const Tensor& of_y) {
        const Tensor from = variable(input);
        const Tensor w = variable(widened(rounded(noise({out, in}, 2))));
        const Tensor b = variable(noise({out}, 3));
        backward(linear(from, w, b, activation), of_y);
        return std::vector<Tensor>{variable_state(from).gradient.values,
                                   variable_state(w).gradient.values,
                                   variable_state(b).gradient.values};
      };
      const std::vector<Tensor> ours = run(x, dy), expected = run(widened(x), widened(dy));
      EXPECT_EQ(ours[0].dtype(), DType::kBF16);
      EXPECT_EQ(ours[1].dtype(), DType::kF32);
      // dy · activation' is rounded before the products: sums of 83 and some 200 roundings.
      for (size_t i = 0; i < 3; ++i) EXPECT_LT(difference(ours[i], expected[i], 1), 0.03) << i;
    }
  }
}

TEST(LinearBF16, ServingGivesTheBitsOfTrainingOnAnyThreads) {
  ThreadPool pool(2);
  for (const auto [out, in] : {kWeights[0], kWeights[1], kWeights[2], kWide}) {
    for (const int64_t rows : {1, 54, 300}) {
      const Tensor x = rounded(noise({rows, in}, 1));
      const Tensor w = noise({out, in}, 2), b = noise({out}, 3);
      const auto packed = PackedWeight::forward(w, PackedWeight::kManyRows, Precision::kBF16);
      const Tensor trained = linear(x, variable(w), variable(b), Activation::kGelu).detach();
      const Tensor served = linear(x, packed, b, Activation::kGelu);
      EXPECT_TRUE(same(served, trained));
      EXPECT_TRUE(same(linear(x.rows(rows / 2, rows), packed, b, Activation::kGelu),
                       served.rows(rows / 2, rows)));
      const Tensor shared = cast(noise({rows, in}, 1, Device::cpu(&pool)), DType::kBF16);
      EXPECT_TRUE(same(linear(shared, packed, b, Activation::kGelu), served));
    }
  }
}

TEST(LinearBF16, ARowThatIsNotFiniteSpoilsNoOther) {
  for (const auto [out, in] : kWeights) {
    const Tensor w = noise({out, in}, 2);
    for (const Precision precision : {Precision::kBF16, Precision::kInt8}) {
      const auto packed = PackedWeight::forward(w, PackedWeight::kManyRows, precision);
      Tensor x = noise({40, in}, 1);
      const Tensor before = widened(linear(rounded(x), packed, Tensor()));
      for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
        x.data<float>()[7 * in + 3] = bad;
        const Tensor y = widened(linear(rounded(x), packed, Tensor()));
        EXPECT_FALSE(std::isfinite(y.data<float>()[7 * out]));
        EXPECT_TRUE(same(y.rows(0, 7), before.rows(0, 7)));
        EXPECT_TRUE(same(y.rows(8, 40), before.rows(8, 40)));
      }
    }
  }
}

// Weights and rows that are whole numbers up to 127 lose nothing: the product is exact.
TEST(LinearInt8, WholeNumbersAreExact) {
  for (const auto [out, in] : {Weight{201, 300}, Weight{224, 320}}) {
    const Tensor x = noise({70, in}, 1), w = noise({out, in}, 2);
    for (const Tensor& t : {x, w}) {
      for (float& v : t.span<float>()) v = std::round(v * 126);
      for (int64_t row = 0; row < t.dim(0); ++row) t.rows(row, row + 1).data<float>()[0] = 127;
    }
    const auto packed = PackedWeight::forward(w, PackedWeight::kManyRows, Precision::kInt8);
    const Tensor y = linear(rounded(x), packed, Tensor());
    EXPECT_LT(difference(y, linear(x, w, Tensor()), 1), kRounding);
  }
}

TEST(LinearInt8, IsNearAndARowDependsOnItselfAlone) {
  ThreadPool pool(2);
  for (const auto [out, in] : {Weight{201, 384}, Weight{224, 384}, kWideInt8}) {
    const Tensor x = rounded(noise({150, in}, 1));
    const Tensor w = noise({out, in}, 2), b = noise({out}, 3);
    const auto packed = PackedWeight::forward(w, PackedWeight::kManyRows, Precision::kInt8);
    const Tensor y = linear(x, packed, b, Activation::kGelu);
    // The roundings of a row add up like noise.
    const double bound = 0.12 * std::sqrt(static_cast<double>(in) / 384);
    EXPECT_LT(difference(y, linear(widened(x), w, b, Activation::kGelu), 1), bound);
    const Tensor shared = cast(noise({150, in}, 1, Device::cpu(&pool)), DType::kBF16);
    EXPECT_TRUE(same(linear(shared, packed, b, Activation::kGelu), y));
    for (const int64_t row : {0, 77, 149}) {
      EXPECT_TRUE(
          same(linear(x.rows(row, row + 1), packed, b, Activation::kGelu), y.rows(row, row + 1)));
    }
  }
}

TEST(LinearInt8, RefusesRowsOfAnotherType) {
  const auto packed =
      PackedWeight::forward(noise({3, 4}, 1), PackedWeight::kManyRows, Precision::kInt8);
  EXPECT_INVALID(linear(noise({2, 4}, 2), packed, Tensor()),
                 "x of type f32 and a weight packed as int8. Expected bf16");
  EXPECT_INVALID(PackedWeight::backward(noise({3, 4}, 1), 1, Precision::kInt8), "by int8");
}

TEST(LayerNormBF16, IsTheF32OpOnRoundedNumbers) {
  for (const int64_t width : {5, 48, 384}) {
    const Tensor x = rounded(noise({9, width}, 1)), residual = rounded(noise({9, width}, 2));
    const Tensor gamma = noise({width}, 3), beta = noise({width}, 4);
    EXPECT_LT(difference(layer_norm(x, gamma, beta, 1e-5f),
                         layer_norm(widened(x), gamma, beta, 1e-5f), 1e-3),
              kRounding);
    // x + residual is rounded before it is normalised.
    EXPECT_LT(difference(
                  dropout_add_layer_norm(x, residual, gamma, beta, 1e-5f, {}),
                  dropout_add_layer_norm(widened(x), widened(residual), gamma, beta, 1e-5f, {}), 1),
              3 * kRounding);
  }
}

TEST(LayerNormBF16, GradientsAreThoseOfTheF32Op) {
  const Tensor x = rounded(noise({9, 48}, 1)), dy = rounded(noise({9, 48}, 2));
  const Tensor keys = Tensor::from<int64_t>(std::vector<int64_t>{3, 1, 4, 1, 5, 9, 2, 6, 8}, {9});
  const Dropout dropout{.p = 0.3f, .seed = 5, .step = 2, .layer = 1, .row_keys = keys};
  const auto run = [&](const Tensor& input, const Tensor& of_y) {
    const Tensor in = variable(input), residual = variable(input);
    const Tensor gamma = variable(noise({48}, 3)), beta = variable(noise({48}, 4));
    backward(dropout_add_layer_norm(in, residual, gamma, beta, 1e-5f, dropout), of_y);
    std::vector<Tensor> gradients;
    for (const Tensor& t : {in, residual, gamma, beta}) {
      gradients.push_back(variable_state(t).gradient.values);
    }
    return gradients;
  };
  const std::vector<Tensor> ours = run(x, dy), expected = run(widened(x), widened(dy));
  for (size_t i = 0; i < 4; ++i) EXPECT_LT(difference(ours[i], expected[i], 1), 0.03) << i;
}

TEST(Backward, GradientsOfBF16AreAdded) {
  const Tensor x = variable(rounded(noise({4, 6}, 1)));
  const Tensor w = noise({6, 6}, 2);
  const Tensor h = linear(x, w, Tensor());
  backward(
      dropout_add_layer_norm(linear(h, w, Tensor()), h, noise({6}, 3), noise({6}, 4), 1e-5f, {}),
      rounded(noise({4, 6}, 5)));
  EXPECT_EQ(variable_state(x).gradient.values.dtype(), DType::kBF16);
}

TEST(Backward, RefusesGradientsOfTwoTypes) {
  const Tensor x = variable(noise({2}, 1));
  const Tensor y = record(Tensor::zeros({2}), {x, x}, [](const Tensor&) {
    return Gradients{Tensor::zeros({2}), Tensor::zeros({2}, DType::kBF16)};
  });
  EXPECT_INVALID(backward(y, Tensor::zeros({2})), "gradients of types f32 and bf16 meet");
}

}  // namespace
}  // namespace heddle
