// A linear layer in bf16 on AMX's tiles: the product and what follows it in one go. While a block
// of the product is made on the tiles, the vector units finish the block before it.
//
//   if (amx_linear_fits(depth, columns)) {
//     amx_pack_forward(weight, depth, 64, packed);                   // W [64, depth], f32
//     amx_linear(x, rows, depth, packed, 64, bias, activation, to);  // x [rows, depth]
//   }
//
// Each element of the product is one chain of multiply-adds in the order of `depth` (amx.h),
// whatever the other rows and columns are.
#pragma once

#include "framework/core/dtype.h"
#include "framework/ops/detail/activation.h"

namespace heddle::kernels {

// Whether there are tiles, and they divide such a product.
bool amx_linear_fits(int64_t depth, int64_t columns);

// Rounds a weight to bf16 and packs it as the B [depth, columns] of products: its transpose, of
// rows one after another, or itself, of rows `stride` elements apart. `packed` has depth * columns
// elements and is aligned to 64 bytes. `depth` and `columns` are multiples of 32.
void amx_pack_forward(const float* weight, int64_t depth, int64_t columns, BFloat16* packed);
void amx_pack_backward(const float* weight, int64_t stride, int64_t depth, int64_t columns,
                       BFloat16* packed);

// to = activation(x · packed + bias), rounded once; x is [rows, depth], `bias` [columns] or null.
// Errors of activations: activation.h.
void amx_linear(const BFloat16* x, int64_t rows, int64_t depth, const BFloat16* packed,
                int64_t columns, const float* bias, Activation activation, const BFloat16Block& to);

}  // namespace heddle::kernels
