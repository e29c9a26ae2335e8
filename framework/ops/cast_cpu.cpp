#include <algorithm>

#include "framework/ops/cast.h"
#include "framework/ops/detail/convert.h"

namespace heddle::kernels {

void cast(Cpu on, const Tensor& x, const Tensor& y) {
  constexpr int64_t kElements = 16384;  // of a task
  const int64_t n = x.numel();
  on.parallel_for((n + kElements - 1) / kElements, [&](int64_t task) {
    const int64_t first = task * kElements;
    const int64_t count = std::min(kElements, n - first);
    if (x.dtype() == DType::kF32) {
      convert(x.data<float>() + first, y.data<BFloat16>() + first, count);
    } else {
      convert(x.data<BFloat16>() + first, y.data<float>() + first, count);
    }
  });
}

}  // namespace heddle::kernels
