// How sums over rows are cut, so that they have the same bits on any mesh.
//
// The rows of an activation (tokens, or sequences once a head has pooled them) belong to leaves:
// runs of rows that are summed alone. A gradient that sums over rows is the leaves' partial sums
// merged by one fixed binary tree, ((0+1)+(2+3))+((4+5)+(6+7)), the lower index on the left. An
// empty leaf counts as +0.
//
//   LeafScope scope({{0, 54, 101, 101, 160}, {0, 4, 8, 8, 12}});   // tokens; sequences
//   Tensor loss = model(batch);                                    // ops ask leaves_of(rows)
//
// Without a scope all rows are one leaf.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace heddle {

using LeafOffsets = std::vector<int64_t>;  // [leaves + 1]: 0, …, rows; ascending

// For the life of this object, on this thread, the leaves of any tensor with as many rows as one of
// the partitions has. Partitions with equally many rows must be equal (all sequences of length 1).
class LeafScope {
 public:
  explicit LeafScope(std::vector<LeafOffsets> partitions);
  ~LeafScope();
  LeafScope(const LeafScope&) = delete;
  LeafScope& operator=(const LeafScope&) = delete;

 private:
  std::vector<std::shared_ptr<const LeafOffsets>> outer_;
};

// The leaves of a tensor with so many rows. Throws if a scope is alive and knows no such number:
// an op would sum in an order of its own.
std::shared_ptr<const LeafOffsets> leaves_of(int64_t rows);

}  // namespace heddle
