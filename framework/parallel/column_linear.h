// A linear layer whose outputs a group shares (Shoeybi et al. 2019, Megatron-LM): each part holds a
// slice of the rows of `weight` and of `bias`. On a group of one part it is a Linear.
//
//   ColumnLinear up(hidden, intermediate, group);
//   RowLinear down(intermediate, hidden, group);
//   Tensor y = down(up(x));                        // [T, hidden] -> [T, hidden]
#pragma once

#include <vector>

#include "framework/nn/linear.h"
#include "framework/parallel/parts.h"

namespace heddle {

struct ColumnLinearOptions {
  float deviation = 0.02f;  // of the initial weights
  Activation activation = Activation::kNone;
  int blocks = 1;     // equal blocks of outputs, each cut into parts: q, k and v are 3
  int64_t units = 0;  // of a block that stay together: heads; 0: any number of columns
};

struct ColumnLinear : Module {
  // `in` and `out` are the whole layer's widths.
  ColumnLinear(int64_t in, int64_t out, const Group& group,
               const ColumnLinearOptions& options = {});

  // x [T, in] -> for each part [T, out of the part].
  Parts operator()(const Tensor& x) const;
  void visit(Visitor& v) override;

  std::vector<Linear> parts;
  Group group;
};

}  // namespace heddle
