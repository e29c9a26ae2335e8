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

void amx_pack_forward_int8(const int8_t* weight, int64_t depth, int64_t columns, int8_t* packed) {
  const BFloat16* rows[16];  // two numbers each: four are what transpose_pairs() moves
  for (int64_t c = 0; c < columns; c += kAmxColumns, weight += kAmxColumns * depth) {
    for (int64_t i = 0; i < 16; ++i)
      rows[i] = reinterpret_cast<const BFloat16*>(weight + i * depth);
    for (int64_t k = 0; k < depth; k += kAmxRowBytes, packed += kAmxTileBytes) {
      transpose_pairs(rows, k / 2, reinterpret_cast<BFloat16*>(packed), 32);
    }
  }
}

// A block of the product that is made, but not yet what the layer gives.
struct Unfinished {
  const void* product = nullptr;  // [rows, kBlockColumns] of f32, or of i32
  int64_t rows = 0;
  const float* row_scales = nullptr;
  const float* column_scales = nullptr;
  const float* bias = nullptr;
  kernels::BFloat16Block to;
};

// 16 columns of a row of a block, before the activation.
template <bool kInt8>
HWY_INLINE Vec sums_of(const Unfinished& block, int64_t row, int64_t column) {
  const F d;
  const int64_t at = row * kBlockColumns + column;
  Vec sums;
  if constexpr (kInt8) {
    const Vec scale =
        hn::Mul(hn::Set(d, block.row_scales[row]), hn::LoadU(d, block.column_scales + column));
    sums = hn::Mul(hn::ConvertTo(d, hn::Load(I(), static_cast<const int32_t*>(block.product) + at)),
                   scale);
  } else {
    sums = hn::Load(d, static_cast<const float*>(block.product) + at);
  }
  return block.bias ? hn::Add(sums, hn::LoadU(d, block.bias + column)) : sums;
}

template <bool kInt8, Activation kActivation, bool kKeep>
HWY_INLINE void finish_row(const Unfinished& block, int64_t row) {
  Vec low = sums_of<kInt8>(block, row, 0), high = sums_of<kInt8>(block, row, kAmxColumns);
  const int64_t at = row * block.to.stride;
  if constexpr (kKeep) {
    Vec low_derivative, high_derivative;
    low = gelu_and_derivative<BFloat16>(low, low_derivative);
    high = gelu_and_derivative<BFloat16>(high, high_derivative);
    _mm512_storeu_si512(block.to.derivatives + at,
                        round_to_bf16(low_derivative.raw, high_derivative.raw));
  } else {
    low = apply<kActivation, BFloat16>(low);
    high = apply<kActivation, BFloat16>(high);
  }
  _mm512_storeu_si512(block.to.data + at, round_to_bf16(low.raw, high.raw));
}

template <bool kInt8, Activation kActivation, bool kKeep>
void amx_linear_of(const kernels::AmxLinear& layer) {
  constexpr Precision kOperands = kInt8 ? Precision::kInt8 : Precision::kBF16;
  const int64_t row_bytes = layer.depth * operand_bytes(kOperands);
  const int64_t steps = row_bytes / kAmxRowBytes;
  const int64_t panel = row_bytes * kAmxColumns;
  const auto* x = static_cast<const std::byte*>(layer.x);
  const auto* packed = static_cast<const std::byte*>(layer.packed);
  // Rows that do not fill their tiles are copied, with zeros behind them.
  std::shared_ptr<std::byte> copy;
  const int64_t scratch = kernels::amx_linear_scratch(kOperands, layer.rows, layer.depth);
  if (scratch > 0) copy = allocate(scratch);
  alignas(64) float products[2][kBlockRows * kBlockColumns];
  int turn = 0;
  Unfinished before;
  const auto finish = [&](int64_t row)
                          HWY_ATTR { finish_row<kInt8, kActivation, kKeep>(before, row); };
  const auto offset = [](auto* p, int64_t by) { return p ? p + by : nullptr; };
  const AmxTiles tiles;
  for (int64_t row = 0; row < layer.rows; row += kBlockRows) {
    const int64_t count = std::min(kBlockRows, layer.rows - row);
    const std::byte* a = x + row * row_bytes;
    if (count % kAmxRows > 0) {
      std::memcpy(copy.get(), a, static_cast<size_t>(count * row_bytes));
      std::memset(copy.get() + count * row_bytes, 0,
                  static_cast<size_t>((kBlockRows - count) * row_bytes));
      a = copy.get();
    }
    const auto rows = amx::TilesOfA::rows(a, row_bytes);
    for (int64_t column = 0; column < layer.columns; column += kBlockColumns) {
      const amx::TilesOfB columns = {packed + column * row_bytes, panel};
      float* product = products[turn ^= 1];
      const auto make = [&]<int kTiles>() HWY_ATTR {
        amx::block_beside<kTiles, kInt8>(steps, rows, columns, {product}, before.rows, finish);
      };
      count > kAmxRows ? make.template operator()<2>() : make.template operator()<1>();
      const int64_t at = row * layer.to.stride + column;
      before = {product,
                count,
                offset(layer.row_scales, row),
                offset(layer.column_scales, column),
                offset(layer.bias, column),
                {layer.to.data + at, offset(layer.to.derivatives, at), layer.to.stride}};
    }
  }
  for (int64_t r = 0; r < before.rows; ++r) finish(r);
}

void amx_linear(const kernels::AmxLinear& layer) {
  if (layer.activation == Activation::kGelu && layer.to.derivatives) {
    return amx_linear_of<false, Activation::kGelu, true>(layer);
  }
  for_activation(layer.activation, [&]<Activation kActivation>() HWY_ATTR {
    if (layer.row_scales) {
      amx_linear_of<true, kActivation, false>(layer);
    } else {
      amx_linear_of<false, kActivation, false>(layer);
    }
  });
}

#else  // never called: amx_available() is false where this would be chosen

void amx_pack_forward(const float*, int64_t, int64_t, BFloat16*) {}
void amx_pack_forward_int8(const int8_t*, int64_t, int64_t, int8_t*) {}
void amx_pack_backward(const float*, int64_t, int64_t, int64_t, BFloat16*) {}
void amx_linear(const kernels::AmxLinear&) {}

#endif

}  // namespace
}  // namespace heddle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace heddle {

HWY_EXPORT(amx_pack_forward);
HWY_EXPORT(amx_pack_forward_int8);
HWY_EXPORT(amx_pack_backward);
HWY_EXPORT(amx_linear);

namespace kernels {

bool amx_linear_fits(Precision operands, int64_t depth, int64_t columns) {
  return operands != Precision::kF32 && depth * operand_bytes(operands) % kAmxRowBytes == 0 &&
         columns % (2 * kAmxColumns) == 0 && amx_available();
}

int64_t amx_linear_scratch(Precision operands, int64_t rows, int64_t depth) {
  return rows % kAmxRows == 0 ? 0 : 2 * kAmxRows * depth * operand_bytes(operands);
}

void amx_pack_forward(const float* weight, int64_t depth, int64_t columns, BFloat16* packed) {
  HWY_DYNAMIC_DISPATCH(amx_pack_forward)(weight, depth, columns, packed);
}

void amx_pack_forward(const int8_t* weight, int64_t depth, int64_t columns, int8_t* packed) {
  HWY_DYNAMIC_DISPATCH(amx_pack_forward_int8)(weight, depth, columns, packed);
}

void amx_pack_backward(const float* weight, int64_t stride, int64_t depth, int64_t columns,
                       BFloat16* packed) {
  HWY_DYNAMIC_DISPATCH(amx_pack_backward)(weight, stride, depth, columns, packed);
}

void amx_linear(const AmxLinear& layer) {
  HWY_DYNAMIC_DISPATCH(amx_linear)(layer);
}

}  // namespace kernels
}  // namespace heddle
#endif
