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

// A table [rows, width] of which few rows have a gradient: an embedding.
struct AdamWTable {
  std::span<float> weight, m, v;
  int64_t width = 0;
  std::span<const int64_t> ids;      // the rows with a gradient, rising
  std::span<const float> gradient;   // [ids, width]
  std::span<const uint8_t> at_rest;  // [rows]: not 0 says that all of a row's m and v are 0
};

// The dense update, bit for bit, with a gradient of 0 for the other rows. Those at rest only decay:
// their m and v are neither read nor written.
void adamw_update_rows(Cpu, const AdamWTable& table, const AdamWStep& step);

}  // namespace kernels
}  // namespace heddle
