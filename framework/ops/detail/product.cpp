#include "framework/ops/detail/product.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "framework/ops/detail/divide_up.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/ops/detail/product.cpp"
#include "framework/ops/detail/simd_targets.h"
// The file is compiled from here on for each instruction set.
#include <hwy/foreach_target.h>

#include "framework/ops/detail/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {
namespace {

constexpr int64_t kLanes = HWY_LANES(float);
// A tile of y is made in registers: so many rows by the vectors of a panel's row. 24 of AVX-512's
// 32 registers hold sums, or 12 of 16. Of the shapes that fit, these read least.
constexpr int64_t kTileRows = kLanes >= 8 ? 6 : 3;
constexpr int64_t kVectors = kLanes == 8 ? 2 : 4;
constexpr int64_t kLine = 16;  // floats of a cache line
// Steps of the depth, 12 cycles each, that it takes to bring a line from the second-level cache.
constexpr int64_t kAhead = 8;

int64_t vectors_of(int64_t columns) {
  return divide_up(columns, kLanes);
}

template <int64_t kRows, int64_t kWidth>
HWY_NOINLINE void make_tile(const kernels::Product& p, int64_t row) {
  const F d;
  const int64_t step = p.step;
  const float* x = p.x + row * p.depth;
  const float* b = p.panel;
  Vec sum[kRows][kWidth];
#pragma GCC unroll 8
  for (int64_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < kWidth; ++v) sum[r][v] = hn::Zero(d);
  }
  for (int64_t k = 0; k < p.depth; ++k, b += step) {
    Vec columns[kWidth];
#pragma GCC unroll 4
    for (int64_t v = 0; v < kWidth; ++v) columns[v] = hn::LoadU(d, b + v * kLanes);
#pragma GCC unroll 4
    for (int64_t c = 0; c < kWidth * kLanes; c += kLine) {
      __builtin_prefetch(b + kAhead * step + c);
    }
#pragma GCC unroll 8
    for (int64_t r = 0; r < kRows; ++r) {
      const Vec xk = hn::Set(d, x[r * p.depth + k]);
#pragma GCC unroll 4
      for (int64_t v = 0; v < kWidth; ++v) sum[r][v] = hn::MulAdd(xk, columns[v], sum[r][v]);
    }
  }
  const int64_t rest = p.columns - (kWidth - 1) * kLanes;
#pragma GCC unroll 8
  for (int64_t r = 0; r < kRows; ++r) {
    float* y = p.y + (row + r) * p.stride;
#pragma GCC unroll 4
    for (int64_t v = 0; v + 1 < kWidth; ++v) hn::StoreU(sum[r][v], d, y + v * kLanes);
    float* last = y + (kWidth - 1) * kLanes;
    if (rest == kLanes) {
      hn::StoreU(sum[r][kWidth - 1], d, last);
    } else {
      store_part(sum[r][kWidth - 1], last, rest);
    }
  }
}

using MakeTile = void (*)(const kernels::Product& p, int64_t row);

// By rows - 1 and vectors - 1.
constexpr auto kTiles = []<size_t... i>(std::index_sequence<i...>) {
  return std::array<MakeTile, sizeof...(i)>{make_tile<i / kVectors + 1, i % kVectors + 1>...};
}
(std::make_index_sequence<kTileRows * kVectors>());

// Tiles of almost the same height: a low one takes nearly as long as a high one.
void product(const kernels::Product& p) {
  const int64_t width = vectors_of(p.columns);
  const int64_t tiles = divide_up(p.rows, kTileRows);
  int64_t row = 0;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t end = p.rows * (tile + 1) / tiles;
    kTiles[static_cast<size_t>((end - row - 1) * kVectors + width - 1)](p, row);
    row = end;
  }
}

int64_t product_columns() {
  return kVectors * kLanes;
}

int64_t panel_width(int64_t columns) {
  return vectors_of(columns) * kLanes;
}

// Cache lines are read and written whole: 16 columns by 16 of the depth. Meanwhile the columns that
// come next, which lie there in a row, are asked for: the hardware does not foresee them.
constexpr int64_t kBlock = 16;

// Column n, from depth k on.
void transpose_column(const float* from, int64_t n, int64_t k, int64_t depth, float* to,
                      int64_t width) {
  for (; k < depth; ++k) to[k * width + n] = from[n * depth + k];
}

#if HWY_TARGET != HWY_SCALAR
// 4 x 4 floats.
HWY_INLINE void transpose_four(const float* from, int64_t from_stride, float* to,
                               int64_t to_stride) {
  const hn::FixedTag<float, 4> d4;
  const hn::RepartitionToWide<decltype(d4)> d2;
  const auto a0 = hn::LoadU(d4, from);
  const auto a1 = hn::LoadU(d4, from + from_stride);
  const auto a2 = hn::LoadU(d4, from + 2 * from_stride);
  const auto a3 = hn::LoadU(d4, from + 3 * from_stride);
  const auto l01 = hn::BitCast(d2, hn::InterleaveLower(d4, a0, a1));
  const auto u01 = hn::BitCast(d2, hn::InterleaveUpper(d4, a0, a1));
  const auto l23 = hn::BitCast(d2, hn::InterleaveLower(d4, a2, a3));
  const auto u23 = hn::BitCast(d2, hn::InterleaveUpper(d4, a2, a3));
  hn::StoreU(hn::BitCast(d4, hn::InterleaveLower(d2, l01, l23)), d4, to);
  hn::StoreU(hn::BitCast(d4, hn::InterleaveUpper(d2, l01, l23)), d4, to + to_stride);
  hn::StoreU(hn::BitCast(d4, hn::InterleaveLower(d2, u01, u23)), d4, to + 2 * to_stride);
  hn::StoreU(hn::BitCast(d4, hn::InterleaveUpper(d2, u01, u23)), d4, to + 3 * to_stride);
}
#endif

void transpose(const float* from, int64_t columns, int64_t depth, float* to, int64_t width) {
  int64_t n = 0;
#if HWY_TARGET != HWY_SCALAR
  for (; n + kBlock <= columns; n += kBlock) {
    const float* rows = from + n * depth;
    int64_t k = 0;
    for (; k + kBlock <= depth; k += kBlock) {
      const float* next = rows + kBlock * (depth + k);
      for (int64_t i = 0; i < kBlock; ++i) __builtin_prefetch(next + i * kBlock, 0, 2);
      for (int64_t i = 0; i < kBlock; i += 4) {
        for (int64_t j = 0; j < kBlock; j += 4) {
          transpose_four(rows + j * depth + k + i, depth, to + (k + i) * width + n + j, width);
        }
      }
    }
    for (int64_t j = n; j < n + kBlock; ++j) transpose_column(from, j, k, depth, to, width);
  }
#endif
  for (; n < columns; ++n) transpose_column(from, n, 0, depth, to, width);
}

void copy_rows(const float* from, const kernels::PlainPanel& shape, float* to, int64_t width) {
  const auto bytes = static_cast<size_t>(shape.columns) * sizeof(float);
  for (int64_t k = 0; k < shape.depth; ++k, from += shape.stride, to += width) {
    if (k + kAhead < shape.depth) {  // the hardware does not foresee rows that are far apart
      for (int64_t n = 0; n < shape.columns; n += kLine) {
        __builtin_prefetch(from + kAhead * shape.stride + n);
      }
    }
    std::memcpy(to, from, bytes);
  }
}

void pack_panel(const float* from, const kernels::PlainPanel& shape, float* to) {
  const int64_t width = panel_width(shape.columns);
  if (shape.stride > 0) {
    copy_rows(from, shape, to, width);
  } else {
    transpose(from, shape.columns, shape.depth, to, width);
  }
  for (int64_t k = 0; shape.columns < width && k < shape.depth; ++k) {
    std::fill(to + k * width + shape.columns, to + (k + 1) * width, 0.0f);
  }
}

}  // namespace
}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(product);
HWY_EXPORT(product_columns);
HWY_EXPORT(panel_width);
HWY_EXPORT(pack_panel);

namespace kernels {

void product(const Product& p) {
  HWY_DYNAMIC_DISPATCH(product)(p);
}

int64_t product_columns() {
  return HWY_DYNAMIC_DISPATCH(product_columns)();
}

int64_t panel_width(int64_t columns) {
  return HWY_DYNAMIC_DISPATCH(panel_width)(columns);
}

void pack_panel(const float* from, const PlainPanel& shape, float* to) {
  HWY_DYNAMIC_DISPATCH(pack_panel)(from, shape, to);
}

}  // namespace kernels
}  // namespace heddle
#endif
