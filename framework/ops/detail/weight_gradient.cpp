#include "framework/ops/detail/weight_gradient.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <type_traits>

#include "framework/core/error.h"
#include "framework/device/allocator.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/ops/detail/weight_gradient.cpp"
#include "framework/ops/detail/simd_targets.h"
// The file is compiled from here on for each instruction set.
#include <hwy/foreach_target.h>

#include "framework/ops/detail/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {
namespace {

constexpr int64_t kLanes = HWY_LANES(float);
// A tile of dw is made in registers: kTileRows outputs x kTileColumns inputs. 12 of 16 registers
// hold sums, or 24 of AVX-512's 32.
constexpr int64_t kTileRows = kLanes >= 16 ? 12 : 6;
constexpr int64_t kTileColumns = 2 * kLanes;
constexpr int64_t kTile = kTileRows * kTileColumns;
constexpr int kLevels = std::bit_width(kernels::kMostLeaves - 1);
// A task makes kTaskPanels panels of outputs by as many panels of inputs as fit half of an L2.
constexpr int64_t kTaskPanels = 8;
constexpr int64_t kTaskBytes = 256 << 10;
// Column sums are made for as many columns at a time.
constexpr int64_t kSumColumns = 2 * kLanes;

int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// The tree of leaf_tree.h as a binary counter. Calls merge(level), which puts the sum of 2^level
// leaves on the left of the current sum, for what ends with this leaf; for the last one, for all
// that there is. Returns the level at which the current sum is to be kept.
template <typename Merge>
HWY_INLINE int for_merges(int64_t leaf, bool last, Merge merge) {
  int level = 0;
  for (; last ? (leaf >> level) != 0 : (leaf >> level) & 1; ++level) {
    if ((leaf >> level) & 1) merge(level);
  }
  return level;
}

}  // namespace
}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_TARGET == HWY_AVX3
#include "framework/ops/detail/weight_gradient_amx-inl.h"
#endif

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {
namespace {

// Columns [first, first + width) of `from` [rows, columns] as [rows, width] in a row, zeros after
// the last column.
template <int64_t kWidth, typename T>
void pack_panel(const T* from, int64_t rows, int64_t columns, int64_t first, float* to) {
  const int64_t width = std::min(kWidth, columns - first);
  for (int64_t r = 0; r < rows; ++r, to += kWidth) {
    const T* row = from + r * columns + first;
    if constexpr (std::is_same_v<T, BFloat16>) {
      for_vectors(width, [=](int64_t, auto load, auto store) HWY_ATTR { store(load(row), to); });
    } else if (width == kWidth) {
      std::memcpy(to, row, kWidth * sizeof(float));
    } else {
      std::copy_n(row, width, to);
    }
    std::fill(to + width, to + kWidth, 0.0f);
  }
}

// A tile of dw into `to`, whose rows are `stride` apart. dy [rows, kTileRows], x [rows,
// kTileColumns].
HWY_NOINLINE void make_tile(const float* dy, const float* x, std::span<const int64_t> leaves,
                            float* to, int64_t stride) {
  const F d;
  HWY_ALIGN float stack[kLevels][kTile];
  Vec sum[kTileRows][2];
#pragma GCC unroll 16
  for (int64_t i = 0; i < kTileRows; ++i) sum[i][0] = sum[i][1] = hn::Zero(d);
  const auto count = static_cast<int64_t>(leaves.size()) - 1;
  for (int64_t leaf = 0; leaf < count; ++leaf) {
    for (int64_t r = leaves[leaf]; r < leaves[leaf + 1]; ++r) {
      const Vec x0 = hn::Load(d, x + r * kTileColumns);
      const Vec x1 = hn::Load(d, x + r * kTileColumns + kLanes);
      const float* g = dy + r * kTileRows;
#pragma GCC unroll 16
      for (int64_t i = 0; i < kTileRows; ++i) {
        const Vec gi = hn::Set(d, g[i]);
        sum[i][0] = hn::MulAdd(gi, x0, sum[i][0]);
        sum[i][1] = hn::MulAdd(gi, x1, sum[i][1]);
      }
    }
    const int level = for_merges(leaf, leaf + 1 == count, [&](int l) HWY_ATTR {
#pragma GCC unroll 16
      for (int64_t i = 0; i < kTileRows; ++i) {
        const float* left = stack[l] + i * kTileColumns;
        sum[i][0] = hn::Add(hn::Load(d, left), sum[i][0]);
        sum[i][1] = hn::Add(hn::Load(d, left + kLanes), sum[i][1]);
      }
    });
    if (leaf + 1 < count) {
#pragma GCC unroll 16
      for (int64_t i = 0; i < kTileRows; ++i) {
        hn::Store(sum[i][0], d, stack[level] + i * kTileColumns);
        hn::Store(sum[i][1], d, stack[level] + i * kTileColumns + kLanes);
        sum[i][0] = sum[i][1] = hn::Zero(d);
      }
    }
  }
#pragma GCC unroll 16
  for (int64_t i = 0; i < kTileRows; ++i) {
    hn::StoreU(sum[i][0], d, to + i * stride);
    hn::StoreU(sum[i][1], d, to + i * stride + kLanes);
  }
}

// As make_tile, for kSumColumns columns of dy [rows, columns] from `first` on.
template <typename T>
void sum_columns(const T* dy, int64_t columns, int64_t first, std::span<const int64_t> leaves,
                 float* db) {
  const F d;
  const int64_t width = std::min(kSumColumns, columns - first);
  HWY_ALIGN float stack[kLevels][kSumColumns];
  HWY_ALIGN float sum[kSumColumns];
  const auto count = static_cast<int64_t>(leaves.size()) - 1;
  for (int64_t leaf = 0; leaf < count; ++leaf) {
    std::fill_n(sum, kSumColumns, 0.0f);
    if (width == kSumColumns) {
      Vec sum0 = hn::Zero(d), sum1 = hn::Zero(d);
      for (int64_t r = leaves[leaf]; r < leaves[leaf + 1]; ++r) {
        sum0 = hn::Add(sum0, load_whole(dy + r * columns + first));
        sum1 = hn::Add(sum1, load_whole(dy + r * columns + first + kLanes));
      }
      hn::Store(sum0, d, sum);
      hn::Store(sum1, d, sum + kLanes);
    } else {
      for (int64_t r = leaves[leaf]; r < leaves[leaf + 1]; ++r) {
        const T* row = dy + r * columns + first;
        for_vectors(width, [&](int64_t, auto load, auto store)
                               HWY_ATTR { store(hn::Add(load(sum), load(row)), sum); });
      }
    }
    const int level = for_merges(leaf, leaf + 1 == count, [&](int l) HWY_ATTR {
      for (int64_t i = 0; i < kSumColumns; ++i) sum[i] = stack[l][i] + sum[i];
    });
    if (leaf + 1 < count) std::copy_n(sum, kSumColumns, stack[level]);
  }
  std::copy_n(sum, width, db + first);
}

void make_tiles(const Cpu& on, const kernels::WeightGradient& g, const float* dy, const float* x) {
  const int64_t rows = g.leaves.back();
  const int64_t out_panels = divide_up(g.outputs, kTileRows);
  const int64_t in_panels = divide_up(g.inputs, kTileColumns);
  const int64_t panel_bytes = std::max<int64_t>(1, rows) * kTileColumns * int64_t{sizeof(float)};
  const int64_t in_group = std::clamp<int64_t>(kTaskBytes / panel_bytes, 1, in_panels);
  const int64_t in_groups = divide_up(in_panels, in_group);
  on.parallel_for(divide_up(out_panels, kTaskPanels) * in_groups, [&](int64_t task) {
    HWY_ALIGN float edge[kTile];
    const int64_t out_first = task / in_groups * kTaskPanels;
    const int64_t in_first = task % in_groups * in_group;
    for (int64_t o = out_first; o < std::min(out_first + kTaskPanels, out_panels); ++o) {
      for (int64_t i = in_first; i < std::min(in_first + in_group, in_panels); ++i) {
        const float* dy_panel = dy + o * rows * kTileRows;
        const float* x_panel = x + i * rows * kTileColumns;
        float* to = g.dw + o * kTileRows * g.inputs + i * kTileColumns;
        const int64_t height = std::min(kTileRows, g.outputs - o * kTileRows);
        const int64_t width = std::min(kTileColumns, g.inputs - i * kTileColumns);
        if (height == kTileRows && width == kTileColumns) {
          make_tile(dy_panel, x_panel, g.leaves, to, g.inputs);
          continue;
        }
        make_tile(dy_panel, x_panel, g.leaves, edge, kTileColumns);
        for (int64_t r = 0; r < height; ++r) {
          std::copy_n(edge + r * kTileColumns, width, to + r * g.inputs);
        }
      }
    }
  });
}

int64_t scratch(int64_t rows, int64_t outputs, int64_t inputs) {
  const int64_t columns =
      divide_up(inputs, kTileColumns) * kTileColumns + divide_up(outputs, kTileRows) * kTileRows;
  return rows * columns * int64_t{sizeof(float)};
}

template <typename T>
void weight_gradient_of(const Cpu& on, const kernels::WeightGradient& g) {
  const T* from_dy = static_cast<const T*>(g.dy);
  const T* from_x = static_cast<const T*>(g.x);
  const int64_t rows = g.leaves.back();
  const int64_t sums = g.db ? divide_up(g.outputs, kSumColumns) : 0;
  const int64_t out_panels = g.dw ? divide_up(g.outputs, kTileRows) : 0;
  const int64_t in_panels = g.dw ? divide_up(g.inputs, kTileColumns) : 0;
  const int64_t x_size = in_panels * rows * kTileColumns;  // a multiple of a vector
  const int64_t dy_size = out_panels * rows * kTileRows;
  const std::shared_ptr<std::byte> memory =
      allocate((x_size + dy_size) * static_cast<int64_t>(sizeof(float)));
  float* x = reinterpret_cast<float*>(memory.get());
  float* dy = x + x_size;
  on.parallel_for(sums + out_panels + in_panels, [&](int64_t task) {
    if (task < sums) {
      sum_columns(from_dy, g.outputs, task * kSumColumns, g.leaves, g.db);
    } else if (task < sums + out_panels) {
      const int64_t panel = task - sums;
      pack_panel<kTileRows>(from_dy, rows, g.outputs, panel * kTileRows,
                            dy + panel * rows * kTileRows);
    } else {
      const int64_t panel = task - sums - out_panels;
      pack_panel<kTileColumns>(from_x, rows, g.inputs, panel * kTileColumns,
                               x + panel * rows * kTileColumns);
    }
  });
  if (g.dw) make_tiles(on, g, dy, x);
}

void weight_gradient(const Cpu& on, const kernels::WeightGradient& g) {
  kernels::WeightGradient left = g;
#if HWY_TARGET == HWY_AVX3
  if (g.dw && amx_weight_gradient_fits(g)) {
    amx_make_dw(on, g);
    left.dw = nullptr;
  }
#endif
  if (g.type == DType::kBF16) return weight_gradient_of<BFloat16>(on, left);
  weight_gradient_of<float>(on, left);
}

}  // namespace
}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(weight_gradient);
HWY_EXPORT(scratch);

namespace kernels {

void weight_gradient(const Cpu& on, const WeightGradient& gradient) {
  const size_t leaves = gradient.leaves.size() - 1;
  check(!gradient.leaves.empty() && leaves >= 1 && leaves <= kMostLeaves,
        "[weight_gradient] {} leaves. Expected 1 to {}.", leaves, kMostLeaves);
  HWY_DYNAMIC_DISPATCH(weight_gradient)(on, gradient);
}

int64_t weight_gradient_scratch(int64_t rows, int64_t outputs, int64_t inputs) {
  return HWY_DYNAMIC_DISPATCH(scratch)(rows, outputs, inputs);
}

}  // namespace kernels
}  // namespace heddle
#endif
