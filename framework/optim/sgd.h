// Stochastic gradient descent with momentum, as PyTorch's.
#pragma once

#include <span>

#include "framework/device/device.h"

namespace heddle {

struct SgdStep {
  double lr = 1e-2;
  double momentum = 0;
  double weight_decay = 0;   // added to the gradient (L2), as in PyTorch
  float gradient_scale = 1;  // multiplies the gradient before that
};

namespace kernels {

// g = gradient_scale * gradient + weight_decay * weight; velocity = momentum * velocity + g;
// weight -= lr * velocity. `velocity` starts at zero, and is empty if momentum is 0.
void sgd_update(Cpu, std::span<float> weight, std::span<const float> gradient,
                std::span<float> velocity, const SgdStep& step);

}  // namespace kernels
}  // namespace heddle
