#include "framework/autograd/leaves.h"

#include <gtest/gtest.h>

#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

std::vector<LeafOffsets> one(const LeafOffsets& offsets) {
  return {offsets};
}

TEST(Leaves, WithoutAScopeAllRowsAreOne) {
  EXPECT_EQ(*leaves_of(7), (LeafOffsets{0, 7}));
  EXPECT_EQ(*leaves_of(0), (LeafOffsets{0, 0}));
}

TEST(Leaves, AScopeAnswersByTheNumberOfRows) {
  const LeafScope scope({{0, 5, 5, 12}, {0, 1, 1, 3}});
  EXPECT_EQ(*leaves_of(12), (LeafOffsets{0, 5, 5, 12}));
  EXPECT_EQ(*leaves_of(3), (LeafOffsets{0, 1, 1, 3}));
  EXPECT_INVALID(leaves_of(4), "a sum over 4 rows, which are neither tokens nor sequences");
}

TEST(Leaves, AScopeEndsWithItsBlock) {
  const LeafScope outer(one({0, 2, 4}));
  {
    const LeafScope inner(one({0, 1, 4}));
    EXPECT_EQ(*leaves_of(4), (LeafOffsets{0, 1, 4}));
  }
  EXPECT_EQ(*leaves_of(4), (LeafOffsets{0, 2, 4}));
}

TEST(Leaves, OffsetsThatDoNotAscendAreRefused) {
  EXPECT_INVALID(LeafScope(one({0, 3, 2})), "[leaves] offsets must ascend from 0");
  EXPECT_INVALID(LeafScope(one({1, 3})), "[leaves] offsets must ascend from 0");
  EXPECT_INVALID(LeafScope(one({0})), "[leaves] offsets must ascend from 0");
}

TEST(Leaves, RunsAreOfOneLeafAndOf32RowsAtMost) {
  std::vector<std::vector<int64_t>> runs;
  for (const RowRun& run : row_runs({0, 33, 33, 40})) {
    runs.push_back({run.leaf, run.begin, run.end});
  }
  EXPECT_EQ(runs, (std::vector<std::vector<int64_t>>{{0, 0, 32}, {0, 32, 33}, {2, 33, 40}}));
  EXPECT_TRUE(row_runs({0, 0}).empty());
}

TEST(RowShare, RanksShareWholeRunsAsEvenlyAsTheseAllow) {
  EXPECT_EQ(share_rows({0, 128}, 2), (std::vector<int64_t>{0, 64, 128}));
  EXPECT_EQ(share_rows({0, 100, 120}, 4), (std::vector<int64_t>{0, 32, 64, 96, 120}));
  // Fewer runs than ranks: some have nothing.
  EXPECT_EQ(share_rows({0, 20}, 2), (std::vector<int64_t>{0, 0, 20}));
  EXPECT_EQ(share_rows({0, 5, 5, 6}, 4), (std::vector<int64_t>{0, 0, 5, 5, 6}));
  EXPECT_EQ(share_rows({0, 0, 0}, 2), (std::vector<int64_t>{0, 0, 0}));
}

TEST(RowShare, AScopeIsInnermostUntilItEnds) {
  EXPECT_EQ(row_share(), nullptr);
  const auto share =
      std::make_shared<const RowShare>(RowShare{.offsets = {0, 3, 5}, .rank = 1, .all_gather = {}});
  const RowShareScope scope(share);
  EXPECT_EQ(row_share(), share);
  EXPECT_EQ(share->begin(), 3);
  EXPECT_EQ(share->size(), 2);
  EXPECT_EQ(share->whole(), 5);
  {
    const RowShareScope none(nullptr);
    EXPECT_EQ(row_share(), nullptr);
  }
  EXPECT_EQ(row_share(), share);
}

}  // namespace
}  // namespace heddle
