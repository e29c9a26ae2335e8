#include "framework/parallel/mesh.h"

#include <gtest/gtest.h>

#include "framework/comm/threads.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

TEST(Mesh, DataTakesAllRanksUnlessTold) {
  run_threads(4, [](Communicator& world) {
    for (const int data : {0, 4}) {
      const Mesh mesh(world, {.data = data});
      EXPECT_EQ(mesh.size().data, 4);
      EXPECT_EQ(mesh.data().size(), 4);
      EXPECT_EQ(mesh.data().rank(), world.rank());
      EXPECT_EQ(mesh.tensor().size(), 1);
    }
  });
}

TEST(Mesh, RanksOfATensorGroupAreNeighbours) {
  run_threads(4, [](Communicator& world) {
    const Mesh mesh(world, {.tensor = 2});
    EXPECT_EQ(mesh.size().data, 2);
    EXPECT_EQ(mesh.data().rank(), world.rank() / 2);
    EXPECT_EQ(mesh.tensor().rank(), world.rank() % 2);
    EXPECT_EQ(mesh.is_root(), world.rank() == 0);
    const Group group = mesh.group(4);
    EXPECT_EQ(group.first(), world.rank() % 2 * 2);
    EXPECT_EQ(group.count(), 2);
  });
}

TEST(Mesh, WrongSizesAreRefused) {
  run_threads(4, [](Communicator& world) {
    EXPECT_HEDDLE_ERROR(Mesh(world, {.tensor = 3}), ExitCode::kInput,
                        "parallel.data: 1 x parallel.tensor: 3 needs 3 ranks; there are 4");
    EXPECT_HEDDLE_ERROR(Mesh(world, {.tensor = 2}).group(3), ExitCode::kInput,
                        "2 tensor-parallel ranks cannot share 3 slices");
    EXPECT_HEDDLE_ERROR(Mesh(world, {.data = 3}), ExitCode::kInput,
                        "parallel.data: 3 x parallel.tensor: 1 needs 3 ranks; there are 4");
    EXPECT_INVALID(Mesh(world, {.data = -1}), "[mesh] data -1 x tensor 1");
    EXPECT_INVALID(Mesh(world, {.tensor = 0}), "[mesh] data 0 x tensor 0");
  });
}

}  // namespace
}  // namespace heddle
