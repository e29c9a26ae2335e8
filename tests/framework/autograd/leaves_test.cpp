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

}  // namespace
}  // namespace heddle
