// The functions that a linear layer may end with, on rows that are still in cache.
#pragma once

#include <cstdint>

#include "framework/core/dtype.h"

namespace heddle {

enum class Activation : uint8_t { kNone, kGelu /* x Φ(x), not the tanh form */, kTanh, kRelu };

namespace kernels {

// A block of a row-major matrix.
struct RowBlock {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t stride = 0;
};

// y = activation(y + bias) in place; bias is [columns] or null. Those of kGelu, whose derivatives
// do not follow from y, are also written to `derivatives`, laid out as y, unless that is null.
void bias_activation(const RowBlock& y, const float* bias, Activation activation,
                     float* derivatives);

// Where a block of a product goes as bf16: both at its first element, rows `stride` apart.
struct BFloat16Block {
  BFloat16* data = nullptr;
  BFloat16* derivatives = nullptr;  // of kGelu; null: not kept
  int64_t stride = 0;
};

// to = activation(product + bias), rounded once. The absolute error of kGelu is 5e-5, that of its
// derivative 2e-4.
void bias_activation(const RowBlock& product, const float* bias, Activation activation,
                     const BFloat16Block& to);

// dx = dy · activation'(x) for n elements. `kept` is activation'(x) for kGelu, y for kTanh and
// kRelu.
void activation_backward(Activation activation, const float* dy, const float* kept, float* dx,
                         int64_t n);
void activation_backward(Activation activation, const BFloat16* dy, const BFloat16* kept,
                         BFloat16* dx, int64_t n);

}  // namespace kernels
}  // namespace heddle
