// One head of one sequence: the unit of attention's work. All pointers at its first row and column.
// Where a kernel is given a number of heads, the unit is the first of them.
#pragma once

#include <cstdint>

#include "framework/ops/attention.h"
#include "framework/ops/detail/dropout_mask.h"

namespace heddle {

template <typename T>  // float or BFloat16
struct AttentionUnit {
  int64_t queries, keys, head_dim;
  int64_t query_rows, key_rows;  // that there are, with those of sequences behind this one
  float scale;                   // of the scores, to the exponent of 2
  float derivative;              // of the scaled scores with respect to the scores
  bool causal;
  kernels::AttentionMatrix<T> q, k, v;
  float* statistics;  // two a row, `statistics_stride` apart; or null
  int64_t statistics_stride;
  DropoutMask mask;     // row_keys at the first row; its key is the head's
  uint64_t seed, head;  // what the key is made of

  kernels::AttentionMatrix<T> output;      // forward: written; backward: its gradient
  kernels::AttentionMatrix<T> dq, dk, dv;  // backward

  void draw_by_head() {
    if (mask.active()) mask.key = philox_key(seed, RandomPurpose::kAttentionDropout, head);
  }

  // Goes on to the next head of the sequence.
  void next_head() {
    for (kernels::AttentionMatrix<T>* m : {&q, &k, &v, &output, &dq, &dk, &dv}) {
      if (m->data != nullptr) m->data += head_dim;
    }
    if (statistics != nullptr) statistics += 2;
    ++head;
    draw_by_head();
  }

  // Keys that query i sees: the last query sees all.
  int64_t visible(int64_t i) const { return causal ? i + 1 + keys - queries : keys; }
};

}  // namespace heddle
