// The gradients of a Linear's weight and bias on AMX's tiles: bf16 operands, sums in f32. Included
// by weight_gradient.cpp, whose for_merges() it calls, where HWY_TARGET is HWY_AVX3; to be called
// where amx_available().
#if defined(HEDDLE_OPS_WEIGHT_GRADIENT_AMX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HEDDLE_OPS_WEIGHT_GRADIENT_AMX_INL_H_
#undef HEDDLE_OPS_WEIGHT_GRADIENT_AMX_INL_H_
#else
#define HEDDLE_OPS_WEIGHT_GRADIENT_AMX_INL_H_
#endif

#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <span>
#include <vector>

#include "framework/device/allocator.h"
#include "framework/ops/detail/amx_panels-inl.h"
#include "framework/ops/detail/amx_tiles-inl.h"
#include "framework/ops/detail/divide_up.h"
#include "framework/ops/detail/second_cache.h"
#include "framework/ops/detail/simd-inl.h"
#include "framework/ops/detail/weight_gradient.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {
namespace {

// Sizes of dw that the tiles divide. What is packed together, so many rows of a leaf and as many
// columns, is read by whole lines.
constexpr int64_t kAmxUnit = 32;
// dw is made strip by strip, each so many outputs high: its x stays in L2 and, if there is one
// leaf, of its dy so many rows at a time in L1.
constexpr int64_t kAmxOutputs = amx::kBlockRows;
constexpr int64_t kMostBlocks = 8;  // of a strip, beside one another
constexpr int64_t kPartRows = 512;
// Columns that are packed by one task, at most.
constexpr int64_t kBandColumns = 512;

// Where each leaf's rows lie among the packed ones: whole tiles, zeros after the last row.
std::vector<int64_t> padded_leaves(std::span<const int64_t> leaves) {
  std::vector<int64_t> offsets = {0};
  for (size_t i = 0; i + 1 < leaves.size(); ++i) {
    const int64_t rows = leaves[i + 1] - leaves[i];
    offsets.push_back(offsets.back() + divide_up(rows, kAmxDepth) * kAmxDepth);
  }
  return offsets;
}

// 32 columns of two rows, as 16 pairs and 16 more. `rows` is how many there are.
struct PairedLines {
  __m512i left, right;
};

HWY_INLINE PairedLines pair_lines(const BFloat16* row, int64_t stride, int64_t rows) {
  alignas(64) static constexpr uint16_t kLeft[32] = {0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,
                                                     37, 6,  38, 7,  39, 8,  40, 9,  41, 10, 42,
                                                     11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  const __m512i left = _mm512_load_si512(kLeft);
  const __m512i right = _mm512_add_epi16(left, _mm512_set1_epi16(16));
  const __m512i none = _mm512_setzero_si512();
  const __m512i first = rows > 0 ? _mm512_loadu_si512(row) : none;
  const __m512i second = rows > 1 ? _mm512_loadu_si512(row + stride) : none;
  return {_mm512_permutex2var_epi16(first, left, second),
          _mm512_permutex2var_epi16(first, right, second)};
}

// A unit of a matrix [.., stride], from its first element on; `rows` of its rows are there.
struct AmxUnit {
  const BFloat16* data;
  int64_t stride;
  int64_t rows;

  HWY_INLINE PairedLines pair(int64_t i) const {
    return pair_lines(data + 2 * i * stride, stride, rows - 2 * i);
  }
  // What is packed in a while. The hardware does not foresee rows that are far apart.
  HWY_INLINE void prefetch() const {
    for (int64_t r = 0; r < rows; ++r) _mm_prefetch(data + r * stride + 64, _MM_HINT_T0);
  }
  // Adds its rows to `sums` [32], one after another.
  HWY_INLINE void add_rows(float* sums) const {
    const F d;
    Vec low = hn::Load(d, sums), high = hn::Load(d, sums + 16);
    for (int64_t r = 0; r < rows; ++r) {
      low = hn::Add(low, load_whole(data + r * stride));
      high = hn::Add(high, load_whole(data + r * stride + 16));
    }
    hn::Store(low, d, sums);
    hn::Store(high, d, sums + 16);
  }
};

// dy, transposed, as tiles of A: the second 16 columns go `below` behind the first.
HWY_INLINE void pack_dy(const AmxUnit& unit, BFloat16* to, int64_t below) {
  alignas(64) BFloat16 left[16][kAmxDepth], right[16][kAmxDepth];
  const BFloat16 *lefts[16], *rights[16];
  for (int64_t i = 0; i < 16; ++i) {
    const PairedLines pair = unit.pair(i);
    _mm512_store_si512(left[i], pair.left);
    _mm512_store_si512(right[i], pair.right);
    lefts[i] = left[i];
    rights[i] = right[i];
  }
  transpose_pairs(lefts, 0, to, kAmxDepth);
  transpose_pairs(rights, 0, to + below, kAmxDepth);
}

// x as tiles of B.
HWY_INLINE void pack_x(const AmxUnit& unit, BFloat16* to, int64_t panel) {
  for (int64_t i = 0; i < 16; ++i, to += 32) {
    const PairedLines pair = unit.pair(i);
    _mm512_store_si512(to, pair.left);
    _mm512_store_si512(to + panel, pair.right);
  }
}

// dy and x in tiles. 16 columns are a panel of packed rows, tile by tile.
struct AmxOperands {
  std::vector<int64_t> leaves;  // of the packed rows
  int64_t panel;                // elements
  BFloat16* dy = nullptr;       // as A
  BFloat16* x = nullptr;        // as B

  explicit AmxOperands(const kernels::WeightGradient& g)
      : leaves(padded_leaves(g.leaves)), panel(leaves.back() * kAmxColumns) {}

  // Where the tiles of 16 columns have a row that is the first of one.
  int64_t at(int64_t column, int64_t row) const {
    return column / kAmxColumns * panel + row * kAmxColumns;
  }
  // Of both, packed.
  int64_t bytes(const kernels::WeightGradient& g) const {
    return (g.outputs + g.inputs) * leaves.back() * kNumber;
  }
  amx::TilesOfA a(int64_t output, int64_t row) const {
    return {.data = dy + at(output, row),
            .stride = kAmxRowBytes,
            .below = panel * kNumber,
            .step = kAmxTileBytes};
  }
  amx::TilesOfB b(int64_t input, int64_t row) const {
    return {x + at(input, row), panel * kNumber};
  }

 private:
  static constexpr int64_t kNumber = sizeof(BFloat16);
};

// The sums of a band's columns over a leaf, and what waits at each level of the leaves' tree.
class BandSums {
 public:
  BandSums(int64_t leaves, float* to, int64_t columns)
      : leaves_(leaves),
        to_(to),
        columns_(columns),
        memory_(allocate(bytes(leaves))),
        sums_(reinterpret_cast<float*>(memory_.get())) {
    std::fill_n(sums_, kBandColumns, 0.0f);
  }

  static int64_t bytes(int64_t leaves) {
    return (levels_of(leaves) + 1) * kBandColumns * static_cast<int64_t>(sizeof(float));
  }

  float* leaf() { return sums_; }
  void end_leaf(int64_t leaf) {
    const bool last = leaf + 1 == leaves_;
    const int level = for_merges(leaf, last, [&](int l) {
      for (int64_t i = 0; i < columns_; ++i) sums_[i] = kept(l)[i] + sums_[i];
    });
    std::copy_n(sums_, columns_, last ? to_ : kept(level));
    std::fill_n(sums_, columns_, 0.0f);
  }

 private:
  float* kept(int level) { return sums_ + (level + 1) * kBandColumns; }

  int64_t leaves_;
  float* to_;
  int64_t columns_;
  std::shared_ptr<std::byte> memory_;
  float* sums_;
};

// Columns [first, last) of a matrix whose rows are `stride` apart.
struct AmxBand {
  const void* data;
  int64_t stride;
  int64_t first, last;

  // Calls pack(unit, column, row) for its units, with the place of their packed rows, and
  // end_leaf(leaf).
  template <typename Pack, typename EndLeaf>
  HWY_INLINE void for_units(std::span<const int64_t> leaves, std::span<const int64_t> padded,
                            Pack&& pack, EndLeaf&& end_leaf) const {
    const auto* from = static_cast<const BFloat16*>(data);
    for (size_t leaf = 0; leaf + 1 < leaves.size(); ++leaf) {
      int64_t row = leaves[leaf];
      for (int64_t k = padded[leaf]; k < padded[leaf + 1]; k += kAmxUnit, row += kAmxUnit) {
        const int64_t rows = std::min(kAmxUnit, leaves[leaf + 1] - row);
        for (int64_t c = first; c < last; c += kAmxUnit) {
          const AmxUnit unit = {from + row * stride + c, stride, rows};
          unit.prefetch();
          pack(unit, c, k);
        }
      }
      end_leaf(static_cast<int64_t>(leaf));
    }
  }
};

// With the sums of its columns, if they are wanted, while they are in cache.
void pack_dy_band(const AmxBand& band, const kernels::WeightGradient& g, const AmxOperands& to) {
  const auto pack = [&](const AmxUnit& unit, int64_t column, int64_t row)
                        HWY_ATTR { pack_dy(unit, to.dy + to.at(column, row), to.panel); };
  if (!g.db) return band.for_units(g.leaves, to.leaves, pack, [](int64_t) {});
  BandSums sums(static_cast<int64_t>(g.leaves.size()) - 1, g.db + band.first,
                band.last - band.first);
  band.for_units(
      g.leaves, to.leaves,
      [&](const AmxUnit& unit, int64_t column, int64_t row) HWY_ATTR {
        pack(unit, column, row);
        unit.add_rows(sums.leaf() + column - band.first);
      },
      [&](int64_t leaf) { sums.end_leaf(leaf); });
}

void pack_x_band(const AmxBand& band, const kernels::WeightGradient& g, const AmxOperands& to) {
  band.for_units(
      g.leaves, to.leaves,
      [&](const AmxUnit& unit, int64_t column, int64_t row)
          HWY_ATTR { pack_x(unit, to.x + to.at(column, row), to.panel); },
      [](int64_t) {});
}

// Inputs of a strip: all rows of its x take half of L2.
int64_t strip_inputs(int64_t rows) {
  const int64_t columns =
      half_of_second_cache() / (std::max<int64_t>(1, rows) * int64_t{sizeof(BFloat16)});
  return std::clamp<int64_t>(columns / amx::kBlockColumns, 1, kMostBlocks) * amx::kBlockColumns;
}

// Strips of dw, one after another, each block by block. While the tiles make a leaf's share of a
// block, the share before goes up the leaves' tree. dw is much larger than the caches and not read
// soon: its blocks are written past them.
class BlockStream {
 public:
  BlockStream(const AmxOperands& operands, float* dw, int64_t inputs)
      : operands_(operands),
        leaves_(static_cast<int64_t>(operands.leaves.size()) - 1),
        dw_(dw),
        inputs_(inputs),
        aligned_(reinterpret_cast<uintptr_t>(dw) % 64 == 0),
        memory_(allocate(bytes(leaves_))),
        blocks_(reinterpret_cast<float*>(memory_.get())) {}

  // Of memory: for a share of each block, or for a share and what waits at each level of the tree.
  static int64_t bytes(int64_t leaves) {
    return std::max(kMostBlocks, levels_of(leaves) + 1) * kBlock *
           static_cast<int64_t>(sizeof(float));
  }

  void make(int64_t output, int64_t input, int64_t end) {
    if (leaves_ > 1) {
      for (; input < end; input += amx::kBlockColumns) {
        for (int64_t leaf = 0; leaf < leaves_; ++leaf) make_leaf(leaf, output, input);
      }
      return;
    }
    const int64_t rows = operands_.leaves.back();
    for (int64_t begin = 0; begin == 0 || begin < rows; begin += kPartRows) {
      const Rows part = {begin, std::min(begin + kPartRows, rows)};
      float* block = blocks_;
      for (int64_t i = input; i < end; i += amx::kBlockColumns, block += kBlock) {
        make_share(output, i, part, {.data = block, .continues = begin > 0});
        if (part.end == rows) share_ = {.from = block, .to = dw_ + output * inputs_ + i};
      }
    }
  }
  void finish() {
    for (int64_t row = 0; share_.from && row < kAmxOutputs; ++row) write(row);
    _mm_sfence();
  }

 private:
  static constexpr int64_t kBlock = kAmxOutputs * amx::kBlockColumns;

  // Packed ones of a leaf.
  struct Rows {
    int64_t begin, end;
  };

  // What the tiles have made of a block, and what it is the right of.
  struct Share {
    const float* from = nullptr;
    float* to = nullptr;  // in dw, or where it is kept
    bool kept = false;
    int lefts = 0;
    const float* left[kLevels];
  };

  float* kept(int level) { return blocks_ + (level + 1) * kBlock; }

  void make_leaf(int64_t leaf, int64_t output, int64_t input) {
    const auto at = static_cast<size_t>(leaf);
    const bool last = leaf + 1 == leaves_;
    // What is merged with nothing yet is made where it is kept.
    const bool alone = leaf % 2 == 0 && !last;
    float* block = alone ? kept(0) : blocks_;
    make_share(output, input, {operands_.leaves[at], operands_.leaves[at + 1]}, {.data = block});
    if (alone) return;
    share_.from = block;
    const int level = for_merges(leaf, last, [&](int l) { share_.left[share_.lefts++] = kept(l); });
    share_.kept = !last;
    share_.to = last ? dw_ + output * inputs_ + input : kept(level);
  }

  void make_share(int64_t output, int64_t input, const Rows& rows, const amx::BlockOfC& block) {
    amx::block_beside<2>((rows.end - rows.begin) / kAmxDepth, operands_.a(output, rows.begin),
                         operands_.b(input, rows.begin), block, share_.from ? kAmxOutputs : 0,
                         [&](int64_t row) HWY_ATTR { write(row); });
    share_.from = nullptr;
    share_.lefts = 0;
  }

  HWY_INLINE void write(int64_t row) const {
    const int64_t at = row * amx::kBlockColumns;
    __m512 low = _mm512_load_ps(share_.from + at), high = _mm512_load_ps(share_.from + at + 16);
    for (int i = 0; i < share_.lefts; ++i) {
      low = _mm512_add_ps(_mm512_load_ps(share_.left[i] + at), low);
      high = _mm512_add_ps(_mm512_load_ps(share_.left[i] + at + 16), high);
    }
    float* to = share_.to + row * (share_.kept ? amx::kBlockColumns : inputs_);
    if (share_.kept) {
      _mm512_store_ps(to, low);
      _mm512_store_ps(to + 16, high);
    } else if (aligned_) {
      _mm512_stream_ps(to, low);
      _mm512_stream_ps(to + 16, high);
    } else {
      _mm512_storeu_ps(to, low);
      _mm512_storeu_ps(to + 16, high);
    }
  }

  const AmxOperands& operands_;
  int64_t leaves_;
  float* dw_;
  int64_t inputs_;
  bool aligned_;
  std::shared_ptr<std::byte> memory_;
  float* blocks_;
  Share share_;  // not yet written to where it goes
};

bool amx_weight_gradient_fits(const kernels::WeightGradient& g) {
  return g.type == DType::kBF16 && g.outputs % kAmxUnit == 0 && g.inputs % kAmxUnit == 0 &&
         amx_available();
}

int64_t amx_scratch(const kernels::WeightGradient& g) {
  const auto leaves = static_cast<int64_t>(g.leaves.size()) - 1;
  return AmxOperands(g).bytes(g) + std::max(BlockStream::bytes(leaves), BandSums::bytes(leaves));
}

// dw, and db if there is one.
void amx_weight_gradient(const Cpu& on, const kernels::WeightGradient& g) {
  AmxOperands operands(g);
  const std::shared_ptr<std::byte> memory = allocate(operands.bytes(g));
  operands.dy = reinterpret_cast<BFloat16*>(memory.get());
  operands.x = operands.dy + operands.at(g.outputs, 0);
  const int64_t units = divide_up((g.outputs + g.inputs) / kAmxUnit, 4 * on.threads());
  const int64_t columns =
      on.threads() == 1 ? kBandColumns : std::min(units * kAmxUnit, kBandColumns);
  const int64_t bands = divide_up(g.outputs, columns);
  on.parallel_for(bands + divide_up(g.inputs, columns), [&](int64_t task) {
    const bool is_dy = task < bands;
    const int64_t first = (is_dy ? task : task - bands) * columns;
    const int64_t all = is_dy ? g.outputs : g.inputs;
    const AmxBand band = {is_dy ? g.dy : g.x, all, first, std::min(first + columns, all)};
    is_dy ? pack_dy_band(band, g, operands) : pack_x_band(band, g, operands);
  });
  const int64_t out_blocks = g.outputs / kAmxOutputs;
  const int64_t width = strip_inputs(operands.leaves.back());
  const int64_t strips = out_blocks * divide_up(g.inputs, width);
  // Setting up the tiles takes about as long as a small block: few tasks, each of strips that
  // follow one another, which have the same inputs.
  const int64_t tasks = on.threads() == 1 ? 1 : std::min<int64_t>(strips, 4 * on.threads());
  on.parallel_for(tasks, [&](int64_t task) {
    const AmxTiles tiles;
    BlockStream stream(operands, g.dw, g.inputs);
    for (int64_t i = strips * task / tasks; i < strips * (task + 1) / tasks; ++i) {
      const int64_t input = i / out_blocks * width;
      stream.make(i % out_blocks * kAmxOutputs, input, std::min(input + width, g.inputs));
    }
    stream.finish();
  });
}

}  // namespace
}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HEDDLE_OPS_WEIGHT_GRADIENT_AMX_INL_H_
