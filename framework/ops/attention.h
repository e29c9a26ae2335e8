// Multi-head attention (Vaswani et al. 2017) over packed sequences: block-diagonal over segments,
// softmax fused. No T x T matrix is kept: the maximum and the sum of each row's softmax are saved
// and the probabilities are made again in backward.
//
//   Tensor y = attention(qkv, segments, {.heads = 12, .scale = 1 / std::sqrt(32.0f)});
#pragma once

#include <cstdint>

#include "framework/ops/dropout.h"
#include "framework/ops/segments.h"

namespace heddle {

struct AttentionOptions {
  int heads = 1;        // of this tensor
  float scale = 1;      // of the scores
  bool causal = false;  // a row sees itself and what is before it in its segment
  Dropout dropout{};    // of the probabilities; row_keys [T]
  int first_head = 0;   // index of the first head in the whole model: it keys dropout
};

// qkv [T, 3 * heads * head_dim], f32 or bf16: q, k and v beside one another, each [heads, head_dim]
// -> [T, heads * head_dim] of the same type. The result of a row depends on its own segment only,
// bit for bit. With bf16 the softmax and all sums are f32, and results are rounded once, at the
// end. Where the processor multiplies bf16 (AMX) and head_dim is a multiple of 32, the
// probabilities and the gradients of the scores are rounded as well before they enter a product.
// The probability of (query i, key j), counted in the segment, is dropped by 16 bits of Philox(key
// (seed, kAttentionDropout, layer, head), counter (row key of the segment's first row, step,
// (i / 8) << 16 | j)): word i % 4, the upper bits if i % 8 < 4, else the lower. With dropout a
// segment has at most 65,536 rows.
Tensor attention(const Tensor& qkv, const Segments& segments, const AttentionOptions& options);

namespace kernels {

// T, here and below: float or BFloat16.
//
// Where q, k and v (or their gradients) lie: `data` at row 0, head 0; heads are head_dim apart.
template <typename T>
struct AttentionMatrix {
  T* data;
  int64_t stride;  // elements from row to row
};

template <typename T>
struct AttentionInputs {
  AttentionMatrix<T> q, k, v;
};

// What both passes are given. Queries and keys have segments of their own, so that a query may
// look at another sequence; self-attention passes the same twice.
struct AttentionShape {
  const Segments& queries;
  const Segments& keys;
  int64_t head_dim;
  AttentionOptions options;
};

// output [rows of queries, heads * head_dim]; statistics [rows of queries, heads, 2], or null: the
// exponent, to base 2, of what a row's powers were divided by (the greatest of them, or not much
// more), and 1 / the sum of the powers. For attention_backward() of the same inputs.
template <typename T>
void attention(Cpu, const AttentionShape& shape, const AttentionInputs<T>& inputs,
               AttentionMatrix<T> output, float* statistics);

template <typename T>
struct AttentionGradients {
  AttentionMatrix<T> dq, dk, dv;
};
template <typename T>
void attention_backward(Cpu, const AttentionShape& shape, const AttentionInputs<T>& inputs,
                        const float* statistics, AttentionMatrix<T> doutput,
                        const AttentionGradients<T>& gradients);

}  // namespace kernels
}  // namespace heddle
