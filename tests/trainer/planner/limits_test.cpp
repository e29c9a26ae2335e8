// Limits of this machine, measured and kept.
#include "trainer/planner/limits.h"

#include <gtest/gtest.h>

#include "tests/trainer/tiny_run.h"
#include "trainer/planner/measure.h"

namespace heddle {
namespace {

const LimitOptions kShort{.rows = {4}, .memory_bytes = 1 << 20, .sum_bytes = {4 << 10, 64 << 10}};

MachineLimits made_up(int64_t ranks) {
  MachineLimits limits;
  limits.ranks = ranks;
  limits.products = {{"up", 32, 2, 3, Precision::kF32, 2e9},
                     {"up", 64, 2, 3, Precision::kF32, 5e9}};
  limits.memory = {{"L2 cache", 1 << 20, 9e9, 8e9}, {"memory", 1 << 28, 4e9, 3e9}};
  if (ranks > 1) limits.sums = {{4 << 10, 2e-5}, {8 << 20, 0.00402}};
  return limits;
}

TEST(Limits, AreMeasuredOnEachRank) {
  run_threads(2, [](Communicator& world) {
    const MachineLimits limits = measure_limits(world, Device::cpu(), kShort);
    EXPECT_EQ(limits.ranks, 2);
    EXPECT_EQ(limits.threads, 1);
    EXPECT_EQ(limits.products.size() % 8, 0u);  // layers
    EXPECT_GT(limits.product_rate("f32"), 1e7);
    ASSERT_EQ(limits.memory.size(), 2u);
    EXPECT_GT(limits.memory_rate(), 1e7);
    ASSERT_EQ(limits.sums.size(), 2u);
    EXPECT_GT(limits.sums[1].seconds, 0);
    const std::string text = limits_table(limits);
    EXPECT_TRUE(text.starts_with("2 ranks of 1 thread, figures of one rank\n")) << text;
    EXPECT_NE(text.find("\nMiniLM up "), std::string::npos) << text;
    EXPECT_NE(text.find("\n64 KiB "), std::string::npos) << text;
  });
}

TEST(Limits, AreKeptByProcessorAndRanks) {
  const Scratch scratch;
  PosixFileSystem files;
  const std::string cache = scratch.path("cache/machine.json");
  EXPECT_FALSE(kept_limits(files, cache, "a processor", 1, 1));
  keep_limits(files, cache, "a processor", made_up(1));
  keep_limits(files, cache, "a processor", made_up(2));
  EXPECT_FALSE(kept_limits(files, cache, "another", 1, 1));
  EXPECT_FALSE(kept_limits(files, cache, "a processor", 1, 2));
  EXPECT_FALSE(kept_limits(files, "", "a processor", 1, 1));
  const auto kept = kept_limits(files, cache, "a processor", 2, 1);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->product_rate("f32"), 5e9);
  EXPECT_EQ(kept->product_rate("bf16"), 0);
  EXPECT_EQ(kept->memory_rate(), 3e9);
  EXPECT_EQ(kept->sums[1].bytes, 8 << 20);

  scratch.write("cache/machine.json", R"({"limits": {"version": 0, "a processor": 1}})");
  EXPECT_FALSE(kept_limits(files, cache, "a processor", 2, 1));
  scratch.write("cache/machine.json", "{damaged");
  EXPECT_FALSE(kept_limits(files, cache, "a processor", 2, 1));
  keep_limits(files, cache, "a processor", made_up(2));
  EXPECT_TRUE(kept_limits(files, cache, "a processor", 2, 1));
}

TEST(Limits, APlanTakesTheSumsOfRanksFromThere) {
  const Scratch scratch;
  PosixFileSystem files;
  const std::string cache = scratch.path("cache/machine.json");
  const MeasuredShape shape{
      .hidden = 32, .intermediate = 64, .heads = 2, .rows = 64, .length = 16, .dropout = true};
  keep_limits(files, cache, "a processor", made_up(1));
  keep_limits(files, cache, "a processor", made_up(2));
  for (int again = 0; again < 2; ++again) {  // measured, and read
    const Machine machine = this_machine(files, cache, "a processor", shape);
    EXPECT_DOUBLE_EQ(machine.in_node.latency_us, 10);
    EXPECT_NEAR(machine.in_node.gb_per_s, 8.0 * (1 << 20) / 0.004 * 1e-9, 1e-9);
  }
  EXPECT_TRUE(kept_limits(files, cache, "a processor", 2, 1));  // beside what the plan keeps
}

}  // namespace
}  // namespace heddle
