#include "framework/comm/threads.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "framework/comm/rank_board.h"
#include "framework/core/error.h"
#include "tests/framework/comm/communicator_expectations.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

class ThreadsOfRanks : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Sizes, ThreadsOfRanks, testing::Values(1, 2, 3, 4, 8));

TEST_P(ThreadsOfRanks, Reduce) {
  run_threads(GetParam(), expect_reductions);
}
TEST_P(ThreadsOfRanks, Gather) {
  run_threads(GetParam(), expect_gathers);
}
TEST_P(ThreadsOfRanks, Broadcast) {
  run_threads(GetParam(), expect_broadcasts);
}
TEST_P(ThreadsOfRanks, PassMessages) {
  run_threads(GetParam(), expect_ring_and_exchange);
}
TEST_P(ThreadsOfRanks, Split) {
  run_threads(GetParam(), expect_splits);
}
TEST_P(ThreadsOfRanks, ShareMemory) {
  run_threads(GetParam(), expect_shared_memory);
}

TEST(Threads, SixtyFourRanksOnFewCores) {
  run_threads(64, [](Communicator& world) {
    for (int i = 0; i < 20; ++i) ASSERT_EQ(all_reduce(world, int64_t{1}, Reduction::kSum), 64);
  });
}

TEST(Threads, NodesAreConsecutiveRanks) {
  run_threads(6,
              [](Communicator& world) {
                const auto node = world.split_by_node();
                EXPECT_EQ(node->size(), world.rank() < 4 ? 4 : 2);
                EXPECT_EQ(all_gather(*node, world.rank())[0], world.rank() < 4 ? 0 : 4);
                EXPECT_INVALID(world.allocate_shared(8), "the group spans nodes 0 to 1");
                EXPECT_EQ(node->allocate_shared(8).size(), node->size());
              },
              {.ranks_per_node = 4});
}

TEST(Threads, FirstFailureIsRethrownAndOthersAreWoken) {
  std::atomic<int> woken{0};
  const auto body = [&](Communicator& world) {
    if (world.rank() == 2) throw Error(ExitCode::kInput, "rank 2 cannot read its file");
    try {
      world.barrier();
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("rank 2 failed"), std::string::npos) << e.what();
      ++woken;
      throw;
    }
  };
  EXPECT_HEDDLE_ERROR(run_threads(4, body), ExitCode::kInput, "rank 2 cannot read its file");
  EXPECT_EQ(woken, 3);
}

TEST(Threads, FailureWakesRanksInSharedMemoryBarrierAndRecv) {
  const auto body = [](Communicator& world) {
    SharedArena arena = world.allocate_shared(8);
    if (world.rank() == 0) arena.barrier();
    std::array<std::byte, 4> bytes{};
    if (world.rank() == 1) world.recv(bytes, 2);
    throw Error(ExitCode::kIo, "disk full");
  };
  EXPECT_HEDDLE_ERROR(run_threads(3, body), ExitCode::kIo, "disk full");
}

TEST(Threads, RankThatEndedIsReportedToThoseWhoWait) {
  const auto wait = [](Communicator& world) {
    if (world.rank() == 0) world.barrier("end of step");
  };
  EXPECT_HEDDLE_ERROR(run_threads(2, wait), ExitCode::kInternal,
                      "rank 0 waits in #1 barrier 'end of step' for rank 1, which has ended");
  const auto spin = [](Communicator& world) {
    SharedArena arena = world.allocate_shared(8);
    if (world.rank() == 0) arena.barrier();
  };
  EXPECT_HEDDLE_ERROR(run_threads(2, spin), ExitCode::kInternal, "a barrier in shared memory");
  const auto receive = [](Communicator& world) {
    std::array<std::byte, 4> bytes{};
    if (world.rank() == 0) world.recv(bytes, 1);
  };
  EXPECT_HEDDLE_ERROR(run_threads(2, receive), ExitCode::kInternal, "recv from rank 1");
}

TEST(Threads, MixedUpCollectivesAreReported) {
  const auto operations = [](Communicator& world) {
    if (world.rank() == 0)
      world.barrier();
    else
      all_reduce(world, 1.0, Reduction::kSum, "loss");
  };
  EXPECT_HEDDLE_ERROR(run_threads(3, operations), ExitCode::kInternal,
                      "rank 0 is at #1 barrier; rank 1, 2 is at #1 all_reduce sum f64 x 1 'loss'");
  const auto counts = [](Communicator& world) {
    std::vector<float> values(static_cast<size_t>(10 + world.rank()));
    world.all_reduce(std::span<float>(values), Reduction::kSum, "grad");
  };
  EXPECT_HEDDLE_ERROR(run_threads(2, counts), ExitCode::kInternal, "f32 x 11 'grad'");
  const auto sequences = [](Communicator& world) {
    if (world.rank() == 1) world.enter("all_reduce sum", "f32", 1, "extra");
    world.barrier();
  };
  EXPECT_HEDDLE_ERROR(run_threads(2, sequences), ExitCode::kInternal,
                      "#1 all_reduce sum f32 x 1 'extra'");
}

TEST(Threads, WithoutVerificationOrBoardSizesAreStillChecked) {
  const auto body = [](Communicator& world) {
    world.set_verify(false);
    std::vector<std::unique_ptr<Communicator>> groups;
    for (int i = 0; i < RankBoard::kChannels; ++i) groups.push_back(world.split(0, world.rank()));
    std::vector<std::byte> bytes(world.rank() == 0 ? 8 : 4);
    groups.back()->broadcast(bytes, 0, "weights");  // for which there was no channel left
  };
  EXPECT_HEDDLE_ERROR(
      run_threads(2, body), ExitCode::kInternal,
      "rank 0 brings 8 bytes to #1 broadcast bytes x 4 'weights', where rank 1 expects 4");
}

TEST(Threads, MessageOfAnotherSizeIsAnError) {
  const auto body = [](Communicator& world) {
    std::array<std::byte, 8> bytes{};
    if (world.rank() == 0)
      world.send(bytes, 1);
    else
      world.recv(std::span(bytes).first(4), 0);
  };
  EXPECT_HEDDLE_ERROR(run_threads(2, body), ExitCode::kInternal,
                      "rank 0 sent 8 bytes to rank 1, which expects 4");
}

TEST(Threads, AbortEndsEveryRank) {
  const auto body = [](Communicator& world) {
    if (world.rank() == 1) world.abort(65);
    world.barrier();
  };
  EXPECT_HEDDLE_ERROR(run_threads(4, body), ExitCode::kNoData, "rank 1 aborted with code 65");
}

TEST(Threads, NumberOfRanksIsChecked) {
  EXPECT_INVALID(run_threads(0, [](Communicator&) {}), "[run_threads] 0 ranks");
}

}  // namespace
}  // namespace heddle
