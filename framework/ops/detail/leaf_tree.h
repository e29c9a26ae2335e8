// The one order in which leaves' partial sums are merged (leaves.h): the leaf after an odd number
// of levels passes up alone, ((0+1)+(2+3))+4; the lower index is the left operand.
//
//   merge_leaves(leaves, [&](int64_t into, int64_t from) { add(partial[into], partial[from]); });
//   // the sum is in partial[0]
#pragma once

#include <cstdint>

namespace heddle {

// Calls merge(into, from), into < from, in the order of the tree, for `count` leaves. An empty leaf
// has a partial sum of +0.
template <typename Merge>
void merge_leaves(int64_t count, Merge&& merge) {
  for (int64_t distance = 1; distance < count; distance *= 2) {
    for (int64_t i = 0; i + distance < count; i += 2 * distance) merge(i, i + distance);
  }
}

// Merges rows of `partial` [count, width] into row 0.
inline void merge_leaf_rows(float* partial, int64_t count, int64_t width) {
  merge_leaves(count, [&](int64_t into, int64_t from) {
    float* a = partial + into * width;
    const float* b = partial + from * width;
    for (int64_t i = 0; i < width; ++i) a[i] += b[i];
  });
}

}  // namespace heddle
