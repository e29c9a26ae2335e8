#include "framework/ops/detail/convert.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/ops/detail/convert.cpp"
#include "framework/ops/detail/simd_targets.h"
// The file is compiled from here on for each instruction set.
#include <hwy/foreach_target.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "framework/ops/detail/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {
namespace {

constexpr float kGreatest = 127.0f;
constexpr float kNothing = 1e-30f;  // rows below are zero: 127 / maximum would overflow

template <typename From, typename To>
HWY_INLINE void convert_span(const From* from, To* to, int64_t n) {
  for_vectors(n, [=](int64_t, auto load, auto store) HWY_ATTR { store(load(from), to); });
}

// The greatest magnitude; not finite if a number is not.
HWY_INLINE float greatest_magnitude(const float* from, int64_t n) {
  const F d;
  // The maximum may forget a NaN; the sum of what is 0 unless a number is not finite does not.
  Vec greatest = hn::Zero(d);
  Vec sum = hn::Zero(d);
  for_vectors(n, [&](int64_t, auto load, auto) HWY_ATTR {
    const Vec magnitude = hn::Abs(load(from));
    greatest = hn::Max(greatest, magnitude);
    sum = hn::Add(sum, hn::Mul(magnitude, hn::Zero(d)));
  });
  if (hn::GetLane(hn::SumOfLanes(d, sum)) != 0) return std::numeric_limits<float>::quiet_NaN();
  return hn::GetLane(hn::MaxOfLanes(d, greatest));
}

// Without their signs, the bits of numbers are in the numbers' order, and what is not finite is on
// top.
HWY_INLINE float greatest_magnitude(const BFloat16* from, int64_t n) {
  const hn::ScalableTag<uint16_t> d;
  const auto* bits = reinterpret_cast<const uint16_t*>(from);
  constexpr uint16_t kMagnitude = 0x7fff;
  const auto step = static_cast<int64_t>(hn::Lanes(d));
  auto greatest = hn::Zero(d);
  int64_t i = 0;
  for (; i + step <= n; i += step) {
    greatest = hn::Max(greatest, hn::And(hn::LoadU(d, bits + i), hn::Set(d, kMagnitude)));
  }
  uint16_t maximum = hn::GetLane(hn::MaxOfLanes(d, greatest));
  for (; i < n; ++i) maximum = std::max<uint16_t>(maximum, bits[i] & kMagnitude);
  return bf16_to_f32(maximum);
}

template <typename T>
HWY_INLINE float quantize_span(const T* from, int8_t* to, int64_t n) {
  const F d;
  const hn::Rebind<int8_t, I> bytes;
  const float maximum = greatest_magnitude(from, n);
  const bool finite = std::isfinite(maximum);
  const Vec factor = hn::Set(d, maximum > kNothing ? kGreatest / maximum : 0.0f);
  const int64_t step = lanes();
  int64_t i = 0;
  for (; finite && i + step <= n; i += step) {
    const auto whole = hn::NearestInt(hn::Mul(load_whole(from + i), factor));
    hn::StoreU(hn::DemoteTo(bytes, whole), bytes, to + i);
  }
  if (finite && i < n) {
    int8_t part[HWY_LANES(float)];
    hn::StoreU(hn::DemoteTo(bytes, hn::NearestInt(hn::Mul(load_part(from + i, n - i), factor))),
               bytes, part);
    std::memcpy(to + i, part, static_cast<size_t>(n - i));
  }
  if (!finite) {
    std::memset(to, 0, static_cast<size_t>(n));
    return std::numeric_limits<float>::quiet_NaN();
  }
  return maximum > kNothing ? maximum / kGreatest : 0.0f;
}

void to_bf16(const float* from, BFloat16* to, int64_t n) {
  convert_span(from, to, n);
}

void from_bf16(const BFloat16* from, float* to, int64_t n) {
  convert_span(from, to, n);
}

float quantize_f32(const float* from, int8_t* to, int64_t n) {
  return quantize_span(from, to, n);
}

float quantize_bf16(const BFloat16* from, int8_t* to, int64_t n) {
  return quantize_span(from, to, n);
}

HWY_INLINE Vec load_sums(const int32_t* from) {
  return hn::ConvertTo(F(), hn::LoadU(I(), from));
}
HWY_INLINE Vec load_sums(const float* from) {
  return hn::LoadU(F(), from);
}

template <typename T>
HWY_INLINE void dequantize_span(const T* from, float row_scale, const float* column_scales,
                                float* to, int64_t n) {
  const F d;
  const Vec row = hn::Set(d, row_scale);
  const int64_t step = lanes();
  int64_t i = 0;
  for (; i + step <= n; i += step) {
    hn::StoreU(hn::Mul(load_sums(from + i), hn::Mul(row, hn::LoadU(d, column_scales + i))), d,
               to + i);
  }
  for (; i < n; ++i) to[i] = static_cast<float>(from[i]) * (row_scale * column_scales[i]);
}

void dequantize_i32(const int32_t* from, float row_scale, const float* column_scales, float* to,
                    int64_t n) {
  dequantize_span(from, row_scale, column_scales, to, n);
}

void dequantize_f32(const float* from, float row_scale, const float* column_scales, float* to,
                    int64_t n) {
  dequantize_span(from, row_scale, column_scales, to, n);
}

}  // namespace
}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(to_bf16);
HWY_EXPORT(from_bf16);
HWY_EXPORT(quantize_f32);
HWY_EXPORT(quantize_bf16);
HWY_EXPORT(dequantize_i32);
HWY_EXPORT(dequantize_f32);

namespace kernels {

void convert(const float* from, BFloat16* to, int64_t n) {
  HWY_DYNAMIC_DISPATCH(to_bf16)(from, to, n);
}

void convert(const BFloat16* from, float* to, int64_t n) {
  HWY_DYNAMIC_DISPATCH(from_bf16)(from, to, n);
}

void convert(const int8_t* from, float* to, int64_t n) {
  std::copy_n(from, n, to);
}

float quantize(const float* from, int8_t* to, int64_t n) {
  return HWY_DYNAMIC_DISPATCH(quantize_f32)(from, to, n);
}

float quantize(const BFloat16* from, int8_t* to, int64_t n) {
  return HWY_DYNAMIC_DISPATCH(quantize_bf16)(from, to, n);
}

void dequantize(const int32_t* from, float row_scale, const float* column_scales, float* to,
                int64_t n) {
  HWY_DYNAMIC_DISPATCH(dequantize_i32)(from, row_scale, column_scales, to, n);
}

void dequantize(const float* from, float row_scale, const float* column_scales, float* to,
                int64_t n) {
  HWY_DYNAMIC_DISPATCH(dequantize_f32)(from, row_scale, column_scales, to, n);
}

}  // namespace kernels
}  // namespace heddle
#endif
