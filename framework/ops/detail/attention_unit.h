// One head of one sequence: the unit of attention's work. All pointers at its first row and column.
#pragma once

#include <cstdint>

#include "framework/ops/attention.h"
#include "framework/ops/detail/dropout_mask.h"

namespace heddle {

struct AttentionUnit {
  int64_t queries, keys, head_dim;
  float scale;       // of the scores, to the exponent of 2
  float derivative;  // of the scaled scores with respect to the scores
  bool causal;
  kernels::AttentionMatrix q, k, v;
  float* statistics;  // two a row, `statistics_stride` apart; or null
  int64_t statistics_stride;
  DropoutMask mask;  // row_keys at the first row; its key is the head's

  kernels::AttentionMatrix output;      // forward: written; backward: its gradient
  kernels::AttentionMatrix dq, dk, dv;  // backward

  // Keys that query i sees: the last query sees all.
  int64_t visible(int64_t i) const { return causal ? i + 1 + keys - queries : keys; }
};

}  // namespace heddle
