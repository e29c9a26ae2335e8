// The functions that a linear layer may end with, on rows that are still in cache.
#pragma once

#include <cstdint>

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

// y = activation(y + bias) in place; bias is [columns] or null. What is before the activation is
// also written to `before`, laid out as y, unless that is null.
void bias_activation(const RowBlock& y, const float* bias, Activation activation, float* before);

// dx = dy · activation'(x) for n elements. `kept` is x for kGelu and y for kTanh and kRelu.
void activation_backward(Activation activation, const float* dy, const float* kept, float* dx,
                         int64_t n);

}  // namespace kernels
}  // namespace heddle
