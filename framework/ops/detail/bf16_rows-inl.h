// Rows of bf16 to f32 and back, by integer instructions: the bits of bf16_to_f32() and
// f32_to_bf16(). Included once for each instruction set.
#if defined(HEDDLE_OPS_BF16_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HEDDLE_OPS_BF16_ROWS_INL_H_
#undef HEDDLE_OPS_BF16_ROWS_INL_H_
#else
#define HEDDLE_OPS_BF16_ROWS_INL_H_
#endif

#include "framework/core/dtype.h"
#include "framework/ops/detail/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

using U16 = hn::Rebind<uint16_t, F>;

// x [n, d], `stride` from row to row, to y [n, d], rows one after another.
HWY_INLINE void widen_rows(const BFloat16* x, int64_t stride, int64_t n, int64_t d, float* y) {
  const F tag;
  const U bits;
  const int64_t step = lanes();
  for (int64_t i = 0; i < n; ++i, x += stride, y += d) {
    const auto* from = reinterpret_cast<const uint16_t*>(x);
    int64_t c = 0;
    for (; c + step <= d; c += step) {
      const auto half = hn::PromoteTo(bits, hn::LoadU(U16(), from + c));
      hn::StoreU(hn::BitCast(tag, hn::ShiftLeft<16>(half)), tag, y + c);
    }
    for (; c < d; ++c) y[c] = bf16_to_f32(from[c]);
  }
}

// The other way.
HWY_INLINE void narrow_rows(const float* x, int64_t n, int64_t d, BFloat16* y, int64_t stride) {
  const F tag;
  const U bits;
  const I integers;
  const int64_t step = lanes();
  const auto half = hn::Set(bits, 0x7fffu);
  const auto one = hn::Set(bits, 1u);
  const auto quiet = hn::Set(bits, 0x40u);
  for (int64_t i = 0; i < n; ++i, x += d, y += stride) {
    auto* to = reinterpret_cast<uint16_t*>(y);
    int64_t c = 0;
    for (; c + step <= d; c += step) {
      const Vec v = hn::LoadU(tag, x + c);
      const auto word = hn::BitCast(bits, v);
      const auto upper = hn::ShiftRight<16>(word);
      const auto rounded = hn::ShiftRight<16>(hn::Add(word, hn::Add(half, hn::And(upper, one))));
      const auto is_nan = hn::RebindMask(bits, hn::Ne(v, v));
      const auto result = hn::IfThenElse(is_nan, hn::Or(upper, quiet), rounded);
      hn::StoreU(hn::DemoteTo(U16(), hn::BitCast(integers, result)), U16(), to + c);
    }
    for (; c < d; ++c) to[c] = f32_to_bf16(x[c]);
  }
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HEDDLE_OPS_BF16_ROWS_INL_H_
