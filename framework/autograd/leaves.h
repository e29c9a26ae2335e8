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
//
// Several ranks may hold the rows of an activation together (RowShare): each has some of the runs
// of at most 32 rows into which a leaf is cut, and an op that sums over rows adds a leaf's runs in
// their order, whoever made them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace heddle {

class Tensor;

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

// A run of rows of a leaf.
struct RowRun {
  int64_t leaf, begin, end;
};

// The runs of all leaves, in order; none is empty.
std::vector<RowRun> row_runs(const LeafOffsets& leaves);

// What each of several ranks has of the rows of an activation.
struct RowShare {
  // Offsets [ranks + 1]: rank r has the rows [offsets[r], offsets[r + 1]).
  std::vector<int64_t> offsets;
  int rank = 0;  // this one
  // Each rank has written its own rows of a tensor, as other offsets [ranks + 1] cut it; afterwards
  // all rows are there. Collective.
  std::function<void(const Tensor& tensor, std::span<const int64_t> offsets, const char* name)>
      all_gather;

  int64_t begin() const { return offsets[static_cast<size_t>(rank)]; }
  int64_t end() const { return offsets[static_cast<size_t>(rank) + 1]; }
  int64_t size() const { return end() - begin(); }
  int64_t whole() const { return offsets.back(); }
};

// Offsets [ranks + 1] that share whole runs, as evenly as these allow.
std::vector<int64_t> share_rows(const LeafOffsets& leaves, int ranks);

// For the life of this object, on this thread, ops between the sharded blocks of a model have this
// rank's rows.
class RowShareScope {
 public:
  explicit RowShareScope(std::shared_ptr<const RowShare> share);
  ~RowShareScope();
  RowShareScope(const RowShareScope&) = delete;
  RowShareScope& operator=(const RowShareScope&) = delete;

 private:
  std::shared_ptr<const RowShare> outer_;
};

// The innermost scope's; null: rows are not shared.
std::shared_ptr<const RowShare> row_share();

}  // namespace heddle
