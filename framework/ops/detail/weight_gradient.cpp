#include "framework/ops/detail/weight_gradient.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>

#include "framework/core/error.h"
#include "framework/device/allocator.h"
#include "framework/ops/detail/divide_up.h"
#include "framework/ops/detail/second_cache.h"

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
// Rows until those that come from the second-level cache are here.
constexpr int64_t kAhead = 8;
constexpr int64_t kLine = 16;  // floats of a cache line
// Column sums are made for as many columns at a time.
constexpr int64_t kSumColumns = 2 * kLanes;

// A panel is the rows' part of a tile. Panels of a group, which is gone through again and again.
template <int64_t kWidth>
int64_t group_of(int64_t rows) {
  const int64_t bytes = std::max<int64_t>(1, rows) * kWidth * int64_t{sizeof(float)};
  return std::max<int64_t>(1, half_of_second_cache() / bytes);
}

// Of the tree of so many leaves.
HWY_INLINE int64_t levels_of(int64_t leaves) {
  return std::bit_width(static_cast<uint64_t>(leaves - 1));
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

HWY_INLINE void copy_as_floats(const float* from, int64_t n, float* to) {
  std::memcpy(to, from, static_cast<size_t>(n) * sizeof(float));
}
HWY_INLINE void copy_as_floats(const BFloat16* from, int64_t n, float* to) {
  for_vectors(n, [=](int64_t, auto load, auto store) HWY_ATTR { store(load(from), to); });
}

// A run of panels, and the memory where the first of them lies.
struct Panels {
  int64_t begin = 0, end = 0;
  float* data = nullptr;

  int64_t count() const { return end - begin; }
};

// The panels of `from` [rows, columns], each [rows, kWidth] in a row, zeros after the last column.
template <int64_t kWidth, typename T>
void pack_panels(const T* from, int64_t rows, int64_t columns, const Panels& panels) {
  const int64_t first = panels.begin * kWidth;
  const int64_t last = std::min(panels.end * kWidth, columns);
  const int64_t whole = (last - first) / kWidth;
  for (int64_t r = 0; r < rows; ++r) {
    const T* row = from + r * columns + first;
    // The hardware does not foresee rows that are far apart.
    for (int64_t c = 0; c < last - first && r + kAhead < rows; c += kLine) {
      __builtin_prefetch(row + kAhead * columns + c);
    }
    float* to = panels.data + r * kWidth;
    for (int64_t p = 0; p < whole; ++p, row += kWidth, to += rows * kWidth) {
      copy_as_floats(row, kWidth, to);
    }
    if (const int64_t rest = last - first - whole * kWidth; rest > 0) {
      copy_as_floats(row, rest, to);
      std::fill(to + rest, to + kWidth, 0.0f);
    }
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
#pragma GCC unroll 2
      for (int64_t c = 0; c < kTileColumns; c += kLine) {
        __builtin_prefetch(x + (r + kAhead) * kTileColumns + c);
      }
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

// The tiles of these panels of dy and x.
void make_tiles(const kernels::WeightGradient& g, const Panels& dy, const Panels& x) {
  HWY_ALIGN float edge[kTile];
  const int64_t rows = g.leaves.back();
  const int64_t group = group_of<kTileColumns>(rows);
  for (int64_t first = x.begin; first < x.end; first += group) {
    for (int64_t o = dy.begin; o < dy.end; ++o) {
      for (int64_t i = first; i < std::min(first + group, x.end); ++i) {
        const float* dy_panel = dy.data + (o - dy.begin) * rows * kTileRows;
        const float* x_panel = x.data + (i - x.begin) * rows * kTileColumns;
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
  }
}

// One of the two operands in panels.
struct Operand {
  int64_t panels, panel_floats, group;
};

// The narrower operand is packed whole; of the other, each group of panels by who makes its tiles,
// so that it need not stay in cache for long.
struct Plan {
  Operand dy, x;
  bool keeps_x;

  Plan(int64_t rows, int64_t outputs, int64_t inputs, int threads)
      : dy(operand<kTileRows>(rows, outputs, threads)),
        x(operand<kTileColumns>(rows, inputs, threads)),
        keeps_x(inputs <= outputs) {}

  const Operand& kept() const { return keeps_x ? x : dy; }
  const Operand& streamed() const { return keeps_x ? dy : x; }

 private:
  template <int64_t kWidth>
  static Operand operand(int64_t rows, int64_t columns, int threads) {
    const int64_t panels = divide_up(columns, kWidth);
    // Each thread gets several groups.
    const int64_t most = threads > 1 ? divide_up(panels, int64_t{4} * threads) : panels;
    return {panels, rows * kWidth, std::min(group_of<kWidth>(rows), most)};
  }
};

std::shared_ptr<std::byte> allocate_floats(int64_t n) {
  return allocate(n * static_cast<int64_t>(sizeof(float)));
}

float* floats(const std::shared_ptr<std::byte>& memory) {
  return reinterpret_cast<float*>(memory.get());
}

int64_t scratch(const kernels::WeightGradient& g) {
#if HWY_TARGET == HWY_AVX3
  if (amx_weight_gradient_fits(g)) return amx_scratch(g);
#endif
  const Plan plan(g.leaves.back(), g.outputs, g.inputs, 1);
  return (plan.kept().panels * plan.kept().panel_floats +
          plan.streamed().group * plan.streamed().panel_floats) *
         static_cast<int64_t>(sizeof(float));
}

template <typename T>
void sum_all_columns(const Cpu& on, const kernels::WeightGradient& g) {
  on.parallel_for(divide_up(g.outputs, kSumColumns), [&](int64_t i) {
    sum_columns(static_cast<const T*>(g.dy), g.outputs, i * kSumColumns, g.leaves, g.db);
  });
}

template <typename T>
void weight_gradient_of(const Cpu& on, const kernels::WeightGradient& g) {
  if (!g.dw && g.db) sum_all_columns<T>(on, g);
  if (!g.dw) return;
  const auto* from_dy = static_cast<const T*>(g.dy);
  const auto* from_x = static_cast<const T*>(g.x);
  const int64_t rows = g.leaves.back();
  const Plan plan(rows, g.outputs, g.inputs, on.threads());
  const auto pack = [&](bool is_x, const Panels& panels) {
    if (is_x) return pack_panels<kTileColumns>(from_x, rows, g.inputs, panels);
    pack_panels<kTileRows>(from_dy, rows, g.outputs, panels);
    // The columns' sums while they are in cache: those that begin here.
    const int64_t last = std::min(panels.end * kTileRows, g.outputs);
    int64_t column = divide_up(panels.begin * kTileRows, kSumColumns) * kSumColumns;
    for (; g.db && column < last; column += kSumColumns) {
      sum_columns(from_dy, g.outputs, column, g.leaves, g.db);
    }
  };
  const auto for_groups = [&](const Operand& operand, auto&& visit) {
    on.parallel_for(divide_up(operand.panels, operand.group), [&](int64_t i) {
      visit(i * operand.group, std::min((i + 1) * operand.group, operand.panels));
    });
  };
  const std::shared_ptr<std::byte> kept_memory =
      allocate_floats(plan.kept().panels * plan.kept().panel_floats);
  const Panels kept{0, plan.kept().panels, floats(kept_memory)};
  for_groups(plan.kept(), [&](int64_t begin, int64_t end) {
    pack(plan.keeps_x, {begin, end, kept.data + begin * plan.kept().panel_floats});
  });
  for_groups(plan.streamed(), [&](int64_t begin, int64_t end) {
    const auto memory = allocate_floats(plan.streamed().group * plan.streamed().panel_floats);
    const Panels streamed{begin, end, floats(memory)};
    pack(!plan.keeps_x, streamed);
    make_tiles(g, plan.keeps_x ? streamed : kept, plan.keeps_x ? kept : streamed);
  });
}

void weight_gradient(const Cpu& on, const kernels::WeightGradient& g) {
#if HWY_TARGET == HWY_AVX3
  if (g.dw && amx_weight_gradient_fits(g)) return amx_weight_gradient(on, g);
#endif
  if (g.type == DType::kBF16) return weight_gradient_of<BFloat16>(on, g);
  weight_gradient_of<float>(on, g);
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

int64_t weight_gradient_scratch(const WeightGradient& gradient) {
  return HWY_DYNAMIC_DISPATCH(scratch)(gradient);
}

}  // namespace kernels
}  // namespace heddle
#endif
