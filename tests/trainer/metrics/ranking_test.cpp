#include "trainer/metrics/ranking.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "framework/core/error.h"

namespace heddle {
namespace {

TEST(Ranking, TiesShareTheAverageRank) {
  EXPECT_EQ(doubled_ranks(std::vector<double>{5, 7, 5}), (std::vector<int64_t>{3, 6, 3}));
  EXPECT_TRUE(doubled_ranks({}).empty());
}

TEST(AreaUnderRoc, EqualsTheShareOfPairsWon) {
  std::mt19937 random(7);
  std::vector<double> scores(101);
  std::vector<bool> positive(scores.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    scores[i] = static_cast<double>(random() % 12);  // many ties
    positive[i] = random() % 3 == 0;
  }
  double won = 0;
  double pairs = 0;
  for (size_t a = 0; a < scores.size(); ++a) {
    for (size_t b = 0; b < scores.size(); ++b) {
      if (positive[a] && !positive[b]) {
        ++pairs;
        won += scores[a] > scores[b] ? 1 : scores[a] == scores[b] ? 0.5 : 0;
      }
    }
  }
  EXPECT_DOUBLE_EQ(area_under_roc(scores, positive), won / pairs);
}

TEST(AreaUnderRoc, AllTiedIsOneHalfAndOneClassIsUndefined) {
  EXPECT_EQ(area_under_roc(std::vector<double>{1, 1, 1}, {true, false, true}), 0.5);
  EXPECT_TRUE(std::isnan(area_under_roc(std::vector<double>{1, 2}, {true, true})));
  EXPECT_TRUE(std::isnan(area_under_roc({}, {})));
}

TEST(Correlation, ConstantSideIsUndefinedHoweverItsMeanRounds) {
  const std::vector<double> constant(7, 0.1);
  const std::vector<double> rising{1, 2, 3, 4, 5, 6, 7};
  EXPECT_TRUE(std::isnan(pearson_correlation(constant, rising)));
  EXPECT_TRUE(std::isnan(spearman_correlation(rising, constant)));
  EXPECT_TRUE(std::isnan(pearson_correlation({}, {})));
}

TEST(Correlation, MonotoneButCurvedIsOneForRanksOnly) {
  const std::vector<double> x{1, 2, 3, 4};
  const std::vector<double> y{1, 8, 27, 64};
  EXPECT_NEAR(spearman_correlation(x, y), 1, 1e-15);
  EXPECT_LT(pearson_correlation(x, y), 0.96);
}

TEST(Ranking, SidesOfDifferentLengthAreRefused) {
  try {
    pearson_correlation(std::vector<double>{1}, std::vector<double>{1, 2});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "[pearson_correlation] 1 values against 2.");
  }
  try {
    area_under_roc(std::vector<double>{1}, {});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "[area_under_roc] 1 scores for 0 labels.");
  }
}

}  // namespace
}  // namespace heddle
