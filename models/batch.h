// What a model reads: sequences packed one after another, without padding.
//
// T tokens of S sequences; sequence s owns the rows [segments[s], segments[s+1]).
#pragma once

#include <cstdint>
#include <optional>

#include "framework/core/tensor.h"
#include "framework/ops/dropout.h"
#include "framework/ops/segments.h"
#include "framework/parallel/stream.h"

namespace heddle {

// What makes a training step's dropout: evaluation has none.
struct TrainingNoise {
  uint64_t seed = 0;
  int64_t step = 0;
};

struct Batch {
  Tensor ids;          // i32 [T]
  Tensor positions;    // i32 [T], from 0 in each sequence
  Tensor token_types;  // i32 [T]: 0 for the first text, 1 for the second
  Segments segments;   // S sequences

  // Keys of dropout: (index of the sequence in the data set, position), so that neither packing
  // nor the mesh can change a mask.
  Tensor token_keys;     // i64 [T]
  Tensor sequence_keys;  // i64 [S]
  std::optional<TrainingNoise> noise;

  int64_t tokens() const { return ids.numel(); }
  int64_t sequences() const { return segments.count(); }

  // Dropout of token rows [T, …], of the rows of the stream between blocks that are held here, or
  // of pooled rows [S, …], by the layer with this number.
  Dropout token_dropout(float p, int32_t layer) const { return dropout(p, layer, token_keys); }
  Dropout stream_dropout(float p, int32_t layer) const {
    return dropout(p, layer, own_rows(token_keys));
  }
  Dropout sequence_dropout(float p, int32_t layer) const {
    return dropout(p, layer, sequence_keys);
  }

 private:
  Dropout dropout(float p, int32_t layer, const Tensor& keys) const {
    if (!noise || p == 0) return {};
    return {.p = p, .seed = noise->seed, .step = noise->step, .layer = layer, .row_keys = keys};
  }
};

}  // namespace heddle
