#include "framework/ops/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "framework/autograd/leaves.h"
#include "tests/framework/ops/linear_reference.h"

namespace heddle {
namespace {

constexpr Activation kActivations[] = {Activation::kNone, Activation::kGelu, Activation::kTanh,
                                       Activation::kRelu};

double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGelu:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kRelu:
      return std::max(x, 0.0);
  }
  return 0;
}

double slope(Activation activation, double x) {
  switch (activation) {
    case Activation::kNone:
      return 1;
    case Activation::kGelu:
      return 0.5 * std::erfc(-x / std::sqrt(2.0)) +
             x * std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI);
    case Activation::kTanh:
      return 1 - std::tanh(x) * std::tanh(x);
    case Activation::kRelu:
      return x > 0 ? 1 : 0;
  }
  return 0;
}

// x · wᵀ + b in double.
std::vector<double> before_activation(const Tensor& x, const Tensor& w, const Tensor& b) {
  std::vector<double> z = reference_forward(x, w);
  if (b.defined()) {
    for (size_t i = 0; i < z.size(); ++i) {
      z[i] += b.data<float>()[static_cast<int64_t>(i) % b.numel()];
    }
  }
  return z;
}

TEST(Linear, ForwardEqualsPlainLoops) {
  const Tensor x = noise({83, 50}, 1);
  const Tensor w = noise({201, 50}, 2);
  for (const Tensor& b : {Tensor(), noise({201}, 3)}) {
    for (const Activation activation : kActivations) {
      std::vector<double> expected = before_activation(x, w, b);
      for (double& v : expected) v = activate(activation, v);
      EXPECT_LT(largest_error(values(linear(x, w, b, activation)), expected), 1e-5);
    }
  }
}

TEST(Linear, GradientsEqualPlainLoops) {
  for (const Activation activation : kActivations) {
    const Tensor x = variable(noise({83, 50}, 1));
    const Tensor w = variable(noise({201, 50}, 2));
    const Tensor b = variable(noise({201}, 3));
    const Tensor dy = noise({83, 201}, 4);
    backward(linear(x, w, b, activation), dy);
    const std::vector<double> z = before_activation(x, w, b);
    const Tensor dz = Tensor::empty_like(dy);
    for (size_t i = 0; i < z.size(); ++i) {
      dz.span<float>()[i] = static_cast<float>(dy.span<float>()[i] * slope(activation, z[i]));
    }
    const auto gradient = [](const Tensor& t) { return values(variable_state(t).gradient.values); };
    EXPECT_LT(largest_error(gradient(x), reference_input_gradient(dz, w)), 1e-5);
    EXPECT_LT(largest_error(gradient(w), reference_weight_gradient(dz, x)), 1e-5);
    EXPECT_LT(largest_error(gradient(b), reference_column_sums(dz)), 1e-5);
  }
}

TEST(Linear, OnlyWhatIsTrainedGetsAGradient) {
  const Tensor x = noise({5, 4}, 1);
  const Tensor w = variable(noise({3, 4}, 2));
  const Tensor y = linear(x, w, Tensor());
  const Tensor dy = noise({5, 3}, 3);
  backward(y, dy);
  EXPECT_LT(
      largest_error(values(variable_state(w).gradient.values), reference_weight_gradient(dy, x)),
      1e-5);
  const Tensor input = variable(x);
  backward(linear(input, noise({3, 4}, 2), noise({3}, 4)), dy);
  EXPECT_TRUE(variable_state(input).gradient.defined());
}

TEST(Linear, WeightGradientIsMadeInItsSlot) {
  const Tensor slot = Tensor::zeros({3, 4});
  const Tensor w = variable(noise({3, 4}, 2), slot);
  const Tensor x = noise({5, 4}, 1);
  const Tensor dy = noise({5, 3}, 3);
  backward(linear(x, w, Tensor()), dy);
  EXPECT_EQ(variable_state(w).gradient.values.raw(), slot.raw());
  EXPECT_LT(largest_error(values(slot), reference_weight_gradient(dy, x)), 1e-5);
}

// Gradients over leaves: those of the rows' halves, merged, are those of the whole.
TEST(Linear, GradientsFollowTheLeavesOfTheScope) {
  const Tensor x = noise({90, 20}, 1);
  const Tensor dy = noise({90, 30}, 2);
  const auto gradient = [&](int64_t begin, int64_t end, const LeafOffsets& leaves) {
    const Tensor w = variable(noise({30, 20}, 3));
    const LeafScope scope({leaves});
    backward(linear(x.rows(begin, end), w, Tensor(), Activation::kGelu), dy.rows(begin, end));
    return values(variable_state(w).gradient.values);
  };
  const std::vector<float> whole = gradient(0, 90, {0, 25, 40, 40, 90});
  std::vector<float> sum = gradient(0, 40, {0, 25, 40});
  const std::vector<float> right = gradient(40, 90, {0, 0, 50});
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += right[i];
  EXPECT_EQ(whole, sum);
  EXPECT_NE(whole, gradient(0, 90, {0, 90}));
}

TEST(Linear, PackedWeightGivesTheBitsOfTraining) {
  ThreadPool pool(2);
  const Device device = Device::cpu(&pool);
  for (const int64_t rows : {1, 54, 300}) {
    for (const Activation activation : kActivations) {
      const Tensor x = noise({rows, 50}, 1, device);
      const Tensor w = noise({201, 50}, 2, device);
      const Tensor b = noise({201}, 3, device);
      const Tensor trained = linear(x, variable(w), variable(b), activation);
      EXPECT_EQ(values(linear(x, PackedWeight::forward(w), b, activation)), values(trained));
      EXPECT_EQ(values(linear(x, w, b, activation)), values(trained));
    }
  }
}

TEST(Linear, GeluIsRightRelativeToItselfEvenInItsTail) {
  const Tensor x = Tensor::empty({3001, 1});
  for (int i = 0; i <= 3000; ++i) x.data<float>()[i] = static_cast<float>(i - 1500) * 0.004f;
  const Tensor one = Tensor::from<float>(std::vector<float>{1.0f}, {1, 1});
  const Tensor variable_x = variable(x);
  const Tensor y = linear(variable_x, one, Tensor(), Activation::kGelu);
  const Tensor dy = Tensor::empty({3001, 1});
  dy.fill(1.0f);
  backward(y, dy);
  for (int i = 0; i <= 3000; ++i) {
    const double at = x.data<float>()[i];
    const double expected = activate(Activation::kGelu, at);
    // Both terms of the derivative: they cancel where it is zero.
    const double size = (at == 0 ? 0.5 : std::abs(expected / at)) +
                        std::abs(at) * std::exp(-0.5 * at * at) / std::sqrt(2 * M_PI);
    EXPECT_NEAR(y.data<float>()[i], expected, 3e-6 * std::abs(expected)) << "gelu(" << at << ")";
    EXPECT_NEAR(variable_state(variable_x).gradient.values.data<float>()[i],
                slope(Activation::kGelu, at), 3e-6 * size)
        << "gelu'(" << at << ")";
  }
}

TEST(Linear, NoRowsGiveNoRowsAndZeroGradients) {
  const Tensor x = variable(noise({0, 4}, 1));
  const Tensor w = variable(noise({3, 4}, 2));
  const Tensor y = linear(x, w, Tensor(), Activation::kGelu);
  EXPECT_EQ(y.shape(), (Shape{0, 3}));
  backward(y, Tensor::empty({0, 3}));
  EXPECT_EQ(values(variable_state(w).gradient.values), std::vector<float>(12, 0.0f));
}

TEST(Linear, MetaTensorsGetShapesOnly) {
  const Device meta = Device::meta();
  const Tensor x = Tensor::empty({7, 4}, DType::kF32, meta);
  const Tensor w = variable(Tensor::empty({3, 4}, DType::kF32, meta));
  const Tensor y = linear(x, w, Tensor(), Activation::kGelu);
  EXPECT_EQ(y.shape(), (Shape{7, 3}));
  backward(y, Tensor::empty({7, 3}, DType::kF32, meta));
  EXPECT_EQ(variable_state(w).gradient.values.shape(), (Shape{3, 4}));
}

TEST(Linear, RefusesWhatDoesNotFit) {
  const Tensor x = noise({2, 4}, 1);
  const Tensor w = noise({3, 4}, 2);
  EXPECT_INVALID(linear(noise({2, 5}, 1), w, Tensor()),
                 "[linear] x of shape [2, 5] and type f32 for 4 inputs");
  EXPECT_INVALID(linear(x, w, noise({4}, 1)), "a bias of shape [4] for 3 outputs");
  EXPECT_INVALID(linear(x, noise({4}, 1), Tensor()), "a weight of shape [4]");
  EXPECT_INVALID(linear(x, PackedWeight(), Tensor()), "was never packed");
  EXPECT_INVALID(linear(variable(x), PackedWeight::forward(w), Tensor()),
                 "no gradient flows through a packed weight");
}

}  // namespace
}  // namespace heddle
