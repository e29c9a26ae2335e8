#include "framework/ops/cast.h"
#include "framework/ops/detail/convert.h"
#include "framework/ops/detail/parallel_rows.h"

namespace heddle::kernels {

void cast(Cpu on, const Tensor& x, const Tensor& y) {
  parallel_rows(on, x.numel(), 1, [&](int64_t begin, int64_t end) {
    if (x.dtype() == DType::kF32) {
      convert(x.data<float>() + begin, y.data<BFloat16>() + begin, end - begin);
    } else {
      convert(x.data<BFloat16>() + begin, y.data<float>() + begin, end - begin);
    }
  });
}

}  // namespace heddle::kernels
