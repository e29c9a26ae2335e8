// A linear layer whose inputs a group shares (Shoeybi et al. 2019, Megatron-LM): each part holds a
// slice of the columns of `weight`; the partial products are summed by the tree, then the bias is
// added once. On a group of one part it is a Linear.
#pragma once

#include <vector>

#include "framework/nn/linear.h"
#include "framework/parallel/parts.h"

namespace heddle {

struct RowLinearOptions {
  float deviation = 0.02f;  // of the initial weights
  int64_t units = 0;        // of the inputs that stay together, as the ColumnLinear's before it
};

struct RowLinear : Module {
  // `in` and `out` are the whole layer's widths.
  RowLinear(int64_t in, int64_t out, const Group& group, const RowLinearOptions& options = {});

  // For each part [T, in of the part] -> [T, out].
  Tensor operator()(const Parts& x) const;
  void visit(Visitor& v) override;

  std::vector<Linear> parts;  // with bias if there is but one
  Parameter bias;             // otherwise
  Group group;
};

}  // namespace heddle
