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

  // One leaf's share of a block of dw.
  void multiply(int64_t leaf, int64_t output, int64_t input, int64_t inputs, float* to,
                int64_t stride) const {
    const auto at = static_cast<size_t>(leaf);
    AmxA rows = a(output);
    rows.data += leaves[at];
    AmxB columns = b(input);
    columns.data += leaves[at] * kAmxColumns;
    amx::product(kAmxOutputs, inputs, leaves[at + 1] - leaves[at], rows, columns, {to, stride});
  }
};

// Blocks of dw of one leaf, one after another. dw is much larger than the caches and not read soon:
// each block is written past them while the next is made.
class BlockStream {
 public:
  BlockStream(const AmxOperands& operands, float* dw, int64_t inputs)
      : operands_(operands),
        dw_(dw),
        inputs_(inputs),
        aligned_(reinterpret_cast<uintptr_t>(dw) % 64 == 0) {}

  void make(int64_t output, int64_t input) {
    float* block = blocks_[turn_ ^= 1];
    constexpr int64_t kBytes = sizeof(BFloat16);
    const AmxA a = operands_.a(output);
    const AmxB b = operands_.b(input);
    amx::block_beside<2>(operands_.leaves.back() / kAmxDepth, a.data, a.stride * kBytes, b.data,
                         b.panel * kBytes, block, made_ ? kAmxOutputs : 0,
                         [&](int64_t row) HWY_ATTR { write(row); });
    made_ = block;
    to_ = dw_ + output * inputs_ + input;
  }
  void finish() {
    for (int64_t row = 0; made_ && row < kAmxOutputs; ++row) write(row);
    _mm_sfence();
  }

 private:
  HWY_INLINE void write(int64_t row) const {
    const float* from = made_ + row * amx::kBlockColumns;
    float* to = to_ + row * inputs_;
    const __m512 left = _mm512_load_ps(from), right = _mm512_load_ps(from + 16);
    if (aligned_) {
      _mm512_stream_ps(to, left);
      _mm512_stream_ps(to + 16, right);
    } else {
      _mm512_storeu_ps(to, left);
      _mm512_storeu_ps(to + 16, right);
    }
  }

  alignas(64) float blocks_[2][kAmxOutputs * amx::kBlockColumns];
  int turn_ = 0;
  const float* made_ = nullptr;  // not yet written to
  float* to_ = nullptr;
  const AmxOperands& operands_;
  float* dw_;
  int64_t inputs_;
  bool aligned_;
};

// Levels of the tree of so many leaves, and the leaf at hand: blocks of dw, in bytes.
int64_t merge_bytes(int64_t leaves, int64_t inputs) {
  const int64_t levels = std::bit_width(static_cast<uint64_t>(leaves - 1));
  return (levels + 1) * kAmxOutputs * inputs * static_cast<int64_t>(sizeof(float));
}

// A block of dw of several leaves: their sums are merged as they are made.
void merge_block(const AmxOperands& operands, int64_t leaves, int64_t output, int64_t input,
                 int64_t inputs, float* to, int64_t stride) {
  const F d;
  const int64_t size = kAmxOutputs * inputs;
  const std::shared_ptr<std::byte> memory = allocate(merge_bytes(leaves, inputs));
  float* sum = reinterpret_cast<float*>(memory.get());
  const auto kept = [&](int level) { return sum + (level + 1) * size; };
  for (int64_t leaf = 0; leaf < leaves; ++leaf) {
    operands.multiply(leaf, output, input, inputs, sum, inputs);
    const int level = for_merges(leaf, leaf + 1 == leaves, [&](int l) HWY_ATTR {
      const float* left = kept(l);
      for (int64_t i = 0; i < size; i += kLanes) {
        hn::Store(hn::Add(hn::Load(d, left + i), hn::Load(d, sum + i)), d, sum + i);
      }
    });
    if (leaf + 1 < leaves) std::copy_n(sum, size, kept(level));
  }
  for (int64_t r = 0; r < kAmxOutputs; ++r) std::copy_n(sum + r * inputs, inputs, to + r * stride);
}

bool amx_weight_gradient_fits(const kernels::WeightGradient& g) {
  return g.type == DType::kBF16 && g.outputs % kAmxUnit == 0 && g.inputs % kAmxUnit == 0 &&
         amx_available();
}

int64_t amx_scratch(const kernels::WeightGradient& g) {
  const auto leaves = static_cast<int64_t>(g.leaves.size()) - 1;
  return AmxOperands(g).bytes() +
         (leaves > 1 ? merge_bytes(leaves, std::min(kAmxInputs, g.inputs)) : 0);
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
  const auto leaves = static_cast<int64_t>(g.leaves.size()) - 1;
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
      const int64_t inputs = std::min(kAmxInputs, g.inputs - input);
      if (leaves == 1) {
        for (int64_t j = 0; j < inputs; j += amx::kBlockColumns) stream.make(output, input + j);
      } else {
        merge_block(operands, leaves, output, input, inputs, g.dw + output * g.inputs + input,
                    g.inputs);
      }
    }
    stream.finish();
  });
}

}  // namespace
}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // HEDDLE_OPS_WEIGHT_GRADIENT_AMX_INL_H_
