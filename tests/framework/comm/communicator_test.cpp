#include "framework/comm/communicator.h"

#include <gtest/gtest.h>

#include "framework/comm/single.h"
#include "framework/core/error.h"
#include "tests/framework/comm/communicator_expectations.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

TEST(Single, CollectivesReturnTheInput) {
  const auto world = make_single();
  expect_reductions(*world);
  expect_gathers(*world);
  expect_broadcasts(*world);
  expect_ring_and_exchange(*world);
  expect_splits(*world);
  expect_shared_memory(*world);
  world->barrier();
}

TEST(Single, AbortThrowsItsCode) {
  const auto world = make_single();
  EXPECT_HEDDLE_ERROR(world->abort(74), ExitCode::kIo, "aborted with code 74");
}

TEST(Communicator, WrongArgumentsAreNamed) {
  const auto world = make_single();
  std::array<std::byte, 4> bytes{};
  EXPECT_INVALID(world->broadcast(bytes, 3), "[broadcast] rank 3 of a group of 1");
  EXPECT_INVALID(world->gather_v(bytes, -1), "[gather_v] rank -1");
  EXPECT_INVALID(world->send(bytes, 0), "[send] rank 0 sends to itself");
  EXPECT_INVALID(world->recv(bytes, 0), "[recv] rank 0 receives from itself");
  EXPECT_INVALID(world->exchange(0, bytes, std::span(bytes).first(2)),
                 "[exchange] with itself: 4 bytes out, 2 in");
  EXPECT_INVALID(world->all_gather(bytes, std::span(bytes).first(3)),
                 "[all_gather] room for 3 bytes. Expected 4");
  EXPECT_INVALID(world->allocate_shared(-1), "[allocate_shared] -1 bytes");
}

TEST(Communicator, PositionNamesTheLastCollective) {
  const auto world = make_single();
  EXPECT_EQ(world->position(), "");
  world->barrier("start");
  EXPECT_EQ(world->position(), "#1 barrier 'start'");
  std::array<float, 3> values{};
  world->all_reduce(std::span<float>(values), Reduction::kSum, "layer3.grad");
  EXPECT_EQ(world->position(), "#2 all_reduce sum f32 x 3 'layer3.grad'");
}

TEST(Signature, MismatchTextGroupsRanksThatAgree) {
  const std::vector<RankAt> sides = {{0, "#2 barrier"}, {1, "#2 broadcast"}, {2, "#2 barrier"}};
  EXPECT_EQ(mismatch_text(sides),
            "ranks entered different collectives: rank 0, 2 is at #2 barrier; rank 1 is at #2 "
            "broadcast");
}

}  // namespace
}  // namespace heddle
