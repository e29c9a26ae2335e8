// What the reduction must give on any number of ranks: used on threads and under mpirun.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "framework/parallel/sparse_rows.h"
#include "framework/parallel/tree_reduce.h"
#include "tests/framework/parallel/tree_test_data.h"

namespace heddle {

inline constexpr int kLeaves = 8;

// The sum of this rank's share of the leaves; the number of ranks divides kLeaves.
inline std::vector<float> my_subtree(const Communicator& world, size_t count) {
  const auto leaves = make_leaves(kLeaves, count);
  const auto share = static_cast<size_t>(kLeaves / world.size());
  return plain_tree(leaves, static_cast<size_t>(world.rank()) * share, share);
}

inline void expect_tree_bits(Communicator& world, TreeReducerOptions options = {}) {
  TreeReducer reducer(world, 10000, options);
  ASSERT_EQ(reducer.buffer().size(), 10000u);
  for (const size_t count : {1, 7, 100, 4099, 10000}) {
    const std::vector<float> expected = plain_tree(make_leaves(kLeaves, count), 0, kLeaves);
    std::vector<float> apart = my_subtree(world, count);
    const std::span<float> within = reducer.buffer().last(count);
    std::copy(apart.begin(), apart.end(), within.begin());
    reducer.all_reduce(within, "within");
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), within.begin())) << count;
    std::vector<float> messages = apart;
    reducer.all_reduce(apart, "apart");
    EXPECT_EQ(apart, expected);
    tree_all_reduce(world, std::span<float>(messages), "messages");
    EXPECT_EQ(messages, expected);
  }
}

inline void expect_pieces_when_larger_than_the_buffer(Communicator& world) {
  TreeReducer reducer(world, 1000);
  const std::vector<float> expected = plain_tree(make_leaves(kLeaves, 4500), 0, kLeaves);
  std::vector<float> values = my_subtree(world, 4500);
  reducer.all_reduce(values);
  EXPECT_EQ(values, expected);
}

// Slices that are uneven, and for some ranks empty.
inline std::vector<int64_t> uneven_offsets(int ranks, int64_t count) {
  std::vector<int64_t> offsets = {0};
  for (int r = 1; r < ranks; ++r) {
    const int64_t even = count * r / ranks;
    const int64_t end = std::max(offsets.back(), std::min(count, even + 5 * (r % 2)));
    offsets.push_back(r % 3 == 2 ? offsets.back() : end);
  }
  offsets.push_back(count);
  return offsets;
}

inline void expect_tree_bits_of_slices(Communicator& world, TreeReducerOptions options = {}) {
  TreeReducer reducer(world, 1000, options);
  for (const size_t count : {0, 1, 3, 100, 7001}) {
    const std::vector<float> expected = plain_tree(make_leaves(kLeaves, count), 0, kLeaves);
    const auto offsets = uneven_offsets(world.size(), static_cast<int64_t>(count));
    const auto me = static_cast<size_t>(world.rank());
    const auto begin = static_cast<size_t>(offsets[me]);
    std::vector<float> mine(static_cast<size_t>(offsets[me + 1]) - begin, -1.0f);
    reducer.reduce_scatter(my_subtree(world, count), offsets, mine, "slices");
    EXPECT_TRUE(std::ranges::equal(mine, std::span(expected).subspan(begin, mine.size()))) << count;
    std::vector<float> all(count, -1.0f);
    std::ranges::copy(mine, all.begin() + static_cast<int64_t>(begin));
    reducer.all_gather(all, offsets, "slices");
    EXPECT_EQ(all, expected);
  }
}

inline void expect_doubles(Communicator& world) {
  for (const size_t count : {1, 3000}) {
    std::vector<double> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = double(i) + world.rank();
    tree_all_reduce(world, std::span<double>(values));
    const int n = world.size();
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(values[i], double(i) * n + n * (n - 1) / 2);
  }
}

// Leaf `leaf` has every third row, from its own number on, of 20; leaf 5 has none.
inline SparseRows leaf_rows(int leaf) {
  SparseRows rows;
  rows.width = 6;
  if (leaf == 5) return rows;
  for (int64_t id = leaf % 3; id < 20; id += 3) {
    rows.ids.push_back(id);
    const auto values = leaf_values(leaf * 100 + static_cast<int>(id), 6);
    rows.values.insert(rows.values.end(), values.begin(), values.end());
    rows.values.back() = -0.0f;
  }
  return rows;
}

inline SparseRows merged_leaves(int first, int count) {
  if (count == 1) return leaf_rows(first);
  return merge_rows(merged_leaves(first, count / 2), merged_leaves(first + count / 2, count / 2));
}

inline void expect_row_bits(Communicator& world) {
  const int share = kLeaves / world.size();
  RowTreeAccumulator mine(6);
  for (int i = 0; i < share; ++i) mine.push(leaf_rows(world.rank() * share + i));
  const SparseRows sum = tree_all_reduce_rows(world, mine.finish());
  EXPECT_EQ(sum, merged_leaves(0, kLeaves));
}

}  // namespace heddle
