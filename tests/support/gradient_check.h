// Gradients against finite differences.
//
//   check_gradients({x, gamma, beta}, [](const std::vector<Tensor>& in) {
//     return layer_norm(in[0], in[1], in[2], 1e-5f);
//   });
#pragma once

#include <algorithm>
#include <cmath>

#include "tests/support/tensors.h"

namespace heddle {

using OpUnderTest = std::function<Tensor(const std::vector<Tensor>&)>;

struct GradientCheck {
  float step = 0.02f;
  double tolerance = 1e-3;  // absolute, and relative to the gradient
  int elements = 60;        // of each input, evenly spread
};

// Compares each input's gradient of sum(w y), w random, with the five-point difference.
inline void check_gradients(const std::vector<Tensor>& inputs, const OpUnderTest& op,
                            const GradientCheck& options = {}) {
  std::vector<Tensor> variables;
  for (const Tensor& input : inputs) variables.push_back(variable(input));
  const Tensor y = op(variables);
  const Tensor dy = random_tensor(y.shape(), "dy");
  backward(y, dy);

  const auto value = [&]() {
    const NoGrad no_grad;
    const Tensor now = op(variables);
    double sum = 0;
    for (int64_t i = 0; i < now.numel(); ++i) {
      sum += static_cast<double>(now.data<float>()[i]) * dy.data<float>()[i];
    }
    return sum;
  };
  for (size_t input = 0; input < inputs.size(); ++input) {
    const Tensor gradient = dense_gradient(variables[input]);
    const int64_t n = gradient.numel();
    const int64_t stride = std::max<int64_t>(1, n / options.elements);
    for (int64_t i = 0; i < n; i += stride) {
      float& x = variables[input].data<float>()[i];
      const float before = x;
      const auto moved = [&](float by) {
        x = before + by;
        const double at = value();
        x = before;
        return at;
      };
      const float h = options.step;
      const double expected =
          (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12.0 * h);
      ASSERT_NEAR(gradient.data<float>()[i], expected,
                  options.tolerance * std::max(1.0, std::abs(expected)))
          << "input " << input << ", element " << i;
    }
  }
}

}  // namespace heddle
