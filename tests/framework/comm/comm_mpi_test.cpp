// The MPI back end; runs under mpirun.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <thread>

#include "framework/comm/agree.h"
#include "framework/comm/mpi_communicator.h"
#include "tests/framework/comm/communicator_expectations.h"
#include "tests/support/expect_throw.h"
#include "tests/support/mpi_main.h"

namespace heddle {
namespace {

TEST(Mpi, Reduce) {
  expect_reductions(test_world());
}
TEST(Mpi, Gather) {
  expect_gathers(test_world());
}
TEST(Mpi, Broadcast) {
  expect_broadcasts(test_world());
}
TEST(Mpi, PassMessages) {
  expect_ring_and_exchange(test_world());
}
TEST(Mpi, Split) {
  expect_splits(test_world());
}
TEST(Mpi, ShareMemory) {
  expect_shared_memory(test_world());
}

TEST(Mpi, AgreeOnAStep) {
  Communicator& world = test_world();
  const Agreement all = agree(world, {.stop = world.rank() == world.size() - 1, .hash = 5});
  EXPECT_TRUE(all.stop);
  EXPECT_TRUE(all.hashes_equal);
}

TEST(Mpi, MixedUpCollectivesAreReportedWhenVerifying) {
  if (test_world().size() == 1) GTEST_SKIP() << "a rank alone agrees with itself";
  const auto world = test_world().split(0, test_world().rank());
  world->set_verify(true);
  world->barrier("same");
  const auto differ = [&] {
    if (world->rank() == 0)
      world->barrier();
    else
      all_reduce(*world, int64_t{1}, Reduction::kSum, "rows");
  };
  EXPECT_HEDDLE_ERROR(differ(), ExitCode::kInternal, "is at #2 all_reduce sum i64 x 1 'rows'");
}

TEST(Mpi, MessageOfAnotherSizeIsAnError) {
  Communicator& world = test_world();
  if (world.size() == 1) GTEST_SKIP() << "nobody to send to";
  std::array<std::byte, 8> bytes{};
  if (world.rank() == 0) world.send(std::span(bytes).first(4), 1);
  if (world.rank() == 1) {
    EXPECT_HEDDLE_ERROR(world.recv(bytes, 0), ExitCode::kInternal,
                        "rank 0 sent 4 bytes to rank 1, which expects 8");
  }
  if (world.rank() == 0) world.send(bytes, 1);
  if (world.rank() == 1) {
    EXPECT_HEDDLE_ERROR(world.recv(std::span(bytes).first(4), 0), ExitCode::kIo,
                        "MPI_Recv failed: MPI_ERR_TRUNCATE");
  }
}

TEST(Mpi, FailedCallHasTheLibrarysText) {
  if (test_world().size() == 1) GTEST_SKIP() << "a rank alone calls no MPI";
  EXPECT_HEDDLE_ERROR(check_mpi(15, "MPI_Bcast"), ExitCode::kIo,
                      "MPI_Bcast failed: MPI_ERR_TRUNCATE: message truncated");
}

TEST(Mpi, CallsFromAnotherThreadAreRefused) {
  if (test_world().size() == 1) GTEST_SKIP() << "a rank alone calls no MPI";
  std::thread([] {
    EXPECT_INVALID(test_world().barrier(), "[mpi] called from another thread");
  }).join();
}

TEST(Mpi, TooLittleSharedMemoryIsReportedOnAllRanks) {
  if (test_world().size() == 1) GTEST_SKIP() << "a rank alone shares nothing";
  EXPECT_HEDDLE_ERROR(test_world().allocate_shared(int64_t{1} << 50), ExitCode::kIo,
                      "ranks on this node share");
}

TEST(Mpi, MemoryThatCannotBeSharedIsReportedOnAllRanks) {
  if (test_world().size() == 1) GTEST_SKIP() << "a rank alone shares nothing";
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = files.rlim_max};
  const rlimit& allowed = test_world().rank() == 1 ? none : files;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &allowed), 0);
  EXPECT_HEDDLE_ERROR(test_world().allocate_shared(4096), ExitCode::kIo,
                      "shared memory: rank 0 cannot open the memory of rank 1, process ");
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
}

}  // namespace
}  // namespace heddle
