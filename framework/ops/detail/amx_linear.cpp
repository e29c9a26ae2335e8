#include "framework/ops/detail/amx_linear.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "framework/device/allocator.h"
#include "framework/ops/detail/amx.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/ops/detail/amx_linear.cpp"
#include "framework/ops/detail/simd_targets.h"
// The file is compiled from here on for each instruction set.
#include <hwy/foreach_target.h>

#include "framework/ops/detail/activation-inl.h"
#include "framework/ops/detail/simd-inl.h"

#if HWY_TARGET == HWY_AVX3
#include "framework/ops/detail/amx_panels-inl.h"
#include "framework/ops/detail/amx_tiles-inl.h"
#endif

HWY_BEFORE_NAMESPACE();
namespace heddle::HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_AVX3

using amx::kBlockColumns;
using amx::kBlockRows;

void amx_pack_forward(const float* weight, int64_t depth, int64_t columns, BFloat16* packed) {
  alignas(64) BFloat16 rounded[16][kAmxDepth];
  const BFloat16* rows[16];
  for (int64_t i = 0; i < 16; ++i) rows[i] = rounded[i];
  for (int64_t c = 0; c < columns; c += kAmxColumns, weight += kAmxColumns * depth) {
    for (int64_t k = 0; k < depth; k += kAmxDepth, packed += kAmxTile) {
      for (int64_t i = 0; i < 16; ++i) {
        const float* from = weight + i * depth + k;
        _mm_prefetch(from + kAmxColumns * depth, _MM_HINT_T1);
        _mm_prefetch(from + kAmxColumns * depth + 16, _MM_HINT_T1);
        _mm512_store_si512(rounded[i],
                           round_to_bf16(_mm512_loadu_ps(from), _mm512_loadu_ps(from + 16)));
      }
      transpose_pairs(rows, 0, packed, 32);
    }
  }
}

void amx_pack_backward(const float* weight, int64_t stride, int64_t depth, int64_t columns,
                       BFloat16* packed) {
  const int64_t panel = depth * kAmxColumns;
  // Of 16 numbers of one row and 16 of the next, pairs.
  alignas(64) static constexpr uint16_t kPairs[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                      21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                      11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i pairs = _mm512_load_si512(kPairs);
  for (int64_t k = 0; k < depth; k += 2, weight += 2 * stride, packed += 32) {
    for (int64_t c = 0; c < columns; c += kAmxColumns) {
      _mm_prefetch(weight + 4 * stride + c, _MM_HINT_T1);
      _mm_prefetch(weight + 5 * stride + c, _MM_HINT_T1);
      const __m512i both =
          round_to_bf16(_mm512_loadu_ps(weight + c), _mm512_loadu_ps(weight + stride + c));
      _mm512_store_si512(packed + c / kAmxColumns * panel, _mm512_permutexvar_epi16(pairs, both));
    }
  }
}

// A block of the product that is made, but not yet what the layer gives.
struct Unfinished {
  const float* product = nullptr;  // [rows, kBlockColumns]
  int64_t rows = 0;
  const float* bias = nullptr;
  kernels::BFloat16Block to;
};

// One row of a block.
template <Activation kActivation, bool kKeep>
HWY_INLINE void finish_row(const Unfinished& block, int64_t r) {
  const F d;
  const float* row = block.product + r * kBlockColumns;
  Vec low = hn::Load(d, row), high = hn::Load(d, row + kAmxColumns);
  if (block.bias) {
    low = hn::Add(low, hn::LoadU(d, block.bias));
    high = hn::Add(high, hn::LoadU(d, block.bias + kAmxColumns));
  }
  if constexpr (kKeep) {
    Vec low_derivative, high_derivative;
    low = gelu_and_derivative<BFloat16>(low, low_derivative);
    high = gelu_and_derivative<BFloat16>(high, high_derivative);
    _mm512_storeu_si512(block.to.derivatives + r * block.to.stride,
                        round_to_bf16(low_derivative.raw, high_derivative.raw));
  } else {
    low = apply<kActivation, BFloat16>(low);
    high = apply<kActivation, BFloat16>(high);
  }
  _mm512_storeu_si512(block.to.data + r * block.to.stride, round_to_bf16(low.raw, high.raw));
}

template <Activation kActivation, bool kKeep>
void amx_linear_of(const BFloat16* x, int64_t rows, int64_t depth, const BFloat16* packed,
                   int64_t columns, const float* bias, const kernels::BFloat16Block& to) {
  // Rows that do not fill their tiles are copied, with zeros behind them.
  const int64_t rest = rows % kAmxRows;
  std::shared_ptr<std::byte> memory;
  BFloat16* copy = nullptr;
  if (rest > 0) {
    memory = allocate(kBlockRows * depth * static_cast<int64_t>(sizeof(BFloat16)));
    copy = reinterpret_cast<BFloat16*>(memory.get());
  }
  alignas(64) float products[2][kBlockRows * kBlockColumns];
  int turn = 0;
  Unfinished before;
  const auto finish = [&](int64_t row) HWY_ATTR { finish_row<kActivation, kKeep>(before, row); };
  const AmxTiles tiles;
  for (int64_t row = 0; row < rows; row += kBlockRows) {
    const int64_t count = std::min(kBlockRows, rows - row);
    AmxA a{x + row * depth, depth};
    if (count % kAmxRows > 0) {
      std::memcpy(copy, a.data, static_cast<size_t>(count * depth) * sizeof(BFloat16));
      std::memset(copy + count * depth, 0,
                  static_cast<size_t>((kBlockRows - count) * depth) * sizeof(BFloat16));
      a.data = copy;
    }
    for (int64_t column = 0; column < columns; column += kBlockColumns) {
      const AmxB b{packed + column * depth, depth * kAmxColumns};
      float* product = products[turn ^= 1];
      if (count > kAmxRows) {
        amx::block_beside<2>(depth, a, b, product, before.rows, finish);
      } else {
        amx::block_beside<1>(depth, a, b, product, before.rows, finish);
      }
      const int64_t at = row * to.stride + column;
      before = {product,
                count,
                bias ? bias + column : nullptr,
                {to.data + at, to.derivatives ? to.derivatives + at : nullptr, to.stride}};
    }
  }
  for (int64_t r = 0; r < before.rows; ++r) finish(r);
}

void amx_linear(const BFloat16* x, int64_t rows, int64_t depth, const BFloat16* packed,
                int64_t columns, const float* bias, Activation activation,
                const kernels::BFloat16Block& to) {
  if (activation == Activation::kGelu && to.derivatives) {
    return amx_linear_of<Activation::kGelu, true>(x, rows, depth, packed, columns, bias, to);
  }
  for_activation(activation, [&]<Activation kActivation>() HWY_ATTR {
    amx_linear_of<kActivation, false>(x, rows, depth, packed, columns, bias, to);
  });
}

#else  // never called: amx_available() is false where this would be chosen

void amx_pack_forward(const float*, int64_t, int64_t, BFloat16*) {}
void amx_pack_backward(const float*, int64_t, int64_t, int64_t, BFloat16*) {}
void amx_linear(const BFloat16*, int64_t, int64_t, const BFloat16*, int64_t, const float*,
                Activation, const kernels::BFloat16Block&) {}

#endif

}  // namespace
}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(amx_pack_forward);
HWY_EXPORT(amx_pack_backward);
HWY_EXPORT(amx_linear);

namespace kernels {

bool amx_linear_fits(int64_t depth, int64_t columns) {
  return depth % kAmxDepth == 0 && columns % (2 * kAmxColumns) == 0 && amx_available();
}

void amx_pack_forward(const float* weight, int64_t depth, int64_t columns, BFloat16* packed) {
  HWY_DYNAMIC_DISPATCH(amx_pack_forward)(weight, depth, columns, packed);
}

void amx_pack_backward(const float* weight, int64_t stride, int64_t depth, int64_t columns,
                       BFloat16* packed) {
  HWY_DYNAMIC_DISPATCH(amx_pack_backward)(weight, stride, depth, columns, packed);
}

void amx_linear(const BFloat16* x, int64_t rows, int64_t depth, const BFloat16* packed,
                int64_t columns, const float* bias, Activation activation,
                const BFloat16Block& to) {
  HWY_DYNAMIC_DISPATCH(amx_linear)(x, rows, depth, packed, columns, bias, activation, to);
}

}  // namespace kernels
}  // namespace heddle
#endif
