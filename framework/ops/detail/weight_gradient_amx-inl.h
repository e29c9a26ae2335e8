// The gradient of a Linear's weight on AMX's tiles: bf16 operands, sums in f32. Included by
// weight_gradient.cpp where HWY_TARGET is HWY_AVX3, to be called where amx_available().
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
#include <vector>

#include "framework/device/allocator.h"
#include "framework/ops/detail/amx_panels-inl.h"
#include "framework/ops/detail/amx_tiles-inl.h"
#include "framework/ops/detail/simd-inl.h"
#include "framework/ops/detail/weight_gradient.h"

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {
namespace {

// Sizes of dw that the tiles divide.
constexpr int64_t kAmxUnit = 32;
// A task makes a block of dw: its x stays in L2, its dy in L1.
constexpr int64_t kAmxOutputs = 32;
constexpr int64_t kAmxInputs = 128;

// Where each leaf's rows lie among the packed ones: whole tiles, zeros after the last row.
std::vector<int64_t> padded_leaves(std::span<const int64_t> leaves) {
  std::vector<int64_t> offsets = {0};
  for (size_t i = 0; i + 1 < leaves.size(); ++i) {
    const int64_t rows = leaves[i + 1] - leaves[i];
    offsets.push_back(offsets.back() + (rows + kAmxDepth - 1) / kAmxDepth * kAmxDepth);
  }
  return offsets;
}

// Two rows of 16 numbers as 16 pairs. `rows` is how many there are.
HWY_INLINE __m512i pair_rows(const BFloat16* row, int64_t stride, int64_t rows) {
  if (rows <= 0) return _mm512_setzero_si512();
  const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row));
  const __m256i second = rows > 1
                             ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + stride))
                             : _mm256_setzero_si256();
  const __m512i low = _mm512_cvtepu16_epi32(first);
  return _mm512_or_si512(low, _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 16));
}

// dy, transposed, as A: 16 of its columns become rows of `to`.
void pack_dy(const BFloat16* from, int64_t columns, std::span<const int64_t> leaves,
             std::span<const int64_t> padded, BFloat16* to, int64_t stride) {
  alignas(64) BFloat16 pairs[16][kAmxDepth];
  const BFloat16* sources[16];
  for (int i = 0; i < 16; ++i) sources[i] = pairs[i];
  for (size_t leaf = 0; leaf + 1 < leaves.size(); ++leaf) {
    int64_t row = leaves[leaf];
    for (int64_t k = padded[leaf]; k < padded[leaf + 1]; k += kAmxDepth) {
      for (BFloat16(&pair)[kAmxDepth] : pairs) {
        _mm512_store_si512(pair, pair_rows(from + row * columns, columns, leaves[leaf + 1] - row));
        row += 2;
      }
      transpose_pairs(sources, 0, to + k, stride);
    }
  }
}

// 16 columns of x as a panel of B.
void pack_x(const BFloat16* from, int64_t columns, std::span<const int64_t> leaves,
            std::span<const int64_t> padded, BFloat16* to) {
  for (size_t leaf = 0; leaf + 1 < leaves.size(); ++leaf) {
    int64_t row = leaves[leaf];
    for (int64_t k = padded[leaf]; k < padded[leaf + 1]; k += 2, row += 2, to += 32) {
      _mm512_store_si512(to, pair_rows(from + row * columns, columns, leaves[leaf + 1] - row));
    }
  }
}

struct AmxOperands {
  std::vector<int64_t> leaves;  // of the packed rows
  int64_t dy_stride;            // rows begin in different sets of the cache
  int64_t dy_size, x_size;
  const BFloat16* dy = nullptr;  // as A
  const BFloat16* x = nullptr;   // as B

  explicit AmxOperands(const kernels::WeightGradient& g)
      : leaves(padded_leaves(g.leaves)),
        dy_stride(leaves.back() + kAmxDepth),
        dy_size(g.outputs * dy_stride),
        x_size(g.inputs * leaves.back()) {}

  int64_t bytes() const { return (dy_size + x_size) * static_cast<int64_t>(sizeof(BFloat16)); }

  AmxA a(int64_t output) const { return {dy + output * dy_stride, dy_stride}; }
  AmxB b(int64_t input) const {
    const int64_t panel = leaves.back() * kAmxColumns;
    return {x + input / kAmxColumns * panel, panel};
  }
};

// Blocks of dw, one after another, each leaf by leaf: while the tiles make a leaf's share, the one
// before goes up the leaves' tree. dw is much larger than the caches and not read soon: its blocks
// are written past them.
class BlockStream {
 public:
  BlockStream(const AmxOperands& operands, float* dw, int64_t inputs)
      : operands_(operands),
        leaves_(static_cast<int64_t>(operands.leaves.size()) - 1),
        dw_(dw),
        inputs_(inputs),
        aligned_(reinterpret_cast<uintptr_t>(dw) % 64 == 0),
        memory_(allocate(bytes(leaves_))),
        kept_(reinterpret_cast<float*>(memory_.get())) {}

  // Of memory.
  static int64_t bytes(int64_t leaves) {
    const int levels = std::bit_width(static_cast<uint64_t>(leaves - 1));
    return (levels + 2) * kBlock * static_cast<int64_t>(sizeof(float));
  }

  void make(int64_t output, int64_t input) {
    const AmxA a = operands_.a(output);
    const AmxB b = operands_.b(input);
    for (int64_t leaf = 0; leaf < leaves_; ++leaf) {
      const int64_t begin = operands_.leaves[static_cast<size_t>(leaf)];
      const int64_t end = operands_.leaves[static_cast<size_t>(leaf) + 1];
      // What is merged with nothing yet is made where it is kept.
      const bool last = leaf + 1 == leaves_;
      const bool alone = leaf % 2 == 0 && !last;
      float* block = alone ? kept(0) : made_in(turn_ ^= 1);
      amx::block_beside<2>((end - begin) / kAmxDepth, a.data + begin, a.stride * kNumber,
                           b.data + begin * kAmxColumns, b.panel * kNumber, block,
                           share_.from ? kAmxOutputs : 0,
                           [&](int64_t row) HWY_ATTR { write(row); });
      share_ = {};
      if (alone) continue;
      share_.from = block;
      const int level =
          for_merges(leaf, last, [&](int l) { share_.left[share_.lefts++] = kept(l); });
      share_.to = last ? nullptr : kept(level);
    }
    to_ = dw_ + output * inputs_ + input;
  }
  void finish() {
    for (int64_t row = 0; share_.from && row < kAmxOutputs; ++row) write(row);
    _mm_sfence();
  }

 private:
  static constexpr int64_t kNumber = sizeof(BFloat16);
  static constexpr int64_t kBlock = kAmxOutputs * amx::kBlockColumns;

  // A leaf's share of a block, from the tiles, and what it is the right of.
  struct Share {
    const float* from = nullptr;
    const float* left[kLevels];
    int lefts = 0;
    float* to = nullptr;  // null: that is the block
  };

  float* made_in(int turn) { return kept_ + turn * kBlock; }
  float* kept(int level) { return kept_ + (level + 2) * kBlock; }

  HWY_INLINE void write(int64_t row) const {
    const int64_t at = row * amx::kBlockColumns;
    __m512 low = _mm512_load_ps(share_.from + at), high = _mm512_load_ps(share_.from + at + 16);
    for (int i = 0; i < share_.lefts; ++i) {
      low = _mm512_add_ps(_mm512_load_ps(share_.left[i] + at), low);
      high = _mm512_add_ps(_mm512_load_ps(share_.left[i] + at + 16), high);
    }
    if (share_.to) {
      _mm512_store_ps(share_.to + at, low);
      _mm512_store_ps(share_.to + at + 16, high);
      return;
    }
    float* to = to_ + row * inputs_;
    if (aligned_) {
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
  float* kept_;
  int turn_ = 0;
  Share share_;          // not yet merged
  float* to_ = nullptr;  // of the block that it is of, if that is its last
};

bool amx_weight_gradient_fits(const kernels::WeightGradient& g) {
  return g.type == DType::kBF16 && g.outputs % kAmxUnit == 0 && g.inputs % kAmxUnit == 0 &&
         amx_available();
}

int64_t amx_scratch(const kernels::WeightGradient& g) {
  const auto leaves = static_cast<int64_t>(g.leaves.size()) - 1;
  return AmxOperands(g).bytes() + BlockStream::bytes(leaves);
}

void amx_make_dw(const Cpu& on, const kernels::WeightGradient& g) {
  AmxOperands operands(g);
  const int64_t depth = operands.leaves.back();
  const std::shared_ptr<std::byte> memory = allocate(operands.bytes());
  auto* dy = reinterpret_cast<BFloat16*>(memory.get());
  BFloat16* x = dy + operands.dy_size;
  operands.dy = dy;
  operands.x = x;
  on.parallel_for((g.outputs + g.inputs) / kAmxColumns, [&](int64_t task) {
    const int64_t column = task * kAmxColumns;
    if (column < g.outputs) {
      pack_dy(static_cast<const BFloat16*>(g.dy) + column, g.outputs, g.leaves, operands.leaves,
              dy + column * operands.dy_stride, operands.dy_stride);
    } else {
      const int64_t input = column - g.outputs;
      pack_x(static_cast<const BFloat16*>(g.x) + input, g.inputs, g.leaves, operands.leaves,
             x + input * depth);
    }
  });
  const int64_t out_blocks = g.outputs / kAmxOutputs;
  const int64_t blocks = out_blocks * divide_up(g.inputs, kAmxInputs);
  // Setting up the tiles takes about as long as a small block: few tasks, each of blocks that
  // follow one another, which have the same inputs.
  const int64_t tasks = on.threads() == 1 ? 1 : std::min<int64_t>(blocks, 4 * on.threads());
  on.parallel_for(tasks, [&](int64_t task) {
    const AmxTiles tiles;
    BlockStream stream(operands, g.dw, g.inputs);
    for (int64_t i = blocks * task / tasks; i < blocks * (task + 1) / tasks; ++i) {
      const int64_t output = i % out_blocks * kAmxOutputs;
      const int64_t input = i / out_blocks * kAmxInputs;
      const int64_t end = std::min(input + kAmxInputs, g.inputs);
      for (int64_t j = input; j < end; j += amx::kBlockColumns) stream.make(output, j);
    }
    stream.finish();
  });
}

}  // namespace
}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HEDDLE_OPS_WEIGHT_GRADIENT_AMX_INL_H_
