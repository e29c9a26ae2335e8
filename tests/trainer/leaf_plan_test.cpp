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

std::vector<int64_t> samples(int64_t count) {
  std::vector<int64_t> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), 100);
  return all;
}

int64_t ten(int64_t) {
  return 10;
}

// The leaves of all ranks in order, whatever passes they are run in.
std::vector<std::vector<int64_t>> leaves_of(int64_t count, int64_t ranks, int64_t micro_tokens,
                                            const std::function<int64_t(int64_t)>& length) {
  std::vector<std::vector<int64_t>> leaves;
  const std::vector<int64_t> batch = samples(count);
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const LeafPlan plan = plan_leaves(
        batch, {.leaves = 8, .micro_tokens = micro_tokens, .rank = rank, .ranks = ranks}, length);
    for (const LeafPlan::Pass& pass : plan.passes) {
      EXPECT_EQ(pass.sample_offsets.size(), plan.passes[0].sample_offsets.size());
      EXPECT_EQ(pass.sample_offsets.back(), static_cast<int64_t>(pass.samples.size()));
      for (size_t i = 0; i + 1 < pass.sample_offsets.size(); ++i) {
        leaves.emplace_back(pass.samples.begin() + pass.sample_offsets[i],
                            pass.samples.begin() + pass.sample_offsets[i + 1]);
      }
    }
  }
  return leaves;
}

TEST(LeafPlan, TheLeavesDependOnTheBatchAloneNeverOnTheRanks) {
  const auto uneven = [](int64_t sample) { return sample * 7 % 13 + 1; };
  for (const int64_t count : {1, 3, 7, 8, 32, 33}) {
    for (const int64_t micro : {5, 16, 40, 100000}) {
      const auto expected = leaves_of(count, 1, micro, uneven);
      std::vector<int64_t> all;
      for (const auto& leaf : expected) all.insert(all.end(), leaf.begin(), leaf.end());
      EXPECT_EQ(all, samples(count));
      for (const int64_t ranks : {2, 4, 8}) {
        EXPECT_EQ(leaves_of(count, ranks, micro, uneven), expected) << count << " " << micro;
      }
    }
  }
}

TEST(LeafPlan, OnePassWhereAllFits) {
  const LeafPlan plan = plan_leaves(samples(16), {.leaves = 8, .micro_tokens = 160}, ten);
  ASSERT_EQ(plan.passes.size(), 1u);
  EXPECT_EQ(plan.passes[0].samples, samples(16));
  EXPECT_EQ(plan.passes[0].sample_offsets, (std::vector<int64_t>{0, 2, 4, 6, 8, 10, 12, 14, 16}));
}

TEST(LeafPlan, PassesAreHalvedUntilEachFits) {
  const LeafPlan plan = plan_leaves(samples(16), {.leaves = 8, .micro_tokens = 159}, ten);
  ASSERT_EQ(plan.passes.size(), 2u);
  EXPECT_EQ(plan.passes[1].samples, (std::vector<int64_t>{108, 109, 110, 111, 112, 113, 114, 115}));
  EXPECT_EQ(plan_leaves(samples(16), {.leaves = 8, .micro_tokens = 79}, ten).passes.size(), 4u);
}

TEST(LeafPlan, ALeafThatIsTooLargeIsHalvedAndSoAreAll) {
  // Leaves of 2 samples have 20 tokens.
  const LeafPlan plan = plan_leaves(samples(16), {.leaves = 8, .micro_tokens = 19}, ten);
  EXPECT_EQ(plan.passes.size(), 16u);
  for (const LeafPlan::Pass& pass : plan.passes) EXPECT_EQ(pass.samples.size(), 1u);
}

TEST(LeafPlan, ASampleLargerThanAPassIsAPassOfItsOwn) {
  const auto length = [](int64_t sample) { return sample == 103 ? 1000 : 1; };
  const LeafPlan plan = plan_leaves(samples(8), {.leaves = 8, .micro_tokens = 10}, length);
  ASSERT_EQ(plan.passes.size(), 8u);
  EXPECT_EQ(plan.passes[3].samples, std::vector<int64_t>{103});
}

TEST(LeafPlan, ARankWithoutSamplesHasAPassWithoutAny) {
  const LeafPlan plan =
      plan_leaves(samples(2), {.leaves = 8, .micro_tokens = 100, .rank = 2, .ranks = 8}, ten);
  ASSERT_EQ(plan.passes.size(), 1u);
  EXPECT_TRUE(plan.passes[0].samples.empty());
  EXPECT_EQ(plan.passes[0].sample_offsets, (std::vector<int64_t>{0, 0}));
}

TEST(LeafPlan, OneLeafARankForAnyNumberOfRanks) {
  std::vector<int64_t> all;
  for (int64_t rank = 0; rank < 3; ++rank) {
    const LeafPlan plan =
        plan_leaves(samples(7), {.leaves = 3, .micro_tokens = 1000, .rank = rank, .ranks = 3}, ten);
    ASSERT_EQ(plan.passes.size(), 1u);
    all.insert(all.end(), plan.passes[0].samples.begin(), plan.passes[0].samples.end());
  }
  EXPECT_EQ(all, samples(7));
}

}  // namespace
}  // namespace heddle
