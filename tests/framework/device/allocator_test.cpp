#include "framework/device/allocator.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "framework/device/work.h"

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

TEST(Allocator, BlocksOfOneSlabAreApartAndGoBackWithIt) {
  release_kept_memory();
  const int64_t held = memory_statistics().held;
  {
    std::vector<std::shared_ptr<std::byte>> blocks;
    for (int i = 0; i < 60; ++i) {  // of some slabs
      blocks.push_back(allocate(100'000 + 20'000 * i));
      std::memset(blocks.back().get(), i, static_cast<size_t>(100'000 + 20'000 * i));
    }
    for (int i = 0; i < 60; ++i) {
      const std::byte* block = blocks[static_cast<size_t>(i)].get();
      EXPECT_EQ(std::count(block, block + 100'000 + 20'000 * i, std::byte(i)),
                100'000 + 20'000 * i);
      if (i % 3 == 0) blocks[static_cast<size_t>(i)].reset();
    }
    release_kept_memory();  // some blocks of each slab are still in use
    EXPECT_EQ(blocks[1].get()[50'000], std::byte{1});
  }
  release_kept_memory();
  EXPECT_EQ(memory_statistics().held, held);
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

TEST(Allocator, ZeroedBlocksAreZeroAndCounted) {
  for (const int64_t bytes : {int64_t{100}, int64_t{9'000'001}}) {
    { std::memset(allocate(bytes).get(), 1, static_cast<size_t>(bytes)); }  // kept for the next
    const int64_t before = memory_statistics().in_use;
    {
      const auto block = allocate_zeroed(bytes);
      EXPECT_EQ(memory_statistics().in_use, before + bytes);
      EXPECT_EQ(std::count(block.get(), block.get() + bytes, std::byte{0}), bytes);
      block.get()[bytes - 1] = std::byte{1};
    }
    EXPECT_EQ(memory_statistics().in_use, before);
  }
}

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(Allocator, ZeroedBlockTakesNoMemoryWhereItIsNotWritten) {
  constexpr int64_t kBytes = int64_t{256} << 20;
  const int64_t before = resident_bytes();
  const auto block = allocate_zeroed(kBytes);
  expect_few_writes({block.get(), size_t{kBytes}});
  for (int64_t at = 0; at < kBytes; at += 1 << 20) block.get()[at] = std::byte{1};
  EXPECT_LT(resident_bytes() - before, int64_t{32} << 20);
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

TEST(Allocator, CountsWhatWasAskedForAndWhatItHolds) {
  release_kept_memory();
  const MemoryStatistics before = memory_statistics();
  {
    const auto block = allocate(1000);
    EXPECT_EQ(memory_statistics().in_use, before.in_use + 1000);
    EXPECT_EQ(memory_statistics().held, before.held + 1000);
  }
  EXPECT_EQ(memory_statistics().held, before.held + 1000);  // kept for the next
  {
    const auto block = allocate(1010);  // in the same block
    EXPECT_EQ(memory_statistics().held, before.held + 1010);
  }
  release_kept_memory();
  EXPECT_EQ(memory_statistics().held, before.held);
}

TEST(Allocator, MemoryFromElsewhereIsCounted) {
  const int64_t before = memory_statistics().in_use;
  {
    CountedMemory counted(5000);
    const CountedMemory moved = std::move(counted);
    EXPECT_EQ(memory_statistics().in_use, before + 5000);
  }
  EXPECT_EQ(memory_statistics().in_use, before);
}

// Lets the tests that follow allocate again.
struct Limited {
  explicit Limited(int64_t bytes) { set_memory_limit(bytes); }
  ~Limited() { set_memory_limit(0); }
};

std::string refusal(int64_t bytes) {
  try {
    allocate(bytes);
  } catch (const std::bad_alloc& error) {
    return error.what();
  }
  return "none";
}

TEST(Allocator, ALimitIsKeptToTheByteAndTold) {
  release_kept_memory();
  const int64_t before = memory_statistics().held;
  const Limited limited(before + (3 << 20));
  const auto two = allocate(2 << 20);
  EXPECT_EQ(refusal(1 << 20), "none");
  release_kept_memory();
  const std::string told = refusal((1 << 20) + 1);
  EXPECT_EQ(told.find("out of memory: 1.0 MiB more were asked for with "), 0u) << told;
  EXPECT_NE(told.find(" MiB in use. The limit is "), std::string::npos) << told;
  EXPECT_EQ(memory_statistics().held, before + (2 << 20));
  EXPECT_THROW(CountedMemory((1 << 20) + 1), MemoryLimitReached);
  EXPECT_EQ(memory_statistics().held, before + (2 << 20));
}

TEST(Allocator, FreeBlocksAreGivenBackBeforeTheLimitRefuses) {
  release_kept_memory();
  const Limited limited(memory_statistics().held + (3 << 20));
  { const auto kept = allocate(2 << 20); }
  EXPECT_GE(memory_statistics().kept, 2 << 20);
  EXPECT_EQ(refusal(3 << 20), "none");
  release_kept_memory();
  // A kept block may be large enough, and the part that nobody has touched too much.
  constexpr int64_t kMost = 9 << 18;
  { const auto kept = allocate(kMost + 1); }
  const auto other = allocate((3 << 20) - kMost - 2);
  EXPECT_EQ(memory_statistics().held, memory_statistics().in_use + kMost + 1);
  EXPECT_EQ(refusal(kMost + 2), "none");
  EXPECT_NE(refusal(kMost + 3), "none");
}

TEST(Allocator, SizesAboutARoundNumberShareBlocks) {
  release_kept_memory();
  { const auto block = allocate(int64_t{1024} * 1536 * 4); }
  const int64_t held = memory_statistics().held;
  for (const int64_t tokens : {1000, 1024, 1031, 1040}) {
    const auto block = allocate(tokens * 1536 * 4);
    EXPECT_LE(memory_statistics().held - held, int64_t{16} * 1536 * 4) << tokens << " tokens";
  }
  release_kept_memory();
}

TEST(Allocator, TheHighWaterMarkStartsAnew) {
  { const auto block = allocate(1 << 20); }
  reset_high_water();
  EXPECT_EQ(memory_statistics().high_water, memory_statistics().in_use);
  EXPECT_EQ(memory_statistics().held_high_water, memory_statistics().held);
}

TEST(MemoryPlan, CountsBlocksThatAreNotThere) {
  const int64_t real = memory_statistics().in_use;
  std::shared_ptr<std::byte> outlives;
  {
    const MemoryPlan plan;
    auto first = allocate_planned(int64_t{1} << 50);
    EXPECT_EQ(first.get(), nullptr);
    EXPECT_EQ(first.use_count(), 1);
    outlives = first;
    first.reset();
    EXPECT_EQ(plan.statistics().in_use, int64_t{1} << 50);
    {
      const MemoryPlan inner;
      (void)allocate_planned(7);
      EXPECT_EQ(inner.statistics().high_water, 7);
    }
    EXPECT_EQ(plan.statistics().high_water, int64_t{1} << 50);
    outlives.reset();
    EXPECT_EQ(plan.statistics().in_use, 0);
    outlives = allocate_planned(5);
  }
  outlives.reset();
  EXPECT_EQ(allocate_planned(100).use_count(), 0);  // no plan is alive
  EXPECT_EQ(memory_statistics().in_use, real);
}

TEST(WorkCount, TheInnermostCounts) {
  count_work({.product_flops = 1});  // nobody counts
  const WorkCount outer;
  count_work({.product_flops = 2, .sum_bytes = 8, .sums = 1});
  {
    const WorkCount inner;
    count_work({.attention_flops = 3, .element_bytes = 4});
    EXPECT_EQ(inner.work().attention_flops, 3);
    EXPECT_EQ(inner.work().product_flops, 0);
  }
  EXPECT_EQ(outer.work().product_flops, 2);
  EXPECT_EQ(outer.work().sums, 1);
  EXPECT_EQ(outer.work().element_bytes, 0);
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

TEST(Allocator, WhatTheSystemDoesNotHaveIsToldInBytes) {
  for (const auto take : {allocate, allocate_zeroed}) {
    try {
      take(int64_t{1} << 50);
      FAIL();
    } catch (const OutOfMemory& error) {
      EXPECT_EQ(std::string(error.what()).find("out of memory: the system has no 1"), 0u)
          << error.what();
    }
  }
}

}  // namespace
}  // namespace heddle
