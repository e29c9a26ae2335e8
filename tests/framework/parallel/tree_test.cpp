#include "framework/parallel/tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/framework/parallel/tree_test_data.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

TEST(TreeSum, PartsAreAddedInTreeOrder) {
  for (const int count : {1, 2, 4, 8, 16}) {
    const auto leaves = make_leaves(count, 1300);
    std::vector<const float*> parts;
    for (const auto& leaf : leaves) parts.push_back(leaf.data());
    std::vector<float> sum(1300);
    tree_sum(parts, sum);
    EXPECT_EQ(sum, plain_tree(leaves, 0, leaves.size())) << count;
  }
}

TEST(TreeSum, AnotherOrderHasOtherBits) {
  const auto leaves = make_leaves(8, 1000);
  std::vector<float> in_turn(1000, 0.0f);
  for (const auto& leaf : leaves) tree_add(in_turn, leaf, in_turn);
  EXPECT_NE(in_turn, plain_tree(leaves, 0, 8));
}

TEST(TreeSum, ToAllOverwritesEveryPart) {
  for (const size_t count : {2, 3, 4, 8}) {
    const auto leaves = make_leaves(static_cast<int>(count), 700);
    std::vector<const float*> inputs;
    for (const auto& leaf : leaves) inputs.push_back(leaf.data());
    std::vector<float> expected(700);
    tree_sum(inputs, expected);
    auto copies = leaves;
    std::vector<float*> parts;
    for (auto& copy : copies) parts.push_back(copy.data());
    tree_sum_to_all(parts, 699);
    for (size_t p = 0; p < count; ++p) {
      EXPECT_TRUE(std::equal(expected.begin(), expected.end() - 1, copies[p].begin()));
      EXPECT_EQ(copies[p][699], leaves[p][699]) << "past the end";
    }
  }
}

TEST(TreeSum, OddNumbersAreCutAtTheLargestPowerOfTwo) {
  const auto leaves = make_leaves(7, 300);
  std::vector<const float*> parts;
  for (const auto& leaf : leaves) parts.push_back(leaf.data());
  std::vector<float> sum(300);
  tree_sum(parts, sum);
  for (size_t i = 0; i < sum.size(); ++i) {
    const float last_three = plain_tree(leaves, 4, 2, i) + leaves[6][i];
    ASSERT_EQ(sum[i], plain_tree(leaves, 0, 4, i) + last_three);
  }
}

TEST(TreeSum, DoublesFollowTheSameTree) {
  EXPECT_EQ(tree_sum(std::span<const double>()), 0.0);
  const std::vector<double> values = {1e16, 1.0, 1.0, -1e16, 1.0, 1.0};
  EXPECT_EQ(tree_sum(values), ((1e16 + 1.0) + (1.0 + -1e16)) + (1.0 + 1.0));
  EXPECT_EQ(tree_sum(std::span(values).first(1)), 1e16);
}

TEST(TreeAdd, SizesAreCompared) {
  std::vector<float> a(3), b(4);
  EXPECT_INVALID(tree_add(a, b, a), "[tree_add] 3 + 4 floats into 3");
  EXPECT_INVALID(tree_sum(std::span<const float* const>(), a), "[tree_sum] no parts");
  EXPECT_INVALID(tree_sum_to_all({}, 1), "[tree_sum] no parts");
}

// Pushes subtrees of the given levels, each summed by the plain tree.
std::vector<float> accumulate(const std::vector<std::vector<float>>& leaves,
                              const std::vector<int>& levels) {
  std::vector<float> result(leaves[0].size(), 99.0f);
  TreeAccumulator sum(result);
  size_t first = 0;
  for (const int level : levels) {
    const std::vector<float> subtree = plain_tree(leaves, first, size_t{1} << level);
    std::copy(subtree.begin(), subtree.end(), sum.next().begin());
    sum.push(level);
    first += size_t{1} << level;
  }
  EXPECT_EQ(sum.leaves(), static_cast<int64_t>(leaves.size()));
  sum.finish();
  return result;
}

TEST(TreeAccumulator, AnyGroupingIntoAlignedSubtreesHasTheSameBits) {
  const auto leaves = make_leaves(16, 500);
  const std::vector<float> expected = plain_tree(leaves, 0, 16);
  EXPECT_EQ(accumulate(leaves, std::vector<int>(16, 0)), expected);
  EXPECT_EQ(accumulate(leaves, {4}), expected);
  EXPECT_EQ(accumulate(leaves, {3, 3}), expected);
  EXPECT_EQ(accumulate(leaves, {2, 1, 1, 3}), expected);
  EXPECT_EQ(accumulate(leaves, {0, 0, 1, 2, 2, 0, 0, 1}), expected);
}

TEST(TreeAccumulator, OneBufferServesManySumsAndNoneIsZero) {
  const auto leaves = make_leaves(4, 10);
  std::vector<float> result(10, 5.0f);
  TreeAccumulator sum(result);
  sum.finish();
  EXPECT_EQ(result, std::vector<float>(10, 0.0f));
  for (int round = 0; round < 2; ++round) {
    for (const auto& leaf : leaves) {
      std::copy(leaf.begin(), leaf.end(), sum.next().begin());
      sum.push();
    }
    sum.finish();
    EXPECT_EQ(result, plain_tree(leaves, 0, 4));
  }
}

TEST(TreeAccumulator, OddNumberOfLeavesMergesFromTheRight) {
  const auto leaves = make_leaves(3, 100);
  const std::vector<float> sum = accumulate(leaves, {0, 0, 0});
  for (size_t i = 0; i < sum.size(); ++i) {
    ASSERT_EQ(sum[i], plain_tree(leaves, 0, 2, i) + leaves[2][i]);
  }
}

TEST(TreeAccumulator, UnalignedSubtreeIsRefused) {
  std::vector<float> result(4);
  TreeAccumulator sum(result);
  sum.next();
  sum.push();
  EXPECT_INVALID(sum.push(1), "[tree] a subtree of 2^1 leaves at leaf 1");
}

}  // namespace
}  // namespace heddle
