// Gradients of few rows of a large matrix (an embedding), summed by the same tree as dense ones.
//
//   SparseRows sum = merge_rows(leaf_0, leaf_1);
//   sum = tree_all_reduce_rows(world, sum);         // the same rows on every rank
//
// A row that one side lacks counts as +0.0f there, so each merge has the bits of the dense addition
// of the rows that it holds: -0 + +0 is +0, at every level, also when only one side has the row.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/comm/communicator.h"

namespace heddle {

struct SparseRows {
  int64_t width = 0;
  std::vector<int64_t> ids;   // rising, each once
  std::vector<float> values;  // [ids.size(), width]

  std::span<const float> row(size_t i) const {
    return std::span(values).subspan(i * static_cast<size_t>(width), static_cast<size_t>(width));
  }
  bool operator==(const SparseRows&) const = default;
};

// The union of the rows, values left + right. Both must have one width.
SparseRows merge_rows(const SparseRows& left, const SparseRows& right);

// The tree over all ranks' rows, on every rank. Collective; `width` is the same everywhere, a rank
// may have no rows.
SparseRows tree_all_reduce_rows(Communicator& group, SparseRows mine);

// TreeAccumulator for rows: leaves are pushed in order, empty ones too.
class RowTreeAccumulator {
 public:
  explicit RowTreeAccumulator(int64_t width) : width_(width) {}

  // The sum of the next 2^level leaves. Their first must be a multiple of 2^level.
  void push(SparseRows rows, int level = 0);
  // The sum of all leaves; starts anew.
  SparseRows finish();

 private:
  void merge_top();

  struct Subtree {
    int level;
    SparseRows rows;
  };
  int64_t width_;
  int64_t leaves_ = 0;
  std::vector<Subtree> stack_;
};

}  // namespace heddle
