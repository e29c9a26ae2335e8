#include "framework/device/allocator.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

namespace heddle {
namespace {

TEST(Allocator, BlocksAreAlignedAndWritable) {
  for (const int64_t bytes : {1, 63, 64, 1000, 5 << 20}) {
    const auto block = allocate(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block.get()) % 64, 0u);
    block.get()[0] = std::byte{1};
    block.get()[bytes - 1] = std::byte{2};
  }
  EXPECT_EQ(allocate(0), nullptr);
}

TEST(Allocator, AFreedBlockIsHandedOutAgain) {
  release_kept_memory();
  std::byte* first = nullptr;
  {
    const auto block = allocate(100000);
    first = block.get();
  }
  EXPECT_GE(memory_statistics().kept, 100000);
  EXPECT_EQ(allocate(99000).get(), first);
}

TEST(Allocator, StatisticsFollowTheBlocks) {
  const int64_t before = memory_statistics().in_use;
  {
    const auto block = allocate(1 << 20);
    EXPECT_GE(memory_statistics().in_use, before + (1 << 20));
    EXPECT_GE(memory_statistics().high_water, before + (1 << 20));
  }
  EXPECT_EQ(memory_statistics().in_use, before);
  release_kept_memory();
  EXPECT_EQ(memory_statistics().kept, 0);
}

TEST(Allocator, ThreadsShareIt) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([t] {
      for (int i = 1; i < 300; ++i) {
        const auto block = allocate(i * 40);
        block.get()[0] = static_cast<std::byte>(t);
        const auto other = allocate(i * 40);
        other.get()[0] = std::byte{9};
        ASSERT_EQ(block.get()[0], static_cast<std::byte>(t));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace heddle
