#include "framework/ops/losses.h"

#include <gtest/gtest.h>

#include <cmath>

#include "framework/autograd/leaves.h"
#include "tests/support/expect_throw.h"
#include "tests/support/gradient_check.h"

namespace heddle {
namespace {

const Tensor kLabels = tensor_of<int32_t>({2, 0, 1, 2, 2});

double cross_entropy_oracle(const Tensor& logits, const Tensor& labels, double smoothing) {
  const int64_t classes = logits.dim(1);
  double total = 0;
  for (int64_t row = 0; row < logits.dim(0); ++row) {
    const float* x = logits.data<float>() + row * classes;
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(x[c]));
    for (int64_t c = 0; c < classes; ++c) {
      const double target = smoothing / static_cast<double>(classes) +
                            (c == labels.data<int32_t>()[row] ? 1 - smoothing : 0);
      total -= target * (x[c] - std::log(sum));
    }
  }
  return total;
}

TEST(CrossEntropy, ValueAndGradient) {
  const Tensor logits = random_tensor({5, 3}, "logits", -4, 4);
  for (const float smoothing : {0.0f, 0.1f}) {
    const Loss loss = cross_entropy_sum(logits, kLabels, smoothing);
    EXPECT_NEAR(loss.value, cross_entropy_oracle(logits, kLabels, smoothing), 1e-6);
    EXPECT_EQ(loss.sum.data<float>()[0], static_cast<float>(loss.value));
    check_gradients({logits}, [&](const std::vector<Tensor>& in) {
      return cross_entropy_sum(in[0], kLabels, smoothing).sum;
    });
  }
}

TEST(CrossEntropy, LargeLogitsDoNotOverflow) {
  const Tensor logits = Tensor::from<float>(std::vector<float>{1000, -1000}, {1, 2});
  EXPECT_EQ(cross_entropy_sum(logits, tensor_of<int32_t>({0})).value, 0);
  EXPECT_EQ(cross_entropy_sum(logits, tensor_of<int32_t>({1})).value, 2000);
}

TEST(BinaryCrossEntropy, ValueAndGradient) {
  const Tensor logits = random_tensor({5, 3}, "logits", -4, 4);
  const Tensor targets = random_tensor({5, 3}, "targets", 0, 1);
  double expected = 0;
  for (int64_t i = 0; i < 15; ++i) {
    const double p = 1 / (1 + std::exp(-static_cast<double>(logits.data<float>()[i])));
    const double t = targets.data<float>()[i];
    expected -= t * std::log(p) + (1 - t) * std::log(1 - p);
  }
  EXPECT_NEAR(binary_cross_entropy_with_logits_sum(logits, targets).value, expected, 1e-6);
  check_gradients({logits}, [&](const std::vector<Tensor>& in) {
    return binary_cross_entropy_with_logits_sum(in[0], targets).sum;
  });
}

TEST(BinaryCrossEntropy, LargeLogitsDoNotOverflow) {
  const Tensor logits = Tensor::from<float>(std::vector<float>{1000, -1000}, {1, 2});
  const Tensor targets = Tensor::from<float>(std::vector<float>{0, 0}, {1, 2});
  EXPECT_EQ(binary_cross_entropy_with_logits_sum(logits, targets).value, 1000);
}

TEST(SquaredError, ValueAndGradient) {
  const Tensor x = random_tensor({5, 2}, "x"), targets = random_tensor({5, 2}, "targets");
  double expected = 0;
  for (int64_t i = 0; i < 10; ++i) {
    expected += std::pow(static_cast<double>(x.data<float>()[i]) - targets.data<float>()[i], 2);
  }
  EXPECT_NEAR(squared_error_sum(x, targets).value, expected, 1e-9);
  check_gradients(
      {x}, [&](const std::vector<Tensor>& in) { return squared_error_sum(in[0], targets).sum; });
}

TEST(Losses, GradientIsScaledByDy) {
  const Tensor logits = random_tensor({5, 3}, "logits");
  const auto gradient = [&](float dy) {
    const Tensor x = variable(logits);
    backward(cross_entropy_sum(x, kLabels).sum, tensor_of<float>({dy}));
    return dense_gradient(x);
  };
  const Tensor one = gradient(1), quarter = gradient(0.25f);
  for (int64_t i = 0; i < 15; ++i) {
    EXPECT_EQ(quarter.data<float>()[i], one.data<float>()[i] * 0.25f);
  }
}

TEST(Losses, LeavesEqualTheTreeOfCalls) {
  const Tensor logits = random_tensor({20, 3}, "logits", -9, 9);
  const Tensor targets = random_tensor({20, 3}, "targets");
  const LeafOffsets leaves = {0, 7, 8, 8, 20};
  std::vector<double> parts;
  for (size_t leaf = 0; leaf < 4; ++leaf) {
    const int64_t begin = leaves[leaf], end = leaves[leaf + 1];
    parts.push_back(squared_error_sum(logits.rows(begin, end), targets.rows(begin, end)).value);
  }
  const LeafScope scope({leaves});
  EXPECT_EQ(squared_error_sum(logits, targets).value,
            (parts[0] + parts[1]) + (parts[2] + parts[3]));
}

TEST(Losses, ThreadsDoNotChangeBits) {
  const Tensor logits = random_tensor({700, 5}, "logits", -3, 3);
  const Tensor labels = Tensor::zeros({700}, DType::kI32);
  expect_same_bits_on_any_threads([&](const Device& device) {
    const Tensor x = variable(on(device, logits));
    const Loss loss = cross_entropy_sum(x, labels);
    backward(loss.sum, tensor_of<float>({0.5f}));
    return std::vector<Tensor>{loss.sum.detach(), dense_gradient(x)};
  });
}

TEST(Losses, MistakesAreNamed) {
  const Tensor logits = Tensor::zeros({2, 3});
  EXPECT_INVALID(cross_entropy_sum(logits, tensor_of<int32_t>({0, 3})),
                 "label 3 at row 1 of logits with 3 classes");
  EXPECT_INVALID(cross_entropy_sum(logits, tensor_of<int32_t>({-1, 0})), "label -1 at row 0");
  EXPECT_INVALID(cross_entropy_sum(Tensor::zeros({2}), kLabels), "logits have shape [2]");
  EXPECT_INVALID(cross_entropy_sum(logits, kLabels), "labels are i32 [5]. Expected i32 [2]");
  EXPECT_INVALID(cross_entropy_sum(logits, tensor_of<int32_t>({0, 0}), 1.0f), "label smoothing 1");
  EXPECT_INVALID(binary_cross_entropy_with_logits_sum(logits, Tensor::zeros({2, 2})),
                 "[binary_cross_entropy] targets are f32 [2, 2]");
  EXPECT_INVALID(squared_error_sum(logits, Tensor::zeros({3, 3})),
                 "[squared_error] targets are f32 [3, 3]");
  EXPECT_INVALID(squared_error_sum(Tensor::zeros({3}), Tensor::zeros({3})),
                 "[squared_error] predictions have shape [3]");
}

}  // namespace
}  // namespace heddle
