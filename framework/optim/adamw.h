// AdamW (Loshchilov and Hutter 2019) as PyTorch's: decay first, then the Adam step.
//
//   kernels::adamw_update(on, weight, gradient, m, v, {.lr = 3e-5, .step = 1});
//
// Element by element, so the bits do not depend on where a span begins or ends: shards may be cut
// anywhere.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/device/device.h"

namespace heddle {

struct AdamWStep {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  int64_t step = 1;          // from 1
  float gradient_scale = 1;  // multiplies the gradient: clipping and loss scaling
};

namespace kernels {

// weight -= lr * weight_decay * weight; m and v are moved towards the gradient and its square;
// weight -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps). Equal lengths.
void adamw_update(Cpu, std::span<float> weight, std::span<const float> gradient, std::span<float> m,
                  std::span<float> v, const AdamWStep& step);

// The same for a gradient of zero, for each of `steps` in turn, in one pass over memory: replays
// the steps that an embedding row without gradients has missed, with the bits of the dense update.
void adamw_update_zero_gradient(Cpu, std::span<float> weight, std::span<float> m,
                                std::span<float> v, std::span<const AdamWStep> steps);

}  // namespace kernels
}  // namespace heddle
