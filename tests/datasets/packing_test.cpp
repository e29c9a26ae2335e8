#include "datasets/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "datasets/dealing.h"
#include "tests/framework/io/scratch.h"

namespace heddle {
namespace {

TEST(Packing, SequencesFollowEachOtherWithoutPadding) {
  PackedSequences batch;
  const std::vector<int32_t> a = {101, 7, 102}, b = {101, 8, 102, 9, 102};
  batch.add(a, 3, 40);
  batch.add(b, 3, 41);
  batch.add({}, 0, 42);
  using Ints = std::vector<int32_t>;
  EXPECT_EQ(batch.ids, (Ints{101, 7, 102, 101, 8, 102, 9, 102}));
  EXPECT_EQ(batch.positions, (Ints{0, 1, 2, 0, 1, 2, 3, 4}));
  EXPECT_EQ(batch.token_types, (Ints{0, 0, 0, 0, 0, 0, 1, 1}));
  EXPECT_EQ(batch.segments, (Ints{0, 3, 8, 8}));
  EXPECT_EQ(batch.samples, (std::vector<int64_t>{40, 41, 42}));
  EXPECT_EQ(batch.tokens(), 8);
  EXPECT_EQ(batch.sequences(), 3);
  batch.clear();
  EXPECT_EQ(batch.tokens(), 0);
  batch.add(a, 1, 1);
  EXPECT_EQ(batch.token_types, (Ints{0, 1, 1}));
}

TEST(Packing, SecondTextOutsideTheSequenceIsRefused) {
  PackedSequences batch;
  const std::vector<int32_t> ids = {1, 2};
  EXPECT_TRUE(has(error_text([&] { batch.add(ids, 3, 0); }),
                  "[packing] the second text begins at 3 of 2 tokens"));
}

std::vector<int64_t> some_lengths(size_t rows) {
  std::mt19937 random(1);
  std::vector<int64_t> lengths(rows);
  for (int64_t& length : lengths) length = 1 + random() % 128;
  return lengths;
}

TEST(Dealing, EachRowIsInOneBatchOfOneRank) {
  for (const size_t rows : {0, 1, 2, 7, 1000}) {
    const std::vector<int64_t> lengths = some_lengths(rows);
    for (const int64_t ranks : {1, 2, 3, 8}) {
      const Deal deal = deal_rows(lengths, {.tokens = 512, .ranks = ranks});
      std::vector<int64_t> taken;
      for (int64_t rank = 0; rank < ranks; ++rank) {
        for (const int64_t row : deal.rows_of(rank)) taken.push_back(row);
      }
      std::sort(taken.begin(), taken.end());
      std::vector<int64_t> all(rows);
      std::iota(all.begin(), all.end(), 0);
      EXPECT_EQ(taken, all);
    }
  }
}

TEST(Dealing, BatchesAreWithinTheBudgetAndTheSameForAnyNumberOfRanks) {
  std::vector<int64_t> lengths = some_lengths(1000);
  lengths[500] = 5000;
  const Deal one = deal_rows(lengths, {.tokens = 512, .ranks = 1});
  const Deal four = deal_rows(lengths, {.tokens = 512, .ranks = 4});
  EXPECT_EQ(one.batches, four.batches);
  for (size_t b = 0; b < one.batches.size(); ++b) {
    int64_t tokens = 0;
    for (const int64_t row : one.batches[b]) tokens += lengths[static_cast<size_t>(row)];
    EXPECT_EQ(tokens, one.tokens[b]);
    EXPECT_TRUE(tokens <= 512 || one.batches[b] == std::vector<int64_t>{500});
  }
  // Little room is left: but for the last batch, another row of the shortest length would not fit.
  EXPECT_LT(one.batches.size(), 1.15 * std::accumulate(lengths.begin(), lengths.end(), 0.0) / 512);
}

TEST(Dealing, RanksGetAboutAsManyTokens) {
  const std::vector<int64_t> lengths = some_lengths(1000);
  const Deal deal = deal_rows(lengths, {.tokens = 512, .ranks = 3});
  std::vector<int64_t> load;
  for (const auto& batches : deal.batches_of) {
    int64_t tokens = 0;
    for (const int64_t batch : batches) tokens += deal.tokens[static_cast<size_t>(batch)];
    load.push_back(tokens);
  }
  const auto [least, most] = std::minmax_element(load.begin(), load.end());
  EXPECT_LE(*most - *least, 512);
}

TEST(Dealing, ResultsComeBackInInputOrder) {
  const std::vector<int64_t> lengths = some_lengths(100);
  const Deal deal = deal_rows(lengths, {.tokens = 300, .ranks = 3});
  std::vector<std::vector<float>> results(3);
  for (int64_t rank = 0; rank < 3; ++rank) {
    for (const int64_t row : deal.rows_of(rank)) {
      results[static_cast<size_t>(rank)].push_back(static_cast<float>(row));
      results[static_cast<size_t>(rank)].push_back(static_cast<float>(row) + 0.5f);
    }
  }
  const std::vector<float> ordered = in_input_order(deal, 2, results);
  ASSERT_EQ(ordered.size(), 200u);
  for (size_t row = 0; row < 100; ++row) {
    EXPECT_EQ(ordered[2 * row], static_cast<float>(row));
    EXPECT_EQ(ordered[2 * row + 1], static_cast<float>(row) + 0.5f);
  }
}

TEST(Dealing, ArgumentsThatDoNotFitAreRefused) {
  EXPECT_TRUE(has(error_text([] { deal_rows({}, {.tokens = 0}); }), "[deal] batches of 0 tokens"));
  const std::vector<int64_t> lengths = {3, 4};
  const Deal deal = deal_rows(lengths, {.tokens = 8, .ranks = 1});
  const std::vector<std::vector<float>> none, few = {{1.0f}};
  EXPECT_TRUE(has(error_text([&] { in_input_order(deal, 1, none); }), "results of 0 ranks"));
  EXPECT_TRUE(has(error_text([&] { in_input_order(deal, 1, few); }),
                  "1 numbers from rank 0. Expected 2 rows of 1"));
}

}  // namespace
}  // namespace heddle
