#include "framework/ops/cast.h"

#include "framework/device/profile.h"
#include "framework/ops/detail/bytes_of.h"

namespace heddle {
namespace {

Tensor converted(const Tensor& x, DType dtype) {
  const ProfiledSpan span("cast", name_of(dtype));
  Tensor y = Tensor::empty(x.shape(), dtype, x.device());
  on_device(x.device(), [&](auto on) { kernels::cast(on, x, y); });
  count_work({.element_bytes = bytes_of(y), .moved_bytes = bytes_of(x, y)});
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
