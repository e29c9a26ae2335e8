// A linear layer whose outputs a group shares (Shoeybi et al. 2019, Megatron-LM): each member holds
// a slice of the rows of `weight` and of `bias`. On a group of one it is a Linear.
#pragma once

#include "framework/nn/linear.h"
#include "framework/parallel/group.h"

namespace heddle {

struct ColumnLinear : Linear {
  // `in` and `out` are the whole layer's widths. x [T, in] -> [T, out / group size].
  ColumnLinear(int64_t in, int64_t out, const Group& group, const LinearOptions& options = {})
      : Linear(in, out, options) {
    check(group.size == 1, "[column_linear] a group of {}: not yet. Expected 1.", group.size);
  }
};

}  // namespace heddle
