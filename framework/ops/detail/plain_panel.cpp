#include "framework/ops/detail/plain_panel.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/ops/detail/plain_panel.cpp"
#include "framework/ops/detail/simd_targets.h"
// The file is compiled from here on for each instruction set.
#include <hwy/foreach_target.h>

#include "framework/ops/detail/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {
namespace {

// Cache lines are read and written whole: 16 columns by 16 of the depth. Meanwhile the columns that
// come next, which lie there in a row, are asked for: the hardware does not foresee them.
constexpr int64_t kBlock = 16;

// Column n, from depth k on.
void transpose_column(const float* from, int64_t n, int64_t columns, int64_t k, int64_t depth,
                      float* to) {
  for (; k < depth; ++k) to[k * columns + n] = from[n * depth + k];
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

void transpose_panel(const float* from, int64_t columns, int64_t depth, float* to) {
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
          transpose_four(rows + j * depth + k + i, depth, to + (k + i) * columns + n + j, columns);
        }
      }
    }
    for (int64_t j = n; j < n + kBlock; ++j) transpose_column(from, j, columns, k, depth, to);
  }
#endif
  for (; n < columns; ++n) transpose_column(from, n, columns, 0, depth, to);
}

}  // namespace
}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(transpose_panel);

namespace kernels {

void transpose_panel(const float* from, int64_t columns, int64_t depth, float* to) {
  HWY_DYNAMIC_DISPATCH(transpose_panel)(from, columns, depth, to);
}

void copy_panel(const float* from, int64_t columns, int64_t depth, int64_t stride, float* to) {
  constexpr int64_t kAhead = 8;  // rows, which the hardware does not foresee: they are far apart
  constexpr int64_t kLine = 16;  // floats
  const auto bytes = static_cast<size_t>(columns) * sizeof(float);
  for (int64_t k = 0; k < depth; ++k, from += stride, to += columns) {
    if (k + kAhead < depth) {
      for (int64_t n = 0; n < columns; n += kLine) __builtin_prefetch(from + kAhead * stride + n);
    }
    std::memcpy(to, from, bytes);
  }
}

}  // namespace kernels
}  // namespace heddle
#endif
