#include "framework/ops/dropout.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/ops/dropout_cpu.cpp"
#include "framework/ops/detail/simd_targets.h"
// Highway includes this file again for each instruction set.
#include <hwy/foreach_target.h>

#include "framework/ops/detail/parallel_rows.h"
#include "framework/ops/detail/philox-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

void dropout_rows(const float* x, const DropoutMask& mask, int64_t begin, int64_t end, int64_t n,
                  float* y) {
  const F d;
  const Vec scale = hn::Set(d, mask.scale);
  const PhiloxKeys philox(mask.key);
  for (int64_t row = begin; row < end; ++row) {
    const float* from = x + row * n;
    float* to = y + row * n;
    for_dropout_row(
        mask, philox, mask.row_keys[row], n, [&](int64_t i, int64_t count, Keep kept) HWY_ATTR {
          if (count == lanes()) {
            hn::StoreU(hn::IfThenElseZero(kept, hn::Mul(hn::LoadU(d, from + i), scale)), d, to + i);
          } else {
            const Vec v = hn::Mul(load_part(from + i, count), scale);
            store_part(hn::IfThenElseZero(kept, v), to + i, count);
          }
        });
  }
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(dropout_rows);

namespace kernels {

void dropout(Cpu on, const Tensor& x, const Dropout& options, Tensor& y) {
  const int64_t n = x.dim(1);
  const DropoutMask mask(options, RandomPurpose::kDropout);
  parallel_rows(on, x.dim(0), 2 * n, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(dropout_rows)
    (x.data<float>(), mask, begin, end, n, y.data<float>());
  });
}

}  // namespace kernels
}  // namespace heddle
#endif  // HWY_ONCE
