#include "trainer/leaf_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace heddle {
namespace {

// Sample i has lengths[i] tokens.
struct Batch {
  explicit Batch(std::vector<int64_t> each) : lengths(std::move(each)), samples(lengths.size()) {
    std::iota(samples.begin(), samples.end(), 0);
  }
  LeafPlan plan(const LeafPlanOptions& options) const {
    return plan_leaves(samples, options,
                       [this](int64_t sample) { return lengths[static_cast<size_t>(sample)]; });
  }
  int64_t tokens(const LeafPlan& plan) const {
    int64_t sum = 0;
    for (const LeafPlan::Pass& pass : plan.passes) {
      for (int64_t sample : pass.samples) sum += lengths[static_cast<size_t>(sample)];
    }
    return sum;
  }

  std::vector<int64_t> lengths;
  std::vector<int64_t> samples;
};

TEST(LeafPlan, ALeafIsOfConsecutiveSamples) {
  const LeafPlan plan = Batch({5, 1, 9, 2, 7}).plan({.leaves = 2});
  ASSERT_EQ(plan.passes.size(), 1u);
  EXPECT_EQ(plan.passes[0].samples, (std::vector<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(plan.passes[0].sample_offsets, (std::vector<int64_t>{0, 2, 5}));
}

TEST(LeafPlan, EvenLeavesGiveRanksTheSameWork) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < 151; ++i) lengths.push_back(3 + (i * i) % 50 + (i < 75 ? 10 : 0));
  const Batch batch(lengths);
  const auto difference = [&](bool even) {
    std::vector<int64_t> tokens;
    for (int64_t rank = 0; rank < 2; ++rank) {
      tokens.push_back(
          batch.tokens(batch.plan({.leaves = 2, .rank = rank, .ranks = 2, .even = even})));
    }
    return std::abs(tokens[0] - tokens[1]);
  };
  EXPECT_GT(difference(false), 500);
  EXPECT_LE(difference(true), 3);
}

TEST(LeafPlan, EvenLeavesHaveEverySampleOnceInTheSizesOfTheOthers) {
  const Batch batch({40, 3, 8, 8, 2, 31, 8, 5, 1, 12, 9});
  for (const int64_t micro_tokens : {8192, 25}) {
    std::vector<int64_t> seen;
    for (int64_t rank = 0; rank < 4; ++rank) {
      LeafPlanOptions options{.leaves = 4, .micro_tokens = micro_tokens, .rank = rank, .ranks = 4};
      if (micro_tokens > 100) {
        const LeafPlan consecutive = batch.plan(options);
        options.even = true;
        EXPECT_EQ(batch.plan(options).passes[0].sample_offsets,
                  consecutive.passes[0].sample_offsets);
      }
      options.even = true;
      for (const LeafPlan::Pass& pass : batch.plan(options).passes) {
        seen.insert(seen.end(), pass.samples.begin(), pass.samples.end());
      }
    }
    std::ranges::sort(seen);
    EXPECT_EQ(seen, batch.samples);
  }
}

TEST(LeafPlan, OneEvenLeafKeepsTheOrder) {
  const Batch batch({4, 9, 2, 9, 1});
  EXPECT_EQ(batch.plan({.leaves = 1, .even = true}).passes[0].samples, batch.samples);
}

TEST(LeafPlan, LeavesOfTooManyTokensAreHalvedWhateverTheRanks) {
  const Batch batch({10, 10, 10, 10, 10, 10, 10, 10});
  const LeafPlan one = batch.plan({.leaves = 2, .micro_tokens = 20});
  const LeafPlan second = batch.plan({.leaves = 2, .micro_tokens = 20, .rank = 1, .ranks = 2});
  ASSERT_EQ(one.passes.size(), 4u);
  ASSERT_EQ(second.passes.size(), 2u);
  EXPECT_EQ(second.passes[0].samples, one.passes[2].samples);
  EXPECT_EQ(second.passes[1].samples, one.passes[3].samples);
}

}  // namespace
}  // namespace heddle
