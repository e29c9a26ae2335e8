// What stands between bf16 rows and AMX's tiles (amx.h): rows packed as B, and C's rows rounded to
// bf16. AVX-512 with its bf16 conversions: included where HWY_TARGET is HWY_AVX3, to be called
// where amx_available().
#if defined(HEDDLE_OPS_AMX_PANELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HEDDLE_OPS_AMX_PANELS_INL_H_
#undef HEDDLE_OPS_AMX_PANELS_INL_H_
#else
#define HEDDLE_OPS_AMX_PANELS_INL_H_
#endif

#include <immintrin.h>

#include "framework/ops/detail/amx.h"
#include "framework/ops/detail/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

// Rows of bf16: `data` at the first; `stride` elements from one to the next.
struct Bf16Rows {
  const BFloat16* data;
  int64_t stride;

  const BFloat16* row(int64_t i) const { return data + i * stride; }
};

// 32 bf16: those of `low`, then those of `high`. Rounded to nearest even; denormals become zero.
// Highway does not enable AVX512-BF16 with AVX-512, hence by name.
HWY_INLINE __m512i round_to_bf16(__m512 low, __m512 high) {
  __m512i both;
  __asm__("vcvtne2ps2bf16 %2, %1, %0" : "=v"(both) : "v"(high), "v"(low));
  return both;
}

// The transpose of 16 x 16 pairs of bf16; its rows are `stride` elements apart.
HWY_INLINE void transpose_pairs(const BFloat16* const (&rows)[16], int64_t column, BFloat16* to,
                                int64_t stride) {
  for (int64_t quarter = 0; quarter < 4; ++quarter, to += 4 * stride) {
    // Each 128 bits of v[i] are four pairs of row 4 * lane + i.
    __m512 v[4];
    for (int64_t i = 0; i < 4; ++i) {
      const auto part = [&](int64_t lane) HWY_ATTR {
        return _mm_loadu_ps(
            reinterpret_cast<const float*>(rows[4 * lane + i] + column + 8 * quarter));
      };
      v[i] = _mm512_castps128_ps512(part(0));
      v[i] = _mm512_insertf32x4(v[i], part(1), 1);
      v[i] = _mm512_insertf32x4(v[i], part(2), 2);
      v[i] = _mm512_insertf32x4(v[i], part(3), 3);
    }
    const __m512d low01 = _mm512_castps_pd(_mm512_unpacklo_ps(v[0], v[1]));
    const __m512d high01 = _mm512_castps_pd(_mm512_unpackhi_ps(v[0], v[1]));
    const __m512d low23 = _mm512_castps_pd(_mm512_unpacklo_ps(v[2], v[3]));
    const __m512d high23 = _mm512_castps_pd(_mm512_unpackhi_ps(v[2], v[3]));
    _mm512_store_pd(to, _mm512_unpacklo_pd(low01, low23));
    _mm512_store_pd(to + stride, _mm512_unpackhi_pd(low01, low23));
    _mm512_store_pd(to + 2 * stride, _mm512_unpacklo_pd(high01, high23));
    _mm512_store_pd(to + 3 * stride, _mm512_unpackhi_pd(high01, high23));
  }
}

// The rows of x [n, d] as B [d, n], the transpose. The columns from n to the next multiple of 16
// are rows behind x as far as there are any, `rows` with x's own, and then copies of the last.
HWY_INLINE AmxB pack_transposed_pairs(const Bf16Rows& x, int64_t n, int64_t rows, int64_t d,
                                      BFloat16* panels) {
  BFloat16* to = panels;
  for (int64_t j = 0; j < n; j += kAmxColumns) {
    const BFloat16* from[16] = {x.row(j)};
    if (j + kAmxColumns <= rows) {
      for (int64_t i = 1; i < 16; ++i) from[i] = from[i - 1] + x.stride;
    } else {
      for (int64_t i = 1; i < 16; ++i) from[i] = from[i - 1] + (j + i < rows ? x.stride : 0);
    }
    for (int64_t c = 0; c < d; c += kAmxDepth, to += kAmxTile) transpose_pairs(from, c, to, 32);
  }
  return {panels, d * kAmxColumns};
}

// The rows of x [n, d] as B [n, d], but its columns in the order of store_unpaired(). Rows beyond n
// are not written, but for one if n is odd, which is zero: they are clear_pairs()'s.
HWY_INLINE AmxB pack_pairs(const Bf16Rows& x, int64_t n, int64_t d, BFloat16* panels) {
  const int64_t panel = (n + kAmxDepth - 1) / kAmxDepth * kAmxTile;
  const auto store = [&](BFloat16* to, __m512i even, __m512i odd) HWY_ATTR {
    _mm512_store_si512(to, _mm512_unpacklo_epi16(even, odd));
    _mm512_store_si512(to + panel, _mm512_unpackhi_epi16(even, odd));
  };
  for (int64_t c = 0; c < d; c += 32) {
    const BFloat16* row = x.data + c;
    BFloat16* to = panels + c / 16 * panel;
    int64_t j = 0;
    for (; j + 2 <= n; j += 2, row += 2 * x.stride, to += 32) {
      store(to, _mm512_loadu_si512(row), _mm512_loadu_si512(row + x.stride));
    }
    if (j < n) store(to, _mm512_loadu_si512(row), _mm512_setzero_si512());
  }
  return {panels, panel};
}

// Zeros for the rows of B [n, d] from n, or n + 1 if n is odd, to the next multiple of 32.
HWY_INLINE void clear_pairs(int64_t n, int64_t d, BFloat16* panels) {
  const int64_t panel = (n + kAmxDepth - 1) / kAmxDepth * kAmxTile;
  for (int64_t c = 0; c < d; c += 16, panels += panel) {
    for (int64_t at = (n + 1) / 2 * 32; at < panel; at += 32) {
      _mm512_store_si512(panels + at, _mm512_setzero_si512());
    }
  }
}

// One row [d] of A B, B from pack_pairs(), times `factor`, as bf16. In each 32 columns of B those
// whose index has bit 2 unset come first.
HWY_INLINE void store_unpaired(const float* from, int64_t d, __m512 factor, BFloat16* to) {
  const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
  for (int64_t c = 0; c < d; c += 32) {
    const __m512 first = _mm512_mul_ps(_mm512_loadu_ps(from + c), factor);
    const __m512 second = _mm512_mul_ps(_mm512_loadu_ps(from + c + 16), factor);
    _mm512_storeu_si512(to + c, _mm512_permutexvar_epi64(order, round_to_bf16(first, second)));
  }
}

// Rows of x [n, d] one after another, for A.
HWY_INLINE AmxA copy_rows(const Bf16Rows& x, int64_t n, int64_t d, BFloat16* to) {
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t c = 0; c < d; c += 32) {
      _mm512_store_si512(to + i * d + c, _mm512_loadu_si512(x.row(i) + c));
    }
  }
  return {to, d};
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HEDDLE_OPS_AMX_PANELS_INL_H_
