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

// A step's numbers as the kernels use them: made in double, rounded once.
struct AdamWFactors {
  explicit AdamWFactors(const AdamWStep& step);

  float decay;       // 1 - lr * weight_decay
  float to_m, to_v;  // 1 - beta
  float keep_v;      // beta2
  float root;        // 1 / sqrt(1 - beta2^step)
  float eps;
  float rate;  // lr / (1 - beta1^step)
  float gradient_scale;
};

namespace kernels {

// weight -= lr * weight_decay * weight; m and v are moved towards the gradient and its square;
// weight -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps). Equal lengths.
void adamw_update(Cpu, std::span<float> weight, std::span<const float> gradient, std::span<float> m,
                  std::span<float> v, const AdamWStep& step);

// A row of a table and the steps that it is behind.
struct AdamWRow {
  float *weight, *m, *v;                // [width]
  std::span<const AdamWFactors> steps;  // in their order; eps is more than 0
  const float* gradient = nullptr;      // [width], of the last step; it is 0 in the others
  bool at_rest = false;                 // all of m and v are 0 before
};

// adamw_update() of each row for each of its steps, bit for bit. While a row is at rest it only
// decays: its m and v are neither read nor written.
void adamw_update_rows(Cpu, std::span<const AdamWRow> rows, int64_t width);

}  // namespace kernels
}  // namespace heddle
