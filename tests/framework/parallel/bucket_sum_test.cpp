#include "framework/parallel/bucket_sum.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "framework/comm/threads.h"
#include "framework/parallel/tree_reduce.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

constexpr int64_t kCount = 3 * BucketSum::kBucket + 1234;

std::vector<float> numbers(int rank, int round) {
  std::mt19937 random(static_cast<unsigned>(100 * round + rank));
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(kCount);
  for (float& v : values) v = uniform(random);
  return values;
}

// What the sum in one piece gives.
std::vector<float> in_one_piece(Communicator& world, int round) {
  TreeReducer reducer(world, kCount);
  const std::vector<float> mine = numbers(world.rank(), round);
  std::ranges::copy(mine, reducer.buffer().begin());
  reducer.all_reduce(reducer.buffer());
  return {reducer.buffer().begin(), reducer.buffer().end()};
}

class BucketsOfRanks : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, BucketsOfRanks, testing::Values(1, 2, 4));

// Each rank fills at a pace of its own, in steps that are no buckets, and looks now and then.
TEST_P(BucketsOfRanks, GiveTheBitsOfTheSumInOnePiece) {
  run_threads(GetParam(), [](Communicator& world) {
    TreeReducer reducer(world, kCount);
    for (int round = 0; round < 3; ++round) {
      const std::vector<float> expected = in_one_piece(world, round);
      const std::vector<float> mine = numbers(world.rank(), round);
      reducer.begin(kCount);
      const int64_t step = 70'001 + 30'000 * world.rank();
      for (int64_t done = 0; done < kCount;) {
        const int64_t end = std::min(done + step, kCount);
        std::copy(mine.begin() + done, mine.begin() + end, reducer.buffer().begin() + done);
        done = end;
        reducer.ready(done);
        reducer.progress();
        if (world.rank() == round) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      reducer.finish("test");
      EXPECT_TRUE(std::ranges::equal(reducer.buffer(), expected)) << "round " << round;
      world.barrier();  // before the next round writes what others still compare
    }
  });
}

TEST_P(BucketsOfRanks, ThatNobodyCalledReadyAreAddedInTheEnd) {
  run_threads(GetParam(), [](Communicator& world) {
    TreeReducer reducer(world, kCount);
    const std::vector<float> expected = in_one_piece(world, 7);
    std::ranges::copy(numbers(world.rank(), 7), reducer.buffer().begin());
    reducer.begin(kCount);
    if (world.rank() > 0) reducer.ready(BucketSum::kBucket);
    reducer.progress();
    reducer.finish("test");
    EXPECT_TRUE(std::ranges::equal(reducer.buffer(), expected));
  });
}

TEST(BucketSum, WhatAllHaveReadyIsAddedBeforeTheEnd) {
  run_threads(2, [](Communicator& world) {
    SharedArena arena = world.allocate_shared(kCount * int64_t{sizeof(float)});
    const std::span<float> values(reinterpret_cast<float*>(arena.mine()), kCount);
    std::ranges::fill(values, 1.0f);
    BucketSum sum(world, arena);
    sum.begin(values);
    EXPECT_INVALID(sum.ready(kCount + 1), "values are ready");
    sum.ready(BucketSum::kBucket);
    world.barrier();
    sum.progress();
    world.barrier();
    EXPECT_EQ(values[0], 2);
    EXPECT_EQ(values[BucketSum::kBucket - 1], 2);
    EXPECT_EQ(values[BucketSum::kBucket], 1);
    EXPECT_INVALID(sum.begin(values), "before the last one has ended");
    world.barrier();
    sum.finish();
    EXPECT_EQ(values[kCount - 1], 2);
    EXPECT_EQ(values[0], 2);
  });
}

}  // namespace
}  // namespace heddle
