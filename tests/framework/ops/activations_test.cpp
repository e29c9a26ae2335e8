#include "framework/ops/activations.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/expect_throw.h"
#include "tests/support/gradient_check.h"

namespace heddle {
namespace {

// Every 0.01 from -12 to 12, and odd ends.
Tensor grid() {
  std::vector<float> x;
  for (int i = -1200; i <= 1200; ++i) x.push_back(static_cast<float>(i) * 0.01f);
  x.insert(x.end(), {1e-20f, -1e-20f, 100.0f, -100.0f, 0.0f});
  return tensor_of(x);
}

void expect_function(Tensor (*op)(const Tensor&), double (*f)(double), double tolerance) {
  const Tensor x = grid(), y = op(x);
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double expected = f(x.data<float>()[i]);
    ASSERT_NEAR(y.data<float>()[i], expected, tolerance * std::max(1.0, std::abs(expected)))
        << "at " << x.data<float>()[i];
  }
}

TEST(Gelu, ValuesAndGradients) {
  expect_function(
      gelu, [](double x) { return x * 0.5 * std::erfc(-x * std::sqrt(0.5)); }, 8e-7);
  check_gradients({random_tensor({3, 37}, "x", -5, 5)},
                  [](const std::vector<Tensor>& in) { return gelu(in[0]); });
}

TEST(Tanh, ValuesAndGradients) {
  expect_function(
      heddle::tanh, [](double x) { return std::tanh(x); }, 4e-7);
  check_gradients({random_tensor({3, 37}, "x", -3, 3)},
                  [](const std::vector<Tensor>& in) { return heddle::tanh(in[0]); });
}

TEST(Relu, ValuesAndGradients) {
  expect_function(
      relu, [](double x) { return std::max(x, 0.0); }, 0);
  check_gradients({random_tensor({3, 37}, "x", 0.1f, 3)},
                  [](const std::vector<Tensor>& in) { return relu(in[0]); });
  const Tensor x = variable(random_tensor({20}, "x", -3, -0.1f));
  backward(relu(x), random_tensor({20}, "dy"));
  expect_near(dense_gradient(x), std::vector<double>(20, 0.0), 0);
}

TEST(Softmax, ValuesAndGradients) {
  for (const int64_t n : {1, 2, 3, 8, 13, 100}) {
    const Tensor x = random_tensor({4, n}, "x", -6, 6);
    const Tensor y = softmax(x);
    for (int64_t row = 0; row < 4; ++row) {
      double sum = 0;
      for (int64_t c = 0; c < n; ++c)
        sum += std::exp(static_cast<double>(x.data<float>()[row * n + c]));
      for (int64_t c = 0; c < n; ++c) {
        ASSERT_NEAR(y.data<float>()[row * n + c],
                    std::exp(static_cast<double>(x.data<float>()[row * n + c])) / sum, 3e-7);
      }
    }
    check_gradients({x}, [](const std::vector<Tensor>& in) { return softmax(in[0]); });
  }
}

TEST(Softmax, LargeInputsDoNotOverflow) {
  const Tensor y = softmax(tensor_of<float>({1e30f, -1e30f, 1e30f}));
  expect_near(y, {0.5, 0.0, 0.5}, 1e-6);
}

TEST(Softmax, ScalarIsRefused) {
  EXPECT_INVALID(softmax(Tensor::zeros(Shape{})), "[softmax] x has shape []");
}

TEST(Sigmoid, DoesNotOverflow) {
  EXPECT_EQ(sigmoid(0), 0.5f);
  EXPECT_EQ(sigmoid(200), 1.0f);
  EXPECT_EQ(sigmoid(-200), 0.0f);
  EXPECT_NEAR(sigmoid(1.5f), 1 / (1 + std::exp(-1.5)), 1e-7);
}

TEST(Activations, NanStaysNan) {
  const Tensor x = tensor_of<float>({NAN, 1, NAN});
  for (const auto& op : {gelu, heddle::tanh, relu, softmax}) {
    EXPECT_TRUE(std::isnan(op(x).data<float>()[0]));
    EXPECT_TRUE(std::isnan(op(x).data<float>()[2]));
  }
}

TEST(Activations, ThreadsAndPlaceDoNotChangeBits) {
  const Tensor x = random_tensor({30001}, "x", -5, 5);
  for (const auto& op : {gelu, heddle::tanh, relu}) {
    expect_same_bits_on_any_threads([&](const Device& device) {
      const Tensor v = variable(on(device, x));
      const Tensor y = op(v);
      backward(y, random_tensor({30001}, "dy", -1, 1, device));
      return std::vector<Tensor>{y.detach(), dense_gradient(v)};
    });
    EXPECT_TRUE(same_bits(op(x.rows(5, 18)), op(x).rows(5, 18)));
  }
}

}  // namespace
}  // namespace heddle
