// A linear layer in bf16 or int8 on AMX's tiles: the product and what follows it in one go. While a
// block of the product is made on the tiles, the vector units finish the block before it.
//
//   if (amx_linear_fits(Precision::kBF16, depth, columns)) {
//     amx_pack_forward(weight, depth, columns, packed);    // W [columns, depth], f32
//     amx_linear({.x = x, .rows = rows, .depth = depth, .packed = packed, .columns = columns, …});
//   }
//
// Each element of the product is one chain of multiply-adds in the order of `depth` (amx.h),
// whatever the other rows and columns are.
#pragma once

#include "framework/core/dtype.h"
#include "framework/core/precision.h"
#include "framework/ops/detail/activation.h"

namespace heddle::kernels {

// Whether there are tiles of bf16 or int8, and they divide such a product.
bool amx_linear_fits(Precision operands, int64_t depth, int64_t columns);

// Packs a weight as the B [depth, columns] of products: its transpose, of rows one after another,
// or itself, of rows `stride` elements apart. One of f32 is rounded to bf16. `packed` has as many
// elements and is aligned to 64 bytes.
void amx_pack_forward(const float* weight, int64_t depth, int64_t columns, BFloat16* packed);
void amx_pack_forward(const int8_t* weight, int64_t depth, int64_t columns, int8_t* packed);
void amx_pack_backward(const float* weight, int64_t stride, int64_t depth, int64_t columns,
                       BFloat16* packed);

struct AmxLinear {
  const void* x = nullptr;  // [rows, depth]
  int64_t rows = 0;
  int64_t depth = 0;
  const void* packed = nullptr;
  int64_t columns = 0;
  // What one of an integer is worth, [rows] and [columns]; null: `x` and `packed` are bf16.
  const float* row_scales = nullptr;
  const float* column_scales = nullptr;
  const float* bias = nullptr;  // [columns], or null
  Activation activation = Activation::kNone;
  BFloat16Block to;
};

// Bytes that amx_linear() takes meanwhile.
int64_t amx_linear_scratch(Precision operands, int64_t rows, int64_t depth);

// to = activation(x · packed + bias), rounded once. Errors of activations: activation.h.
void amx_linear(const AmxLinear& layer);

}  // namespace heddle::kernels
