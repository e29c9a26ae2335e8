// The gradient of a Linear's weight: a sum over rows, and so the one product whose order of
// addition the canonical numerics prescribe. The kernel is our own: each element is one chain of
// fused multiply-adds over a leaf's rows, in order, and the leaves' sums are merged by the fixed
// tree while they are in registers. So the bits are those of any mesh by construction, and eight
// leaves cost hardly more than one: their partial sums never reach memory. In bf16 on AMX's tiles a
// chain takes two rows at a time, and leaves' sums wait in the first-level cache.
#pragma once

#include <cstdint>
#include <span>

#include "framework/core/dtype.h"
#include "framework/device/device.h"

namespace heddle::kernels {

inline constexpr uint64_t kMostLeaves = 65536;  // in one call

struct WeightGradient {
  DType type = DType::kF32;  // of dy and x: f32 or bf16
  const void* dy = nullptr;  // [rows, outputs]
  const void* x = nullptr;   // [rows, inputs]
  int64_t outputs = 0;
  int64_t inputs = 0;
  // Offsets [leaves + 1] that cut the rows. An empty leaf counts as +0.
  std::span<const int64_t> leaves;
  float* dw = nullptr;  // [outputs, inputs], or null
  float* db = nullptr;  // [outputs], or null
};

// dw = tree over leaves of dyᵀ · x, db = tree over leaves of the column sums of dy.
void weight_gradient(const Cpu& on, const WeightGradient& gradient);
// Bytes of memory that it takes meanwhile on one thread if it makes dw; the data may be null.
int64_t weight_gradient_scratch(const WeightGradient& gradient);

}  // namespace heddle::kernels
