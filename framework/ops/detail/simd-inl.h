// Loads and stores with tails, sums of lanes, and the elementary functions, for the instruction set
// that Highway compiles the including file for. Included once for each of them: hence no
// `#pragma once`.
//
// Results do not depend on where a span begins: tails are computed by the same instructions on
// vectors whose other lanes are zero.
#if defined(HEDDLE_OPS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HEDDLE_OPS_SIMD_INL_H_
#undef HEDDLE_OPS_SIMD_INL_H_
#else
#define HEDDLE_OPS_SIMD_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "framework/core/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using F = hn::ScalableTag<float>;
using I = hn::RebindToSigned<F>;
using U = hn::RebindToUnsigned<F>;
using Vec = hn::Vec<F>;

HWY_INLINE int64_t lanes() {
  return static_cast<int64_t>(hn::Lanes(F()));
}

// The first n lanes from p, zero in the others; n < lanes.
HWY_INLINE Vec load_part(const float* p, int64_t n) {
  const F d;
#if HWY_MEM_OPS_MIGHT_FAULT
  HWY_ALIGN float part[HWY_LANES(float)] = {};
  std::memcpy(part, p, static_cast<size_t>(n) * sizeof(float));
  return hn::Load(d, part);
#else
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(n)), d, p);
#endif
}

HWY_INLINE void store_part(Vec v, float* p, int64_t n) {
  const F d;
#if HWY_MEM_OPS_MIGHT_FAULT
  HWY_ALIGN float part[HWY_LANES(float)];
  hn::Store(v, d, part);
  std::memcpy(p, part, static_cast<size_t>(n) * sizeof(float));
#else
  hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(n)), d, p);
#endif
}

// The bits of bf16 numbers in the lower halves of 32-bit lanes.
HWY_INLINE auto bf16_bits() {
  return hn::Rebind<uint16_t, U>();
}

HWY_INLINE Vec widen(hn::Vec<U> bits) {
  return hn::BitCast(F(), hn::ShiftLeft<16>(bits));
}

// To nearest, ties to even; NaN stays NaN.
HWY_INLINE auto narrow(Vec v) {
  const U du;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff)));
  const auto quiet = hn::Or(bits, hn::Set(du, 0x400000));
  const auto nan = hn::RebindMask(du, hn::IsNaN(v));
  const auto upper = hn::ShiftRight<16>(hn::IfThenElse(nan, quiet, rounded));
  return hn::TruncateTo(bf16_bits(), upper);
}

HWY_INLINE Vec load_whole(const float* p) {
  return hn::LoadU(F(), p);
}
HWY_INLINE Vec load_whole(const BFloat16* p) {
  const auto bits = hn::LoadU(bf16_bits(), reinterpret_cast<const uint16_t*>(p));
  return widen(hn::PromoteTo(U(), bits));
}
HWY_INLINE void store_whole(Vec v, float* p) {
  hn::StoreU(v, F(), p);
}
HWY_INLINE void store_whole(Vec v, BFloat16* p) {
  hn::StoreU(narrow(v), bf16_bits(), reinterpret_cast<uint16_t*>(p));
}
HWY_INLINE Vec load_part(const BFloat16* p, int64_t n) {
  BFloat16 part[HWY_LANES(float)] = {};
  std::memcpy(part, p, static_cast<size_t>(n) * sizeof(BFloat16));
  return load_whole(part);
}
HWY_INLINE void store_part(Vec v, BFloat16* p, int64_t n) {
  BFloat16 part[HWY_LANES(float)];
  store_whole(v, part);
  std::memcpy(p, part, static_cast<size_t>(n) * sizeof(BFloat16));
}

// Calls body(i, load, store) for the vectors of [0, n): load(p) reads p + i, store(v, p) writes it,
// for p of floats or of bf16 numbers.
template <typename Body>
HWY_INLINE void for_vectors(int64_t n, Body&& body) {
  const int64_t step = lanes();
  int64_t i = 0;
  for (; i + step <= n; i += step) {
    body(
        i, [&](const auto* p) HWY_ATTR { return load_whole(p + i); },
        [&](Vec v, auto* p) HWY_ATTR { store_whole(v, p + i); });
  }
  if (i < n) {
    body(
        i, [&](const auto* p) HWY_ATTR { return load_part(p + i, n - i); },
        [&](Vec v, auto* p) HWY_ATTR { store_part(v, p + i, n - i); });
  }
}

// 2^x for x in [-126, 127]; below that 0, above it is clamped. Relative error 1.2e-7. An object
// holds the coefficients, so that a nest of short loops loads them once. NaN stays NaN: x86's
// minimum and maximum return their second operand then, here and below.
struct Exp2 {
  // Not defaulted: only what is written out is compiled for this instruction set.
  HWY_INLINE Exp2()
      : lowest(hn::Set(F(), -126.0f)),
        highest(hn::Set(F(), 127.0f)),
        shift(hn::Set(F(), 12582912.0f)),
        c6(hn::Set(F(), 0.00015345809515565634f)),
        c5(hn::Set(F(), 0.0013399930903688073f)),
        c4(hn::Set(F(), 0.009618489071726799f)),
        c3(hn::Set(F(), 0.05550328642129898f)),
        c2(hn::Set(F(), 0.24022646248340607f)),
        c1(hn::Set(F(), 0.6931471824645996f)),
        c0(hn::Set(F(), 1.0f)) {}

  HWY_INLINE Vec operator()(Vec x) const {
    const F d;
    const I di;
    const auto underflow = hn::Lt(x, lowest);
    x = hn::Min(highest, hn::Max(lowest, x));
    // Added to 1.5 * 2^23, a number is rounded to an integer, which stands in the lowest bits.
    const Vec shifted = hn::Add(x, shift);
    const Vec f = hn::Sub(x, hn::Sub(shifted, shift));
    Vec p = hn::MulAdd(c6, f, c5);
    p = hn::MulAdd(p, f, c4);
    p = hn::MulAdd(p, f, c3);
    p = hn::MulAdd(p, f, c2);
    p = hn::MulAdd(p, f, c1);
    p = hn::MulAdd(p, f, c0);
    const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted));
    p = hn::BitCast(d, hn::Add(hn::BitCast(di, p), exponent));
    return hn::IfThenZeroElse(underflow, p);
  }

  Vec lowest, highest, shift, c6, c5, c4, c3, c2, c1, c0;
};

// e^x; 0 below -87.3, clamped above 88. The argument is reduced in two parts (Cody and Waite).
HWY_INLINE Vec exp(Vec x) {
  const F d;
  const Vec whole = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504088896f)));
  Vec r = hn::NegMulAdd(whole, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(whole, hn::Set(d, -2.12194440e-4f), r);
  return Exp2()(hn::MulAdd(r, hn::Set(d, 1.44269504088896f), whole));
}

// A rational function x P(x²) / Q(x²), clamped to [-1, 1]; `p` and `q` from the highest power.
template <size_t P, size_t Q>
HWY_INLINE Vec odd_rational(Vec x, float limit, const float (&p)[P], const float (&q)[Q]) {
  const F d;
  x = hn::Min(hn::Set(d, limit), hn::Max(hn::Set(d, -limit), x));
  const Vec u = hn::Mul(x, x);
  Vec above = hn::Set(d, p[0]);
  for (size_t i = 1; i < P; ++i) above = hn::MulAdd(above, u, hn::Set(d, p[i]));
  Vec below = hn::Set(d, q[0]);
  for (size_t i = 1; i < Q; ++i) below = hn::MulAdd(below, u, hn::Set(d, q[i]));
  const Vec y = hn::Div(hn::Mul(x, above), below);
  return hn::Min(hn::Set(d, 1.0f), hn::Max(hn::Set(d, -1.0f), y));
}

// Absolute error 3.5e-7; coefficients by weighted least squares on the relative error.
HWY_INLINE Vec erf(Vec x) {
  constexpr float p[] = {2.0419979591679294e-06f, 0.00028480394394136965f, 0.0037794241216033697f,
                         0.05278971791267395f,    0.19077958166599274f,    1.1283791065216064f};
  constexpr float q[] = {3.800410922849551e-05f, 0.0011651667300611734f, 0.014997068792581558f,
                         0.11425576359033585f,   0.5024067163467407f,    1.0f};
  return odd_rational(x, 3.93f, p, q);
}

// Absolute error 3e-7.
HWY_INLINE Vec tanh(Vec x) {
  constexpr float p[] = {-1.2203626130469214e-11f, 3.058525877008833e-08f, 2.8007565560983494e-05f,
                         0.0038683332968503237f,   0.13679920136928558f,   1.0f};
  constexpr float q[] = {1.287373834202299e-06f, 0.00039386405842378736f, 0.027245858684182167f,
                         0.4701325297355652f, 1.0f};
  return odd_rational(x, 9.02f, p, q);
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HEDDLE_OPS_SIMD_INL_H_
