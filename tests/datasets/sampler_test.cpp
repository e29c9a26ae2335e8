#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "datasets/epoch_sampler.h"
#include "datasets/permutation.h"
#include "tests/framework/io/scratch.h"

namespace heddle {
namespace {

using Indices = std::vector<int64_t>;

Indices order_of(int64_t size, uint64_t seed, uint64_t stream) {
  const Permutation permutation(size, seed, stream);
  Indices order;
  for (int64_t i = 0; i < size; ++i) order.push_back(permutation(i));
  return order;
}

bool is_permutation(Indices order, int64_t size) {
  std::sort(order.begin(), order.end());
  Indices expected(static_cast<size_t>(size));
  std::iota(expected.begin(), expected.end(), 0);
  return order == expected;
}

TEST(Permutation, IsABijectionForEverySize) {
  for (int64_t size = 0; size <= 300; ++size) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      EXPECT_TRUE(is_permutation(order_of(size, seed, 7), size)) << size;
    }
  }
  for (const int64_t size : {1023, 1024, 1025, 65'537, 300'000}) {
    EXPECT_TRUE(is_permutation(order_of(size, 1, 0), size)) << size;
  }
}

TEST(Permutation, ReachesFarPositionsAtOnce) {
  const int64_t size = int64_t{1} << 40;
  const Permutation permutation(size - 5, 3, 1);
  std::set<int64_t> seen;
  for (int64_t i = 0; i < 1000; ++i) seen.insert(permutation(size - 6 - i));
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_GE(*seen.begin(), 0);
  EXPECT_LT(*seen.rbegin(), size - 5);
}

TEST(Permutation, NegativeSizeIsRefused) {
  EXPECT_TRUE(has(error_text([] { Permutation(-1, 0, 0); }), "[permutation] a size of -1"));
}

// Pearson's statistic of counts that should be equal, over its degrees of freedom: near 1.
double evenness(const std::vector<int64_t>& counts, double degrees) {
  const double mean =
      static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0})) /
      static_cast<double>(counts.size());
  double sum = 0;
  for (const int64_t count : counts) sum += std::pow(static_cast<double>(count) - mean, 2) / mean;
  return sum / degrees;
}

TEST(Permutation, AllOrdersOfAFewAreEquallyLikely) {
  for (const int64_t size : {2, 3, 4}) {
    std::map<Indices, int64_t> counts;
    const int64_t orders = size == 2 ? 2 : size == 3 ? 6 : 24;
    for (uint64_t seed = 0; seed < 4800; ++seed) ++counts[order_of(size, seed, 0)];
    std::vector<int64_t> values;
    for (const auto& [order, count] : counts) values.push_back(count);
    values.resize(static_cast<size_t>(orders));
    EXPECT_LT(evenness(values, static_cast<double>(orders - 1)), size == 2 ? 11.0 : 3.0) << size;
  }
}

TEST(Permutation, EveryValueIsEquallyLikelyAtEveryPosition) {
  constexpr int64_t kSize = 20;
  std::vector<int64_t> counts(kSize * kSize);
  for (uint64_t epoch = 0; epoch < 8000; ++epoch) {
    const Indices order = order_of(kSize, 42, epoch);
    for (int64_t i = 0; i < kSize; ++i) {
      ++counts[static_cast<size_t>(i * kSize + order[static_cast<size_t>(i)])];
    }
  }
  const double e = evenness(counts, (kSize - 1) * (kSize - 1));
  EXPECT_GT(e, 0.7);
  EXPECT_LT(e, 1.3);
}

TEST(Permutation, SeedsEpochsAndNeighboursAreIndependent) {
  constexpr int64_t kSize = 10'000;
  const Indices a = order_of(kSize, 1, 0), b = order_of(kSize, 1, 1), c = order_of(kSize, 2, 0);
  const auto correlation = [&](const Indices& x, const Indices& y, size_t shift) {
    const double mean = (kSize - 1) / 2.0;
    double xy = 0, xx = 0;
    for (size_t i = 0; i + shift < x.size(); ++i) {
      xy += (static_cast<double>(x[i]) - mean) * (static_cast<double>(y[i + shift]) - mean);
      xx += std::pow(static_cast<double>(x[i]) - mean, 2);
    }
    return xy / xx;
  };
  EXPECT_NEAR(correlation(a, b, 0), 0, 0.04);
  EXPECT_NEAR(correlation(a, c, 0), 0, 0.04);
  EXPECT_NEAR(correlation(b, c, 0), 0, 0.04);
  for (const size_t shift : {1, 2, 3, 64}) EXPECT_NEAR(correlation(a, a, shift), 0, 0.04);
  int64_t fixed = 0;
  for (int64_t i = 0; i < kSize; ++i) fixed += a[static_cast<size_t>(i)] == i;
  EXPECT_LT(fixed, 8);  // one is expected
}

// All samples of an epoch in the order taken; checks what holds for every batch.
Indices take_epoch(EpochSampler& sampler) {
  Indices taken;
  const int64_t epoch = sampler.state().epoch;
  int64_t batches = 0;
  while (sampler.state().epoch == epoch) {
    const GlobalBatch batch = sampler.next();
    EXPECT_EQ(batch.start.position, static_cast<int64_t>(taken.size()));
    EXPECT_EQ(batch.ends_epoch, sampler.state().epoch != epoch);
    EXPECT_FALSE(batch.samples.empty());
    Indices joined;
    size_t least = batch.samples.size(), most = 0;
    for (int64_t leaf = 0; leaf < batch.leaves; ++leaf) {
      const auto part = batch.leaf(leaf);
      joined.insert(joined.end(), part.begin(), part.end());
      least = std::min(least, part.size());
      most = std::max(most, part.size());
    }
    EXPECT_EQ(joined, batch.samples);
    EXPECT_LE(most - least, 1u);
    taken.insert(taken.end(), batch.samples.begin(), batch.samples.end());
    ++batches;
  }
  EXPECT_EQ(batches, sampler.batches(epoch));
  return taken;
}

int64_t length_of(int64_t sample) {
  return 3 + sample * 7919 % 60;
}

// The options of the different ways to make batches.
std::vector<SamplerOptions> all_ways() {
  return {{.seed = 5, .sequences = 32},
          {.seed = 5, .shuffle = false, .sequences = 32},
          {.seed = 5, .sequences = 5, .leaves = 8},
          {.seed = 5, .sequences = 0, .tokens = 256},
          {.seed = 5, .sequences = 32, .length_window = 300},
          {.seed = 5, .sequences = 0, .tokens = 256, .length_window = 300},
          {.seed = 5, .shuffle = false, .sequences = 0, .tokens = 256, .length_window = 300}};
}

TEST(EpochSampler, TakesEverySampleOnceAnEpoch) {
  for (const SamplerOptions& options : all_ways()) {
    for (const int64_t samples : {1, 2, 31, 32, 33, 1000}) {
      EpochSampler sampler(samples, options, length_of);
      const Indices first = take_epoch(sampler), second = take_epoch(sampler);
      EXPECT_TRUE(is_permutation(first, samples));
      EXPECT_TRUE(is_permutation(second, samples));
      if (samples == 1000) {
        EXPECT_EQ(first == second, !options.shuffle);
      }
    }
  }
}

TEST(EpochSampler, GoesOnFromAnyStateAsIfItHadNeverStopped) {
  for (const SamplerOptions& options : all_ways()) {
    EpochSampler sampler(333, options, length_of);
    std::vector<GlobalBatch> batches;
    for (int i = 0; i < 60; ++i) batches.push_back(sampler.next());
    for (size_t i = 0; i < batches.size(); i += 7) {
      EpochSampler resumed(333, options, length_of);
      resumed.seek(batches[i].start);
      for (size_t j = i; j < std::min(i + 20, batches.size()); ++j) {
        ASSERT_EQ(resumed.next().samples, batches[j].samples);
      }
    }
  }
}

TEST(EpochSampler, LastBatchIsShortAndItsLeavesMayBeEmpty) {
  EpochSampler sampler(35, {.shuffle = false, .sequences = 32, .leaves = 8});
  EXPECT_EQ(sampler.next().samples.size(), 32u);
  const GlobalBatch last = sampler.next();
  EXPECT_EQ(last.samples, (Indices{32, 33, 34}));
  EXPECT_TRUE(last.ends_epoch);
  size_t empty = 0;
  for (int64_t leaf = 0; leaf < 8; ++leaf) empty += last.leaf(leaf).empty();
  EXPECT_EQ(empty, 5u);
}

TEST(EpochSampler, TokenBatchesStayWithinTheBudget) {
  EpochSampler sampler(500, {.sequences = 0, .tokens = 100},
                       [](int64_t sample) { return sample == 77 ? 1000 : length_of(sample); });
  for (int i = 0; i < 100; ++i) {
    const GlobalBatch batch = sampler.next();
    int64_t tokens = 0;
    for (const int64_t sample : batch.samples) tokens += sample == 77 ? 1000 : length_of(sample);
    EXPECT_TRUE(tokens <= 100 || batch.samples == Indices{77});
  }
}

TEST(EpochSampler, LengthWindowMakesBatchesOfLikeLengths) {
  const auto spread = [](EpochSampler& sampler) {
    int64_t sum = 0;
    for (int i = 0; i < 32; ++i) {
      const GlobalBatch batch = sampler.next();
      const auto [least, most] =
          std::minmax_element(batch.samples.begin(), batch.samples.end(),
                              [](int64_t a, int64_t b) { return length_of(a) < length_of(b); });
      sum += length_of(*most) - length_of(*least);
    }
    return sum;
  };
  EpochSampler plain(2048, {.sequences = 32}, length_of);
  EpochSampler sorted(2048, {.sequences = 32, .length_window = 1024}, length_of);
  EXPECT_LT(spread(sorted) * 10, spread(plain));
  // The batches are in no order of length.
  EpochSampler again(2048, {.sequences = 32, .length_window = 1024}, length_of);
  Indices firsts;
  for (int i = 0; i < 32; ++i) firsts.push_back(length_of(again.next().samples[0]));
  EXPECT_FALSE(std::is_sorted(firsts.begin(), firsts.end()));
}

TEST(EpochSampler, OptionsWithoutMeaningAreRefused) {
  const auto make = [](int64_t samples, SamplerOptions options) {
    return error_text([&] { EpochSampler(samples, options); });
  };
  EXPECT_TRUE(has(make(0, {}), "[sampler] 0 samples"));
  EXPECT_TRUE(has(make(1, {.sequences = 4, .tokens = 4}), "[sampler] a batch of 4 sequences or 4"));
  EXPECT_TRUE(has(make(1, {.sequences = 0}), "[sampler] a batch of 0 sequences or 0 tokens"));
  EXPECT_TRUE(has(make(1, {.leaves = 0}), "[sampler] 0 leaves"));
  EXPECT_TRUE(has(make(1, {.length_window = -1}), "[sampler] a window of -1 samples"));
  EXPECT_TRUE(has(make(1, {.length_window = 8}), "need the lengths of the samples"));
  EpochSampler sampler(100, {.sequences = 32, .length_window = 64}, length_of);
  EXPECT_TRUE(has(error_text([&] {
                    sampler.seek({0, 100});
                  }),
                  "position 100 of epoch 0 among 100"));
  EXPECT_TRUE(has(error_text([&] { sampler.seek({0, 5}); }), "no batch begins at position 5"));
  EXPECT_EQ(sampler.state(), SamplerState{});
  EXPECT_TRUE(has(error_text([&] { sampler.next().leaf(8); }), "[sampler] leaf 8 of 8"));
}

}  // namespace
}  // namespace heddle
