// Rounding to another element type.
//
//   Tensor h = cast(x, DType::kBF16);   // backward: dh in the type of x
#pragma once

#include "framework/autograd/record.h"

namespace heddle {

// x of f32 or bf16 as `dtype`, one of the two: to nearest, ties to even. x itself if it has it.
Tensor cast(const Tensor& x, DType dtype);

namespace kernels {
void cast(Cpu, const Tensor& x, const Tensor& y);
}  // namespace kernels

}  // namespace heddle
