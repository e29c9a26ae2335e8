// Multi-head self-attention (Vaswani et al. 2017, section 3.2.2) over packed sequences.
//
//   attention(q, k, v) = softmax(q kᵀ / √d) v,   d = hidden_size / heads
#pragma once

#include "framework/parallel/column_linear.h"
#include "framework/parallel/row_linear.h"
#include "models/batch.h"
#include "models/config.h"

namespace heddle {

struct SelfAttention : Module {
  // `layer` numbers the layer, from 1; it keys dropout.
  SelfAttention(const ClassifierConfig& config, int32_t layer, const Group& group);

  // x [T, H] -> [T, H]; a token sees the tokens of its own sequence.
  Tensor operator()(const Tensor& x, const Batch& batch) const;
  void visit(Visitor& v) override;

  ColumnLinear query_key_value;  // q, k and v below one another: [3H, H]
  RowLinear output;
  Group group;
  int heads;
  int64_t head_dim;
  float dropout;
  int32_t layer;
};

}  // namespace heddle
