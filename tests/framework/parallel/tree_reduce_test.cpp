#include "framework/parallel/tree_reduce.h"

#include <gtest/gtest.h>

#include "framework/comm/threads.h"
#include "tests/framework/parallel/reduce_expectations.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

class TreeReducerOfRanks : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Sizes, TreeReducerOfRanks, testing::Values(1, 2, 4, 8));

TEST_P(TreeReducerOfRanks, SharedMemoryGivesTheTree) {
  run_threads(GetParam(), [](Communicator& world) { expect_tree_bits(world); });
}
TEST_P(TreeReducerOfRanks, MessagesGiveTheTree) {
  run_threads(GetParam(),
              [](Communicator& world) { expect_tree_bits(world, {.shared_memory = false}); });
}
TEST_P(TreeReducerOfRanks, TwoRanksANodeGiveTheTree) {
  run_threads(GetParam(), [](Communicator& world) { expect_tree_bits(world); },
              {.ranks_per_node = 2});
}
TEST_P(TreeReducerOfRanks, LargerThanTheBufferGoesInPieces) {
  run_threads(GetParam(), expect_pieces_when_larger_than_the_buffer);
}
TEST_P(TreeReducerOfRanks, ScatteredAndGatheredSlicesAreThoseOfTheTree) {
  run_threads(GetParam(), [](Communicator& world) { expect_tree_bits_of_slices(world); });
  run_threads(GetParam(), [](Communicator& world) {
    expect_tree_bits_of_slices(world, {.shared_memory = false});
  });
  run_threads(GetParam(), [](Communicator& world) { expect_tree_bits_of_slices(world); },
              {.ranks_per_node = 2});
}
TEST_P(TreeReducerOfRanks, DoublesToo) {
  run_threads(GetParam(), expect_doubles);
}
TEST_P(TreeReducerOfRanks, RowsToo) {
  run_threads(GetParam(), expect_row_bits);
}

TEST(TreeReducer, UnevenNodesFallBackToMessages) {
  run_threads(8, [](Communicator& world) { expect_tree_bits(world); }, {.ranks_per_node = 3});
  run_threads(4, [](Communicator& world) { expect_tree_bits(world); }, {.ranks_per_node = 1});
}

TEST(TreeReducer, OtherNumbersOfRanksOnlyInFastMode) {
  run_threads(3, [](Communicator& world) {
    EXPECT_INVALID(TreeReducer(world, 10),
                   "[tree_reduce] 3 ranks in canonical numerics. Expected a power of two");
    for (const bool shared : {true, false}) {
      TreeReducer reducer(world, 10, {.canonical = false, .shared_memory = shared});
      std::fill(reducer.buffer().begin(), reducer.buffer().end(), float(world.rank() + 1));
      reducer.all_reduce(reducer.buffer());
      for (const float v : reducer.buffer()) EXPECT_EQ(v, 6.0f);
      std::vector<float> mine(world.rank() == 1 ? 3 : 1);
      const std::vector<float> values(5, float(world.rank() + 1));
      reducer.reduce_scatter(values, std::vector<int64_t>{0, 1, 4, 5}, mine);
      for (const float v : mine) EXPECT_EQ(v, 6.0f);
    }
  });
}

TEST(TreeReducer, WrongSizesAreNamed) {
  run_threads(2, [](Communicator& world) {
    EXPECT_INVALID(TreeReducer(world, -1), "[tree_reduce] capacity of -1 floats");
    TreeReducer empty(world, 0);
    std::vector<float> values(5);
    EXPECT_INVALID(empty.all_reduce(values), "[tree_reduce] 5 floats through a buffer of 0");
    EXPECT_INVALID(empty.reduce_scatter(values, std::vector<int64_t>{0, 2, 5}, values),
                   "[tree_reduce] 5 floats through a buffer of 0");
    EXPECT_INVALID(empty.all_gather(values, std::vector<int64_t>{0, 2, 5}),
                   "[tree_reduce] 5 floats through a buffer of 0");
    EXPECT_INVALID(empty.all_gather(values, std::vector<int64_t>{0, 5}),
                   "[tree_reduce] 2 offsets for 2 ranks. Expected one more, ascending from 0");
    TreeReducer reducer(world, 100);
    const std::span<float> mixed = reducer.buffer().first(world.rank() == 0 ? 5 : 6);
    EXPECT_HEDDLE_ERROR(reducer.all_reduce(mixed, "bias"), ExitCode::kInternal,
                        "tree_all_reduce shared f32 x 6 'bias'");
  });
}

}  // namespace
}  // namespace heddle
