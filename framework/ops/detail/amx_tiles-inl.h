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

// kRows by kColumns tiles of C, in registers 0 to 3; A's are in 4 and 5, B's in 6 and 7.
template <int kRows, int kColumns>
[[gnu::always_inline]] inline void block(int64_t depth, const AmxA& a, const AmxB& b,
                                         const AmxC& c) {
  constexpr int64_t kA = sizeof(BFloat16), kC = sizeof(float);
  float* const right = c.data + kAmxColumns;
  float* const below = c.data + kAmxRows * c.stride;
  if (c.accumulate) {
    load<0>(c.data, c.stride * kC);
    if constexpr (kColumns > 1) load<1>(right, c.stride * kC);
    if constexpr (kRows > 1) load<2>(below, c.stride * kC);
    if constexpr (kRows > 1 && kColumns > 1) load<3>(below + kAmxColumns, c.stride * kC);
  } else {
    zero<0>();
    if constexpr (kColumns > 1) zero<1>();
    if constexpr (kRows > 1) zero<2>();
    if constexpr (kRows > 1 && kColumns > 1) zero<3>();
  }
  const BFloat16* rows = a.data;
  const BFloat16* panel = b.data;
  for (int64_t k = 0; k < depth; k += kAmxDepth, rows += kAmxDepth, panel += b.step) {
    load<4>(rows, a.stride * kA);
    load<6>(panel, 64);
    multiply_add<0, 4, 6>();
    if constexpr (kColumns > 1) {
      load<7>(panel + b.panel, 64);
      multiply_add<1, 4, 7>();
    }
    if constexpr (kRows > 1) {
      load<5>(rows + kAmxRows * a.stride, a.stride * kA);
      multiply_add<2, 5, 6>();
    }
    if constexpr (kRows > 1 && kColumns > 1) multiply_add<3, 5, 7>();
  }
  store<0>(c.data, c.stride * kC);
  if constexpr (kColumns > 1) store<1>(right, c.stride * kC);
  if constexpr (kRows > 1) store<2>(below, c.stride * kC);
  if constexpr (kRows > 1 && kColumns > 1) store<3>(below + kAmxColumns, c.stride * kC);
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

// C [16 kTiles, 32] = A B of bf16, summed in f32, or of int8, in i32; rows of C lie one after
// another. A is at `a`, its rows `stride` bytes apart; the tiles of B's 16 columns follow one
// another, from `b` and from `b + panel` bytes on. Meanwhile finish(row) is called for rows [0,
// rows) of another block: what it does takes no time if it is short. B is not expected in L1 the
// next time.
template <int kTiles, bool kInt8 = false, typename Finish>
[[gnu::always_inline]] inline void block_beside(int64_t steps, const void* a, int64_t stride,
                                                const void* b, int64_t panel, void* c, int64_t rows,
                                                Finish&& finish) {
  constexpr int64_t kStep = 64, kTile = 1024, kBytes = kBlockColumns * 4, kRight = kAmxColumns * 4;
  const int64_t rows_a_step = steps == 0 ? 0 : (rows + steps - 1) / steps;
  zero<0>();
  zero<1>();
  if constexpr (kTiles > 1) {
    zero<2>();
    zero<3>();
  }
  const auto* upper = static_cast<const std::byte*>(a);
  const std::byte* lower = upper + kAmxRows * stride;
  const auto* left = static_cast<const std::byte*>(b);
  const std::byte* right = left + panel;
  int64_t row = 0;
  for (int64_t step = 0; step < steps; ++step) {
    load<4>(upper, stride);
    load_once<6>(left, kStep);
    multiply_add<0, 4, 6, kInt8>();
    load_once<7>(right, kStep);
    multiply_add<1, 4, 7, kInt8>();
    if constexpr (kTiles > 1) {
      load<5>(lower, stride);
      multiply_add<2, 5, 6, kInt8>();
      multiply_add<3, 5, 7, kInt8>();
    }
    for (const int64_t end = std::min(rows, row + rows_a_step); row < end; ++row) finish(row);
    upper += kStep;
    lower += kStep;
    left += kTile;
    right += kTile;
  }
  for (; row < rows; ++row) finish(row);  // of a product without depth
  auto* const to = static_cast<std::byte*>(c);
  store<0>(to, kBytes);
  store<1>(to + kRight, kBytes);
  if constexpr (kTiles > 1) {
    store<2>(to + kAmxRows * kBytes, kBytes);
    store<3>(to + kAmxRows * kBytes + kRight, kBytes);
  }
}

}  // namespace heddle::amx
