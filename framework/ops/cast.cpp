#include "framework/ops/cast.h"

#include "framework/device/work.h"

namespace heddle {
namespace {

Tensor converted(const Tensor& x, DType dtype) {
  Tensor y = Tensor::empty(x.shape(), dtype, x.device());
  on_device(x.device(), [&](auto on) { kernels::cast(on, x, y); });
  if (x.device().is_meta()) count_work({.element_bytes = static_cast<double>(y.bytes())});
  return y;
}

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBF16;
}

}  // namespace

Tensor cast(const Tensor& x, DType dtype) {
  check(is_float(x.dtype()) && is_float(dtype), "[cast] {} to {}. Expected f32 or bf16.",
        name_of(x.dtype()), name_of(dtype));
  if (x.dtype() == dtype) return x;
  return record(converted(x, dtype), {x},
                [from = x.dtype()](const Tensor& dy) { return Gradients{converted(dy, from)}; });
}

}  // namespace heddle
