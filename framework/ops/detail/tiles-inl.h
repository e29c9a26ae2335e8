// Small matrix products in registers, C = A B: what attention is made of.
//
// B lies in panels of two vectors' columns; a tile of C, a few rows by one panel, stays in
// registers while A's elements are broadcast. Each element of C is one chain of multiply-adds in
// the order of k, whatever the tiles are. Included once for each instruction set.
#if defined(HEDDLE_OPS_TILES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HEDDLE_OPS_TILES_INL_H_
#undef HEDDLE_OPS_TILES_INL_H_
#else
#define HEDDLE_OPS_TILES_INL_H_
#endif

#include <array>
#include <type_traits>
#include <utility>

#include "framework/ops/detail/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {

// Rows of a tile: 2 * rows accumulators, two vectors of B and one of A are in registers. Sixteen
// accumulators hide the latency of AVX-512; each more is another function to compile.
#if HWY_TARGET <= HWY_AVX3
constexpr int kTileRows = 8;
#elif HWY_TARGET <= HWY_AVX2
constexpr int kTileRows = 6;
#else
constexpr int kTileRows = 4;
#endif

HWY_INLINE int64_t round_up(int64_t n, int64_t step) {
  return (n + step - 1) / step * step;
}

// A [M, K]: element (m, k) is data[m * row + k * depth].
struct TileA {
  const float* data;
  int64_t row, depth;
};

// B [K, N]: element (k, n) is data[n / P * panel + k * step + n % P], P = 2 vectors. What is beyond
// N in N's last vector may be read.
struct TileB {
  const float* data;
  int64_t step, panel;
};

// C [M, N], each row times row_scale[m] if that is not null. `accumulate` continues C's chains.
struct TileC {
  float* data;
  int64_t stride;
  bool accumulate = false;
  const float* row_scale = nullptr;
};

// body(0), …, body(kCount - 1) with constants: what they index stays in registers.
template <int kCount, typename Body>
HWY_INLINE void unrolled(Body&& body) {
  [&]<int... i>(std::integer_sequence<int, i...>) HWY_ATTR {
    (body(std::integral_constant<int, i>()), ...);
  }
  (std::make_integer_sequence<int, kCount>());
}

template <int kRows, int kVectors>
void tile(const TileA& a, const float* b, int64_t b_step, int64_t depth, int64_t columns,
          const TileC& c) {
  const F d;
  const int64_t step = lanes();
  const int64_t last = columns - (kVectors - 1) * step;  // columns of the last vector
  const bool whole = last == step;
  float* const out = c.data;
  const int64_t stride = c.stride;
  const float* element = a.data;
  const int64_t a_row = a.row;
  const int64_t a_depth = a.depth;
  Vec sum[kRows][kVectors];
  if (c.accumulate) {
    unrolled<kRows>([&](auto r) HWY_ATTR {
      unrolled<kVectors>([&](auto v) HWY_ATTR {
        const float* from = out + r * stride + v * step;
        sum[r][v] = v + 1 < kVectors || whole ? hn::LoadU(d, from) : load_part(from, last);
      });
    });
  } else {
    unrolled<kRows>([&](auto r) HWY_ATTR {
      unrolled<kVectors>([&](auto v) HWY_ATTR { sum[r][v] = hn::Zero(d); });
    });
  }
  for (int64_t k = 0; k < depth; ++k, b += b_step, element += a_depth) {
    Vec column[kVectors];
    unrolled<kVectors>([&](auto v) HWY_ATTR { column[v] = hn::LoadU(d, b + v * step); });
    unrolled<kRows>([&](auto r) HWY_ATTR {
      const Vec x = hn::Set(d, element[r * a_row]);
      unrolled<kVectors>([&](auto v) HWY_ATTR { sum[r][v] = hn::MulAdd(x, column[v], sum[r][v]); });
    });
  }
  if (const float* row_scale = c.row_scale) {
    unrolled<kRows>([&](auto r) HWY_ATTR {
      const Vec x = hn::Set(d, row_scale[r]);
      unrolled<kVectors>([&](auto v) HWY_ATTR { sum[r][v] = hn::Mul(sum[r][v], x); });
    });
  }
  unrolled<kRows>([&](auto r) HWY_ATTR {
    unrolled<kVectors>([&](auto v) HWY_ATTR {
      float* to = out + r * stride + v * step;
      if (v + 1 < kVectors || whole)
        hn::StoreU(sum[r][v], d, to);
      else
        store_part(sum[r][v], to, last);
    });
  });
}

using Tile = void (*)(const TileA&, const float*, int64_t, int64_t, int64_t, const TileC&);

template <int kVectors, int... kRows>
constexpr std::array<Tile, sizeof...(kRows)> tiles_of(std::integer_sequence<int, kRows...>) {
  return {&tile<kRows + 1, kVectors>...};
}

// C = A B; all of C's columns [0, columns) are written, and no others.
inline void product(int64_t rows, int64_t columns, int64_t depth, const TileA& a, const TileB& b,
                    const TileC& c) {
  static constexpr auto one = tiles_of<1>(std::make_integer_sequence<int, kTileRows>());
  static constexpr auto two = tiles_of<2>(std::make_integer_sequence<int, kTileRows>());
  const int64_t step = lanes();
  const int64_t count = (rows + kTileRows - 1) / kTileRows;
  for (int64_t t = 0; t < count; ++t) {
    const int64_t row = rows * t / count;
    const auto height = static_cast<size_t>(rows * (t + 1) / count - row);
    const TileA part{a.data + row * a.row, a.row, a.depth};
    for (int64_t n = 0; n < columns; n += 2 * step) {
      const int64_t width = columns - n < 2 * step ? columns - n : 2 * step;
      const TileC out{c.data + row * c.stride + n, c.stride, c.accumulate,
                      c.row_scale ? c.row_scale + row : nullptr};
      const Tile& run = width > step ? two[height - 1] : one[height - 1];
      run(part, b.data + n / (2 * step) * b.panel, b.step, depth, width, out);
    }
  }
}

// Floats that the panels of a [depth, columns] matrix take.
HWY_INLINE int64_t panel_floats(int64_t depth, int64_t columns) {
  return depth * round_up(columns, 2 * lanes());
}

// The rows of x [n, d] as B [n, d].
HWY_INLINE TileB pack_rows(const float* x, int64_t stride, int64_t n, int64_t d, float* panels) {
  const F tag;
  const int64_t step = lanes();
  const int64_t width = 2 * step;
  for (int64_t j = 0; j < n; ++j) {
    const float* row = x + j * stride;
    for (int64_t c = 0; c < d; c += step) {
      const Vec v = c + step <= d ? hn::LoadU(tag, row + c) : load_part(row + c, d - c);
      hn::Store(v, tag, panels + c / width * n * width + j * width + c % width);
    }
  }
  return {panels, width, n * width};
}

// The rows of x [n, d] as B [d, n], the transpose; columns from n to the end of n's last vector are
// zero.
HWY_INLINE TileB pack_transposed(const float* x, int64_t stride, int64_t n, int64_t d,
                                 float* panels) {
  const int64_t width = 2 * lanes();
#if HWY_TARGET == HWY_SCALAR
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t c = 0; c < d; ++c)
      panels[j / width * width * d + c * width + j % width] = x[j * stride + c];
  }
#else
  const hn::FixedTag<float, 4> d4;
  const hn::RepartitionToWide<decltype(d4)> d2;
  HWY_ALIGN static constexpr float kZeros[4] = {};
  const int64_t end = round_up(n, lanes());
  for (int64_t j = 0; j < end; j += 4) {  // blocks of 4 x 4
    float* panel = panels + j / width * width * d + j % width;
    const float* rows[4];
    int64_t steps[4];  // a row that is not there is zeros, again and again
    for (int64_t i = 0; i < 4; ++i) {
      rows[i] = j + i < n ? x + (j + i) * stride : kZeros;
      steps[i] = j + i < n ? 1 : 0;
    }
    for (int64_t c = 0; c + 4 <= d; c += 4) {
      const auto a0 = hn::LoadU(d4, rows[0] + c * steps[0]);
      const auto a1 = hn::LoadU(d4, rows[1] + c * steps[1]);
      const auto a2 = hn::LoadU(d4, rows[2] + c * steps[2]);
      const auto a3 = hn::LoadU(d4, rows[3] + c * steps[3]);
      const auto l01 = hn::BitCast(d2, hn::InterleaveLower(d4, a0, a1));
      const auto u01 = hn::BitCast(d2, hn::InterleaveUpper(d4, a0, a1));
      const auto l23 = hn::BitCast(d2, hn::InterleaveLower(d4, a2, a3));
      const auto u23 = hn::BitCast(d2, hn::InterleaveUpper(d4, a2, a3));
      float* to = panel + c * width;
      hn::StoreU(hn::BitCast(d4, hn::InterleaveLower(d2, l01, l23)), d4, to);
      hn::StoreU(hn::BitCast(d4, hn::InterleaveUpper(d2, l01, l23)), d4, to + width);
      hn::StoreU(hn::BitCast(d4, hn::InterleaveLower(d2, u01, u23)), d4, to + 2 * width);
      hn::StoreU(hn::BitCast(d4, hn::InterleaveUpper(d2, u01, u23)), d4, to + 3 * width);
    }
    for (int64_t c = d / 4 * 4; c < d; ++c) {
      for (int64_t i = 0; i < 4; ++i) panel[c * width + i] = rows[i][c * steps[i]];
    }
  }
#endif
  return {panels, width, d * width};
}

}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HEDDLE_OPS_TILES_INL_H_
