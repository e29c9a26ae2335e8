// Sums in one fixed order: a binary tree over leaves, ((0+1)+(2+3))+((4+5)+(6+7)), left operand
// first. Whoever holds an aligned subtree of 2^k leaves can add it alone; the whole has the same
// bits. A number of leaves that is not a power of two is cut at the largest power of two below it.
//
//   TreeAccumulator sum(gradients);             // [n] floats that receive the result
//   for (int leaf = 0; leaf < leaves; ++leaf) {
//     fill(sum.next());                         // write the leaf's values here
//     sum.push();
//   }
//   sum.finish();                               // gradients holds the tree's sum
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace heddle {

// left[i] + right[i] into out[i]; out may be left or right. All of one size.
void tree_add(std::span<const float> left, std::span<const float> right, std::span<float> out);

// out[i] = tree over parts of parts[p][i]. Each part has out.size() floats; out may be one of them.
void tree_sum(std::span<const float* const> parts, std::span<float> out);

// The same sum, written over every part: parts[p][i] for i < count. Parts do not overlap.
void tree_sum_to_all(std::span<float* const> parts, size_t count);

// The tree over the elements; 0 for none.
double tree_sum(std::span<const double> values);

// A stack of subtrees as in a binary counter: log2(leaves) + 1 buffers, one addition per leaf.
class TreeAccumulator {
 public:
  // `result`, not owned, receives the sum and serves as the first buffer.
  explicit TreeAccumulator(std::span<float> result) : result_(result) {}

  // The buffer for the next leaf or subtree: result.size() floats whose content is left over from
  // before. Valid until push().
  std::span<float> next();
  // Takes what was written to next() as the sum of the next 2^level leaves. Their first must be a
  // multiple of 2^level.
  void push(int level = 0);
  // Adds what is left, so that `result` holds the sum of all leaves (zeros if there were none), and
  // starts anew.
  void finish();

  int64_t leaves() const { return leaves_; }

 private:
  std::span<float> buffer(size_t depth);
  void merge_top();

  std::span<float> result_;
  std::vector<std::shared_ptr<std::byte>> spare_;  // buffers of depth 1, 2, ...
  std::vector<int> levels_;                        // of the subtrees on the stack, falling
  int64_t leaves_ = 0;
};

}  // namespace heddle
