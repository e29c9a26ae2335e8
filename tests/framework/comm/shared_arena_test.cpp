#include "framework/comm/shared_arena.h"

#include <gtest/gtest.h>

#include <utility>

#include "framework/comm/threads.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

TEST(SharedArena, PrivateOneHasZeroedAlignedMemory) {
  SharedArena arena = private_arena(100);
  EXPECT_EQ(arena.size(), 1);
  EXPECT_EQ(arena.bytes(0), 100);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(arena.mine()) % 64, 0u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(arena.mine()[i], std::byte{0});
  arena.barrier();  // nobody to wait for
}

TEST(SharedArena, OutlivesItsCommunicatorAndMoves) {
  run_threads(4, [](Communicator& world) {
    SharedArena kept;
    {
      const auto group = world.split(0, world.rank());
      SharedArena arena = group->allocate_shared(64);
      kept = std::move(arena);
    }
    kept.mine()[5] = static_cast<std::byte>(world.rank());
    kept.barrier();
    for (int r = 0; r < 4; ++r) EXPECT_EQ(kept.peer(r)[5], static_cast<std::byte>(r));
  });
}

TEST(SharedArena, TooLittleMemoryIsReportedWithSizesAndHint) {
  check_free_memory(4096, 2);
  try {
    check_free_memory(int64_t{1} << 60, 8);
    FAIL() << "an exbibyte fits";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kIo);
    const std::string what = e.what();
    EXPECT_NE(what.find("8 ranks on this node share 1099511627776.0 MiB, but"), std::string::npos)
        << what;
    EXPECT_NE(e.hint().find("start fewer ranks on a node"), std::string::npos) << e.hint();
  }
}

}  // namespace
}  // namespace heddle
