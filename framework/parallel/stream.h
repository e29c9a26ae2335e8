// Sequence parallelism (Korthikanti et al. 2022, "Reducing Activation Recomputation in Large
// Transformer Models", section 4.2.2): between the sharded blocks of a model, the residual stream
// (embeddings, norms, dropout, residual additions) is split by rows over the ranks of a tensor
// group, so that each keeps but its own for the backward pass.
//
//   const StreamScope stream(group, batch.tokens());
//   Tensor x = split_rows(word.sum(…));        // of [T, H] this rank's rows
//   x = norm(x + down(up(x)));                 // ColumnLinear gathers, RowLinear scatters its sum
//   return whole_rows(x);                      // [T, H]
//
// Where the group does not split, all rows are this rank's and nothing is copied. The bits are the
// same either way, and on any number of ranks: rows are computed alone; a gradient that sums over
// rows is made of all rows where they are gathered anyway, and of the runs of RowShare in a norm.
#pragma once

#include <cstdint>

#include "framework/autograd/leaves.h"
#include "framework/nn/layer_norm.h"
#include "framework/parallel/group.h"

namespace heddle {

// For the life of this object, on this thread, the stream of a batch of so many tokens is split as
// `group` says: each rank has about as many rows, whole runs of the leaves (leaves.h).
class StreamScope {
 public:
  StreamScope(const Group& group, int64_t tokens);

 private:
  RowShareScope share_;
};

// This rank's rows of x [T, …]. backward: gathers all rows.
Tensor split_rows(const Tensor& x);
// [T, H] of every rank's rows. backward: this rank's rows of a gradient that all ranks have alike.
Tensor whole_rows(const Tensor& x);
// This rank's elements of `keys` [T]. Has no gradient.
Tensor own_rows(const Tensor& keys);

// `x` of all ranks, [T, H]. Has no gradient. Collective.
Tensor gather_rows(const Tensor& x, const RowShare& share, const char* name);

// Layer normalisation of the stream: a LayerNorm whose rows may be split.
struct StreamNorm : LayerNorm {
  using LayerNorm::LayerNorm;

  // x [rows, width] -> [rows, width].
  Tensor operator()(const Tensor& x) const {
    const ProfiledModule span(path);
    return layer_norm(x, parameters());
  }
  // Normalises dropout(x) + residual.
  Tensor operator()(const Tensor& x, const Tensor& residual, const Dropout& dropout) const {
    const ProfiledModule span(path);
    return dropout_add_layer_norm(x, residual, parameters(), dropout);
  }

 private:
  LayerNormParameters parameters() const { return {weight.value, bias.value, eps, row_share()}; }
};

}  // namespace heddle
