// One value a row, summed so that the bits do not depend on the mesh: leaves (leaves.h), each in
// row order, merged by the tree.
#pragma once

#include <span>
#include <vector>

#include "framework/autograd/leaves.h"
#include "framework/ops/detail/leaf_tree.h"

namespace heddle {

inline double sum_over_leaves(std::span<const double> rows) {
  const auto leaves = leaves_of(static_cast<int64_t>(rows.size()));
  std::vector<double> sums(leaves->size() - 1, 0.0);
  for (size_t leaf = 0; leaf < sums.size(); ++leaf) {
    for (int64_t row = (*leaves)[leaf]; row < (*leaves)[leaf + 1]; ++row) {
      sums[leaf] += rows[static_cast<size_t>(row)];
    }
  }
  merge_leaves(static_cast<int64_t>(sums.size()), [&](int64_t into, int64_t from) {
    sums[static_cast<size_t>(into)] += sums[static_cast<size_t>(from)];
  });
  return sums.empty() ? 0.0 : sums[0];
}

}  // namespace heddle
