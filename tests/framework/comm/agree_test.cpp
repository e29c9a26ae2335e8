#include "framework/comm/agree.h"

#include <gtest/gtest.h>

#include "framework/comm/single.h"
#include "framework/comm/threads.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

TEST(Agree, NothingToSayIsNothing) {
  run_threads(4, [](Communicator& world) {
    const Agreement all = agree(world, {.step = 3, .hash = 0xfedcba9876543210u});
    EXPECT_FALSE(all.stop);
    EXPECT_FALSE(all.non_finite);
    EXPECT_EQ(all.error, 0);
    EXPECT_EQ(all.error_rank, -1);
    EXPECT_TRUE(all.hashes_equal);
  });
}

TEST(Agree, OneRanksFlagsReachAll) {
  run_threads(4, [](Communicator& world) {
    const bool third = world.rank() == 2;
    EXPECT_TRUE(agree(world, {.stop = third}).stop);
    EXPECT_TRUE(agree(world, {.non_finite = third}).non_finite);
    EXPECT_FALSE(agree(world, {.stop = third}).non_finite);
    EXPECT_FALSE(agree(world, {.hash = third ? ~uint64_t{0} : 1u}).hashes_equal);
  });
}

TEST(Agree, LargestErrorAndItsLowestRank) {
  run_threads(4, [](Communicator& world) {
    const int codes[] = {0, 70, 74, 74};
    const Agreement all = agree(world, {.error = codes[world.rank()]});
    EXPECT_EQ(all.error, 74);
    EXPECT_EQ(all.error_rank, 2);
  });
  const Agreement alone = agree(*make_single(), {.error = 64});
  EXPECT_EQ(alone.error, 64);
  EXPECT_EQ(alone.error_rank, 0);
}

TEST(Agree, DifferentStepsAreAnError) {
  const auto body = [](Communicator& world) { agree(world, {.step = 10 + world.rank()}); };
  EXPECT_HEDDLE_ERROR(run_threads(3, body), ExitCode::kInternal, "different steps: 10 to 12");
  EXPECT_INVALID(agree(*make_single(), {.error = -1}), "[agree] error code -1");
}

}  // namespace
}  // namespace heddle
