// amx_product() for inlining where shapes are known to the compiler and products are so short that
// a call shows: amx::product(); and blocks that are made while vector instructions run beside:
// amx::block_beside(). x86-64 only; needs no options of the compiler.
#pragma once

#include <algorithm>
#include <cstddef>

#include "framework/ops/detail/amx.h"

namespace heddle::amx {

// The compiler's own functions for these instructions do not tell it that memory is read.
template <int tile>
[[gnu::always_inline]] inline void load(const void* rows, int64_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(rows), "r"(stride), "i"(tile) : "memory");
}

// The same of what is not read again soon: it does not displace from L1 what is.
template <int tile>
[[gnu::always_inline]] inline void load_once(const void* rows, int64_t stride) {
  __asm__ volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" ::"r"(rows), "r"(stride), "i"(tile)
                   : "memory");
}

template <int tile>
[[gnu::always_inline]] inline void store(void* rows, int64_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(rows), "r"(stride), "i"(tile) : "memory");
}

template <int tile>
[[gnu::always_inline]] inline void zero() {
  __asm__ volatile("tilezero %%tmm%c0" ::"i"(tile));
}

template <int c, int a, int b, bool kInt8 = false>
[[gnu::always_inline]] inline void multiply_add() {
  if constexpr (kInt8) {
    __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(c), "i"(a), "i"(b));
  } else {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(c), "i"(a), "i"(b));
  }
}

// A block of C is kRows by kColumns tiles, in registers 0 to 3; A's are in 4 and 5, B's in 6 and 7.
// Memory is counted in bytes: C is at `c`, its rows `stride` apart.
template <int kRows, int kColumns>
[[gnu::always_inline]] inline void zero_c() {
  zero<0>();
  if constexpr (kColumns > 1) zero<1>();
  if constexpr (kRows > 1) zero<2>();
  if constexpr (kRows > 1 && kColumns > 1) zero<3>();
}

template <int kRows, int kColumns>
[[gnu::always_inline]] inline void load_c(const std::byte* c, int64_t stride) {
  const std::byte* const below = c + kAmxRows * stride;
  load<0>(c, stride);
  if constexpr (kColumns > 1) load<1>(c + kAmxRowBytes, stride);
  if constexpr (kRows > 1) load<2>(below, stride);
  if constexpr (kRows > 1 && kColumns > 1) load<3>(below + kAmxRowBytes, stride);
}

template <int kRows, int kColumns>
[[gnu::always_inline]] inline void store_c(std::byte* c, int64_t stride) {
  std::byte* const below = c + kAmxRows * stride;
  store<0>(c, stride);
  if constexpr (kColumns > 1) store<1>(c + kAmxRowBytes, stride);
  if constexpr (kRows > 1) store<2>(below, stride);
  if constexpr (kRows > 1 && kColumns > 1) store<3>(below + kAmxRowBytes, stride);
}

// C += A B for the depth of one tile: A's rows are `stride` apart, the second tile of A begins
// `below` behind the first, that of B `panel`. kOnce: B is not expected in L1 the next time.
template <int kRows, int kColumns, bool kInt8 = false, bool kOnce = false>
[[gnu::always_inline]] inline void multiply_tiles(const std::byte* a, int64_t stride, int64_t below,
                                                  const std::byte* b, int64_t panel) {
  load<4>(a, stride);
  kOnce ? load_once<6>(b, kAmxRowBytes) : load<6>(b, kAmxRowBytes);
  multiply_add<0, 4, 6, kInt8>();
  if constexpr (kColumns > 1) {
    kOnce ? load_once<7>(b + panel, kAmxRowBytes) : load<7>(b + panel, kAmxRowBytes);
    multiply_add<1, 4, 7, kInt8>();
  }
  if constexpr (kRows > 1) {
    load<5>(a + below, stride);
    multiply_add<2, 5, 6, kInt8>();
  }
  if constexpr (kRows > 1 && kColumns > 1) multiply_add<3, 5, 7, kInt8>();
}

template <int kRows, int kColumns>
[[gnu::always_inline]] inline void block(int64_t depth, const AmxA& a, const AmxB& b,
                                         const AmxC& c) {
  constexpr int64_t kNumber = sizeof(BFloat16);
  auto* const to = reinterpret_cast<std::byte*>(c.data);
  const int64_t to_stride = c.stride * static_cast<int64_t>(sizeof(float));
  if (c.accumulate) {
    load_c<kRows, kColumns>(to, to_stride);
  } else {
    zero_c<kRows, kColumns>();
  }
  const auto* rows = reinterpret_cast<const std::byte*>(a.data);
  const auto* panel = reinterpret_cast<const std::byte*>(b.data);
  for (int64_t k = 0; k < depth; k += kAmxDepth) {
    const int64_t stride = a.stride * kNumber;
    multiply_tiles<kRows, kColumns>(rows, stride, kAmxRows * stride, panel, b.panel * kNumber);
    rows += kAmxRowBytes;
    panel += b.step * kNumber;
  }
  store_c<kRows, kColumns>(to, to_stride);
}

template <int kRows>
[[gnu::always_inline]] inline void rows_of_blocks(int64_t columns, int64_t depth, const AmxA& a,
                                                  AmxB b, AmxC c) {
  int64_t n = 0;
  for (; n + 2 * kAmxColumns <= columns; n += 2 * kAmxColumns) {
    block<kRows, 2>(depth, a, b, c);
    b.data += 2 * b.panel;
    c.data += 2 * kAmxColumns;
  }
  if (n < columns) block<kRows, 1>(depth, a, b, c);
}

[[gnu::always_inline]] inline void product(int64_t rows, int64_t columns, int64_t depth,
                                           const AmxA& a, const AmxB& b, const AmxC& c) {
  const auto below = [&](int64_t m) { return AmxC{c.data + m * c.stride, c.stride, c.accumulate}; };
  int64_t m = 0;
  for (; m + 2 * kAmxRows <= rows; m += 2 * kAmxRows) {
    rows_of_blocks<2>(columns, depth, {a.data + m * a.stride, a.stride}, b, below(m));
  }
  if (m < rows) {
    rows_of_blocks<1>(columns, depth, {a.data + m * a.stride, a.stride}, b, below(m));
  }
}

// The largest block of C that fits in the registers.
constexpr int64_t kBlockRows = 2 * kAmxRows;
constexpr int64_t kBlockColumns = 2 * kAmxColumns;

// A [16 kTiles, K] in memory: its rows are `stride` bytes apart, its second tile is `below` behind
// the first and what follows along K `step` behind.
struct TilesOfA {
  const void* data;
  int64_t stride;
  int64_t below;
  int64_t step;

  static TilesOfA rows(const void* data, int64_t stride) {
    return {.data = data, .stride = stride, .below = kAmxRows * stride, .step = kAmxRowBytes};
  }
};

// B [K, 32]: the tiles of 16 columns follow one another, the second 16 are `panel` bytes behind.
struct TilesOfB {
  const void* data;
  int64_t panel;
};

// C [16 kTiles, 32]: its rows lie one after another.
struct BlockOfC {
  void* data;
  bool continues = false;  // its chains go on
};

// C = A B of bf16, summed in f32, or of int8, in i32. Meanwhile finish(row) is called for rows
// [0, rows) of another block, or of what C is before: what it does takes no time if it is short. B
// is not expected in L1 the next time.
template <int kTiles, bool kInt8 = false, typename Finish>
[[gnu::always_inline]] inline void block_beside(int64_t steps, const TilesOfA& a, const TilesOfB& b,
                                                const BlockOfC& c, int64_t rows, Finish&& finish) {
  constexpr int64_t kStride = kBlockColumns * int64_t{sizeof(float)};
  const int64_t rows_a_step = steps == 0 ? 0 : (rows + steps - 1) / steps;
  auto* const to = static_cast<std::byte*>(c.data);
  if (c.continues) {
    load_c<kTiles, 2>(to, kStride);
  } else {
    zero_c<kTiles, 2>();
  }
  const auto* from = static_cast<const std::byte*>(a.data);
  const auto* tiles = static_cast<const std::byte*>(b.data);
  int64_t row = 0;
  for (int64_t step = 0; step < steps; ++step) {
    multiply_tiles<kTiles, 2, kInt8, true>(from, a.stride, a.below, tiles, b.panel);
    for (const int64_t end = std::min(rows, row + rows_a_step); row < end; ++row) finish(row);
    from += a.step;
    tiles += kAmxTileBytes;
  }
  for (; row < rows; ++row) finish(row);  // of a product without depth
  store_c<kTiles, 2>(to, kStride);
}

}  // namespace heddle::amx
