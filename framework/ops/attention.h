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

// qkv [T, 3 * heads * head_dim]: q, k and v beside one another, each [heads, head_dim]
// -> [T, heads * head_dim]. The result of a row depends on its own segment only, bit for bit.
// The probability of (query i, key j), counted in the segment, is dropped by 16 bits of Philox(key
// (seed, kAttentionDropout, layer, head), counter (row key of the segment's first row, step,
// (i / 8) << 16 | j)): word i % 4, the upper bits if i % 8 < 4, else the lower. With dropout a
// segment has at most 65,536 rows.
Tensor attention(const Tensor& qkv, const Segments& segments, const AttentionOptions& options);

namespace kernels {

// Where q, k and v (or their gradients) lie: `data` at row 0, head 0; heads are head_dim apart.
struct AttentionMatrix {
  float* data;
  int64_t stride;  // floats from row to row
};

struct AttentionInputs {
  AttentionMatrix q, k, v;
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
// greatest exponent, to base 2, and 1 / the sum of the powers of 2.
void attention(Cpu, const AttentionShape& shape, const AttentionInputs& inputs,
               AttentionMatrix output, float* statistics);

struct AttentionGradients {
  AttentionMatrix dq, dk, dv;
};
void attention_backward(Cpu, const AttentionShape& shape, const AttentionInputs& inputs,
                        const float* statistics, AttentionMatrix doutput,
                        const AttentionGradients& gradients);

}  // namespace kernels
}  // namespace heddle
