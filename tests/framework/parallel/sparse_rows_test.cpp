#include "framework/parallel/sparse_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "framework/comm/threads.h"
#include "framework/parallel/tree.h"
#include "tests/framework/parallel/reduce_expectations.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

std::vector<float> dense(const SparseRows& rows, int64_t count) {
  std::vector<float> all(static_cast<size_t>(count * rows.width), 0.0f);
  for (size_t i = 0; i < rows.ids.size(); ++i) {
    std::copy_n(rows.row(i).begin(), rows.width, all.begin() + rows.ids[i] * rows.width);
  }
  return all;
}

TEST(MergeRows, UnionOfRowsWithValuesAdded) {
  const SparseRows left{2, {1, 4, 9}, {1, 2, 3, 4, 5, 6}};
  const SparseRows right{2, {0, 4}, {10, 20, 30, 40}};
  const SparseRows expected{2, {0, 1, 4, 9}, {10, 20, 1, 2, 33, 44, 5, 6}};
  EXPECT_EQ(merge_rows(left, right), expected);
  EXPECT_EQ(merge_rows(left, {2, {}, {}}), left);
  EXPECT_EQ(merge_rows({2, {}, {}}, right), right);
}

TEST(MergeRows, AbsentRowCountsAsPositiveZero) {
  const SparseRows negative{1, {3}, {-0.0f}};
  const SparseRows nothing{1, {}, {}};
  EXPECT_TRUE(std::signbit(negative.values[0]));
  EXPECT_FALSE(std::signbit(merge_rows(negative, nothing).values[0]));
  EXPECT_FALSE(std::signbit(merge_rows(nothing, negative).values[0]));
  EXPECT_TRUE(std::signbit(merge_rows(negative, negative).values[0]));
}

TEST(MergeRows, EveryLevelHasTheBitsOfTheDenseAddition) {
  std::vector<std::vector<float>> leaves;
  for (int leaf = 0; leaf < kLeaves; ++leaf) leaves.push_back(dense(leaf_rows(leaf), 20));
  for (const int count : {2, 4, 8}) {
    const std::vector<float> rows = dense(merged_leaves(0, count), 20);
    const std::vector<float> whole = plain_tree(leaves, 0, static_cast<size_t>(count));
    ASSERT_EQ(rows.size(), whole.size());
    EXPECT_EQ(std::memcmp(rows.data(), whole.data(), rows.size() * sizeof(float)), 0) << count;
  }
}

TEST(RowTreeAccumulator, AnyGroupingHasTheSameBits) {
  RowTreeAccumulator sum(6);
  for (int leaf = 0; leaf < 8; ++leaf) sum.push(leaf_rows(leaf));
  const SparseRows expected = merged_leaves(0, 8);
  EXPECT_EQ(sum.finish(), expected);
  sum.push(merged_leaves(0, 4), 2);
  sum.push(merged_leaves(4, 2), 1);
  sum.push(leaf_rows(6));
  sum.push(leaf_rows(7));
  EXPECT_EQ(sum.finish(), expected);
  EXPECT_EQ(sum.finish(), (SparseRows{6, {}, {}}));
}

TEST(TreeAllReduceRows, OtherNumbersOfRanksUseTheCutTree) {
  run_threads(3, [](Communicator& world) {
    const SparseRows sum = tree_all_reduce_rows(world, leaf_rows(world.rank()));
    EXPECT_EQ(sum, merge_rows(merged_leaves(0, 2), leaf_rows(2)));
  });
}

TEST(SparseRows, MalformedOnesAreRefused) {
  const SparseRows good{2, {1}, {1, 2}};
  EXPECT_INVALID(merge_rows(good, {3, {}, {}}), "[merge_rows] rows of width 2 and 3");
  EXPECT_INVALID(merge_rows(good, {2, {1, 2}, {1, 2}}), "[sparse_rows] 2 values for 2 rows");
  EXPECT_INVALID(merge_rows(good, {2, {5, 5}, {1, 2, 3, 4}}), "[sparse_rows] row 5 follows row 5");
  RowTreeAccumulator sum(2);
  EXPECT_INVALID(sum.push({3, {}, {}}), "[sparse_rows] rows of width 3. Expected 2");
  sum.push(good);
  EXPECT_INVALID(sum.push(good, 1), "[sparse_rows] a subtree of 2^1 leaves at leaf 1");
}

}  // namespace
}  // namespace heddle
